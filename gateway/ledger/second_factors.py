"""The second factor of the staff: time-based one-time passwords (TOTP, RFC 6238) as authenticator apps make them.

SHA-1, six digits and 30 seconds, as every app takes them. staff_sign_in.py asks for them and keeps the secrets sealed.
"""

import hmac
import re
import unicodedata
from typing import Protocol

import msgspec
import pyotp

_SECONDS = 30
_CODE = re.compile(r"[0-9]{6}")


class Seal(Protocol):
    """Keeps secrets from whoever reads the database alone (gateway.identity.sealing.Sealing)."""

    def seal(self, entry: bytes, plain: bytes) -> bytes:
        """Seal a value for this entry alone."""
        ...

    def open(self, entry: bytes, sealed: bytes) -> bytes | None:
        """The value; None when it was not sealed for this entry with one of our keys."""
        ...


class Enrolment(msgspec.Struct, frozen=True):
    """What an authenticator app needs.

    Attributes:
        secret: base32, to type in by hand.
        uri: `otpauth://totp/…`, to be shown as a QR code.
    """

    secret: str
    uri: str

    def __repr__(self) -> str:
        return "Enrolment()"


def new_secret() -> str:
    """A secret of 160 bits in base32 (RFC 4226 §4, R6)."""
    return pyotp.random_base32()


def enrolment_of(secret: str, login: str, issuer: str) -> Enrolment:
    """What an app needs to make codes of this secret.

    Args:
        secret: base32.
        login: of the account.
        issuer: what the app shows beside it.
    """
    return Enrolment(secret, pyotp.TOTP(secret, interval=_SECONDS).provisioning_uri(name=login, issuer_name=issuer))


def matching_step(secret: str, code: str, now: float, used: int) -> int | None:
    """The step of time that a code belongs to: this one or a neighbour (RFC 6238 §5.2); None when it fits none.

    Args:
        secret: base32.
        code: as it was entered.
        now: Unix seconds.
        used: the latest step of which a code was used; what is not later is used up.
    """
    entered = "".join(unicodedata.normalize("NFKC", code).split())
    if _CODE.fullmatch(entered) is None:
        return None
    totp, current = pyotp.TOTP(secret, interval=_SECONDS), int(now) // _SECONDS
    steps = (current - 1, current, current + 1)
    # Every one is compared: how long it takes tells nothing.
    fitting = [step for step in steps if hmac.compare_digest(totp.generate_otp(step), entered) and step > used]
    return fitting[0] if fitting else None
