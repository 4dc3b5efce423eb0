"""Cross-site requests (CSRF): a browser sends the session cookie along whoever's page it is that asks.

Two proofs are wanted of a request that could change something: that it comes from a page of ours (Fetch Metadata, or
`Origin`, RFC 6454), and that the page knows the session's synchronizer token. The web channel checks it for items, the
sign-in desk for its own pages.
"""

import hmac

from gateway.errors import CrossSite, RequestMalformed
from gateway.fields import is_form
from gateway.model import Inbound

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""They change nothing (RFC 9110 §9.2.1), so anybody's page may send them."""
TOKEN_FIELD = b"x-csrf-token"
TOKEN_PARAMETER = "csrf_token"  # noqa: S105 - a name


def check_page(inbound: Inbound) -> None:
    """Check that a page of our own sent the request. No other origin's could: it has no way to the session's token.

    A page that sends no `Referer` has `Origin: null`; then, and where there is no `Origin`, `Sec-Fetch-Site` decides.

    Args:
        inbound: the request.

    Raises:
        CrossSite: it came from elsewhere, or does not say from where.
    """
    origin = inbound.fields.get(b"origin", b"null").lower()
    site = inbound.fields.get(b"sec-fetch-site")
    own = f"{inbound.scheme}://{inbound.host}".lower().encode()
    if origin not in (own, b"null") or site not in (b"same-origin", None) or (origin == b"null" and site is None):
        raise CrossSite(f"a request from another page: Origin {origin[:100]!r}, Sec-Fetch-Site {site!r}")


async def check_request_token(inbound: Inbound, expected: str) -> None:
    """Check that the request carries the session's synchronizer token: in `x-csrf-token`, or a form's `csrf_token`.

    Args:
        inbound: the request.
        expected: Sessions.request_token of its session.

    Raises:
        CrossSite: it carries none, or another one.
        RequestMalformed: the form carries two.
        BodyTooLarge, RequestTimeout, ClientGone: the form did not arrive.
    """
    given = inbound.fields.get(TOKEN_FIELD)
    if given is None and is_form(inbound.fields.get(b"content-type", b"")):
        given = read_form_token(await inbound.body.whole())
    if given is None or not hmac.compare_digest(given, expected.encode()):
        raise CrossSite("no synchronizer token" if given is None else "another synchronizer token")


def read_form_token(body: bytes) -> bytes | None:
    """The `csrf_token` of an urlencoded form, None without; it is never encoded, so nothing is decoded.

    Raises:
        RequestMalformed: there are two.
    """
    wanted = TOKEN_PARAMETER.encode()
    pairs = (pair.partition(b"=") for pair in body.split(b"&") if pair.startswith(wanted))
    found = [value for name, _, value in pairs if name == wanted]
    if len(found) > 1:
        raise RequestMalformed(f"{len(found)} {TOKEN_PARAMETER}")
    return found[0] if found else None
