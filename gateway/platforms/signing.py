"""Signatures and encodings that more than one dialect of identity platform uses (field-reference: docs/platforms.md).

What only one dialect uses stands in its own file in plugins/platforms/.
"""

import hashlib
import hmac
from base64 import b64decode, b64encode
from datetime import datetime
from email.utils import formatdate
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from pydantic import Field, SecretStr

from gateway.contracts import Settings

LOCAL_ZONE = ZoneInfo("Asia/Shanghai")


class BgKeySettings(Settings):
    """Our access key at Zhejiang's interface gateway, which signs with `X-BG-*` fields."""

    access_key: str = Field(min_length=1, description="`X-BG-HMAC-ACCESS-KEY`")
    secret: SecretStr = Field(min_length=1, description="its secret, by reference")


def sign_bg(key: BgKeySettings, method: str, path: str, now: float, query: str = "") -> dict[str, str]:
    """Header fields of a request to Zhejiang's interface gateway, which allows clocks to differ by 90 seconds.

    Args:
        key: our access key.
        method: of the request.
        path: path of the request as it is sent.
        now: Unix seconds.
        query: query as it is sent, without `?`; it is signed in the order of its pieces.
    """
    date = formatdate(now, usegmt=True)
    ordered = "&".join(sorted(query.split("&"))) if query else ""
    text = f"{method}\n{path}\n{ordered}\n{key.access_key}\n{date}\n"
    digest = hmac.digest(key.secret.get_secret_value().encode(), text.encode(), hashlib.sha256)
    return {
        "X-BG-HMAC-SIGNATURE": b64encode(digest).decode(),
        "X-BG-HMAC-ALGORITHM": "hmac-sha256",
        "X-BG-HMAC-ACCESS-KEY": key.access_key,
        "X-BG-DATE-TIME": date,
    }


def sign_md5(application: str, secret: SecretStr, now: float) -> dict[str, str]:
    """Members `time` and `sign` of the MD5 family (old Zhejiang, JIS): MD5 of application, secret and local time.

    Args:
        application: our service code or application mark.
        secret: what was agreed with it.
        now: Unix seconds; what is signed is the time of day in China, without a zone.
    """
    time = datetime.fromtimestamp(now, LOCAL_ZONE).strftime("%Y%m%d%H%M%S")
    text = f"{application}{secret.get_secret_value()}{time}".encode()
    return {"time": time, "sign": hashlib.md5(text, usedforsecurity=False).hexdigest()}


def decrypt_aes_ecb(key: bytes, text: str) -> bytes:
    """Open base64 of AES in ECB mode with PKCS#7 padding, as Java's `AES/ECB/PKCS5Padding` makes it.

    Raises:
        ValueError: no base64, no whole blocks, a padding that does not fit, or a key of an impossible length.
    """
    # ECB is what these platforms do; it hides little and proves nothing, so TLS has to.
    opener = Cipher(algorithms.AES(key), modes.ECB()).decryptor()  # noqa: S305 - see above
    padded = opener.update(b64decode(text, validate=True)) + opener.finalize()
    unpadder = PKCS7(128).unpadder()
    return unpadder.update(padded) + unpadder.finalize()
