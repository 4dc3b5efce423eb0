"""How claims are shown to whoever looks into a token: times in words, personal data masked, no control characters.

token.py puts them beside the verdicts; records/masking.py knows the patterns.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from gateway.beijing import written_time
from gateway.records.masking import mask_named
from gateway.tokens.claims import MalformedClaimsError, read_number

TIMES = ("exp", "nbf", "iat", "auth_time")
IMPERSONAL = frozenset({
    "iss", "aud", "exp", "nbf", "iat", "auth_time", "jti", "sid", "acr", "amr", "azp", "client_id", "scope", "typ",
    "token_use", "events",
})  # fmt: skip
"""Claims that say nothing of the person; all others are masked."""

_MASKED_LIKE = "id_no"
"""The name whose masking (first character and last two) is used for every claim that may be personal."""

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


class Moment(msgspec.Struct, frozen=True):
    """A time of a token, written out.

    Attributes:
        claim: its name.
        at: local time with its offset; what stands there instead where it is none.
        said: how far from now, for example `in 9 min 50 s`.
    """

    claim: str
    at: str
    said: str


def moments(claims: Mapping[str, Any], now: float) -> tuple[Moment, ...]:
    """The times that claims name.

    Args:
        claims: not believed yet.
        now: Unix seconds.
    """
    return tuple(_moment(claims, name, now) for name in TIMES if name in claims)


def _moment(claims: Mapping[str, Any], name: str, now: float) -> Moment:
    try:
        seconds = read_number(claims, name) or 0.0
        at = written_time(seconds)
    except (MalformedClaimsError, ValueError, OverflowError, OSError):
        return Moment(name, "no time", "")
    return Moment(name, at, _distance(seconds - now))


def _distance(seconds: float) -> str:
    left = round(abs(seconds))
    if not left:
        return "now"
    parts: list[str] = []
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    text = " ".join(parts[:2])  # the two largest say enough
    return f"in {text}" if seconds > 0 else f"{text} ago"


def shown_claims(claims: Mapping[str, Any], *, impersonal: frozenset[str], personal: bool) -> dict[str, Any]:
    """Claims as they may be shown.

    Args:
        claims: not believed yet.
        impersonal: names that are shown as they are; see IMPERSONAL.
        personal: True shows all of them as they are.
    """
    return {
        shown_text(name): _plain(value) if personal or name in impersonal else _masked(value)
        for name, value in claims.items()
    }


def _plain(value: Any) -> Any:
    return _mapped(value, shown_text)


def _masked(value: Any) -> Any:
    return _mapped(value, lambda text: shown_text(mask_named(_MASKED_LIKE, text)))


def _mapped(value: Any, show: Callable[[str], str]) -> Any:
    match value:
        case dict():
            return {shown_text(name): _mapped(inner, show) for name, inner in value.items()}
        case list():
            return [_mapped(inner, show) for inner in value]
        case bool() | None:
            return value
    return show(value if isinstance(value, str) else str(value))


def shown_text(text: str) -> str:
    """Text without characters that steer a terminal or turn writing round."""
    return "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text)
