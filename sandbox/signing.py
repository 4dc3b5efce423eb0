"""Sign a request as a caller of the app channel does, with one of the sandbox's sample keys.

`python -m sandbox.signing GET /guides/retirement | curl -H @- ADDRESS/guides/retirement`; plugins/channels/app.py is
the other side, docs/channels.md describes the canonical string.
"""

import argparse
import hashlib
import hmac
import secrets
import sys
import time

from sandbox.furnishing import APP_KEYS

_DIGESTS = {"demo-ak": "sha256", "demo-sm3-ak": "sm3"}


def sign(
    method: str,
    target: str,
    body: bytes = b"",
    *,
    key: str = "demo-ak",
    at: float | None = None,
    nonce: str | None = None,
) -> dict[str, str]:
    """Sign one request.

    Args:
        method: HTTP method.
        target: path and query exactly as they will be sent.
        body: the whole body.
        key: one of the sample keys; it fixes the algorithm.
        at: Unix seconds; now when missing.
        nonce: random when missing.

    Returns:
        The header fields to send along.

    Raises:
        KeyError: no such key.
    """
    return sign_with(key, APP_KEYS[key], method, target, body, digest=_DIGESTS[key], at=at, nonce=nonce)


def sign_with(
    key: str,
    secret: str,
    method: str,
    target: str,
    body: bytes = b"",
    *,
    digest: str = "sha256",
    at: float | None = None,
    nonce: str | None = None,
) -> dict[str, str]:
    """Sign one request with any access key; arguments as in `sign`, and `digest` as hashlib calls it."""
    timestamp = str(int(time.time() if at is None else at))
    nonce = nonce or secrets.token_hex(16)
    path, _, query = target.partition("?")
    canonical = "\n".join(
        (
            method,
            path,
            "&".join(sorted(query.split("&"))),
            f"x-ak:{key}",
            f"x-nonce:{nonce}",
            f"x-timestamp:{timestamp}",
            hashlib.sha256(body).hexdigest(),
        )
    )
    signature = hmac.digest(secret.encode(), canonical.encode(), digest).hex()
    return {"x-ak": key, "x-nonce": nonce, "x-timestamp": timestamp, "x-signature": signature}


def main(arguments: list[str] | None = None) -> int:
    """Print the header fields for one request, as `curl -H @-` reads them."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.signing", description=__doc__)
    parser.add_argument("method")
    parser.add_argument("target", help="path and query")
    parser.add_argument("--body", default="", help="the body, as text")
    parser.add_argument("--key", default="demo-ak", choices=APP_KEYS)
    options = parser.parse_args(arguments)
    for name, value in sign(options.method, options.target, options.body.encode(), key=options.key).items():
        print(f"{name}: {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
