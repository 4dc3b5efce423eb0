"""What an issuer's claims mean: checks them and makes a `Principal` of them (RFC 7519, 7662, 8693, 9068).

The province verifiers share it: one takes claims from a signed token (jose.py), the other from the platform's answer.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from gateway.contracts import Settings
from gateway.model import Kind, Principal
from gateway.units import Duration

LONGEST_TEXT = 128
_LARGEST_NUMBER = float(2**53)
_VERSION = re.compile(r"([0-9]{1,9})(?:\.0+)?")


Person = Literal[Kind.NATURAL, Kind.LEGAL]


class ClaimsError(ValueError):
    """The claims do not hold: another issuer, another audience, expired. The text is for the record."""


class MalformedClaimsError(ClaimsError):
    """The claims cannot be understood: one is missing, or of another type than it must be."""


class ClaimSettings(Settings):
    """How the claims of one issuer are read."""

    issuer: str = Field(min_length=1, description="`iss`, compared character by character")
    audience: str | None = Field(None, min_length=1, description="what `aud` must be or contain; no check when missing")
    leeway: Duration = Field(60.0, ge=0, le=60, description="how far `nbf` and `iat` may lie ahead; `exp` has none")
    assurance_claim: str = Field("acr", description="the claim that says how strongly the person logged in")
    assurance: dict[str, Annotated[int, Field(ge=0, le=4)]] = Field(
        default_factory=dict, description="its values and our level of each, 0 to 4; a value that is not listed is 0"
    )
    version_claim: str = Field(
        "profile_version", description="the claim that counts changes of the profile; older verdicts then end"
    )
    kind_claim: str = Field("subject_type", description="the claim that says natural or legal person")
    kinds: dict[str, Person] = Field(
        default={"natural": Kind.NATURAL, "legal": Kind.LEGAL},
        description="its values and what each means; a value that is not listed is refused",
    )
    default_kind: Person | None = Field(None, description="kind where the claim is missing; refused when this is too")


def read_principal(claims: Mapping[str, Any], settings: ClaimSettings, now: float, verifier: str) -> Principal:
    """Check the claims and say who they speak of.

    Args:
        claims: the claims, of a token whose signature holds or of a platform's answer.
        settings: how this issuer's claims are read.
        now: Unix seconds.
        verifier: name of the verifier that asks.

    Raises:
        MalformedClaimsError: a claim is missing or not of its type.
        ClaimsError: a claim says that this is not for us, or not now.
    """
    if claims.get("iss") != settings.issuer:
        raise ClaimsError("iss is another")
    if settings.audience is not None and settings.audience not in _audiences(claims):
        raise ClaimsError("aud is another")
    expires_at, issued_at = _check_times(claims, settings.leeway, now)
    kind, level = _kind(claims, settings), _level(claims, settings)
    return Principal(
        issuer=settings.issuer,
        subject=_required_text(claims, "sub"),
        kind=kind,
        assurance=settings.assurance.get(level, 0) if level is not None else 0,
        expires_at=expires_at,
        operator=_operator(claims, kind),
        issued_at=issued_at or 0.0,
        authenticated_at=read_number(claims, "auth_time"),
        session=read_text(claims, "sid"),
        token_id=read_text(claims, "jti"),
        verifier=verifier,
        version=read_version(claims.get(settings.version_claim)),
        level=level,
    )


def read_number(claims: Mapping[str, Any], name: str) -> float | None:
    """A NumericDate (RFC 7519 §2); None when the claim is missing.

    Raises:
        MalformedClaimsError: no number, a truth value, NaN, or beyond every calendar.
    """
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LARGEST_NUMBER:
        raise MalformedClaimsError(f"{name} is no time")
    return float(value)


def read_text(claims: Mapping[str, Any], name: str) -> str | None:
    """An identifier of 1 to `LONGEST_TEXT` characters; None when the claim is missing.

    Raises:
        MalformedClaimsError: no string, empty, too long, or with control characters or half a surrogate pair.
    """
    if name not in claims:
        return None
    value = claims[name]
    if not isinstance(value, str) or not _is_identifier(value):
        raise MalformedClaimsError(f"{name} is no identifier")
    return value


def read_version(value: object) -> int:
    """A count of a profile's changes: a number, or a text as in `3` or `3.0`; 0 for everything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return 0
    found = _VERSION.fullmatch(str(value))
    return int(found[1]) if found else 0


def _is_identifier(value: str) -> bool:
    return 0 < len(value) <= LONGEST_TEXT and all(map(_may_stand, value))


def _may_stand(character: str) -> bool:
    return character >= " " and character != "\x7f" and not "\ud800" <= character <= "\udfff"


def _required_text(claims: Mapping[str, Any], name: str) -> str:
    value = read_text(claims, name)
    if value is None:
        raise MalformedClaimsError(f"{name} is missing")
    return value


def _audiences(claims: Mapping[str, Any]) -> list[str]:
    value = claims.get("aud")
    listed: list[Any] = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in listed):
        raise MalformedClaimsError("aud is neither a string nor a list of strings")
    return listed


def _check_times(claims: Mapping[str, Any], leeway: float, now: float) -> tuple[float, float | None]:
    expires_at = read_number(claims, "exp")
    if expires_at is None:
        raise MalformedClaimsError("exp is missing")
    if expires_at <= now:
        raise ClaimsError("expired")
    for name in ("nbf", "iat"):
        begins = read_number(claims, name)
        if begins is not None and begins > now + leeway:
            raise ClaimsError(f"{name} lies ahead")
    return expires_at, read_number(claims, "iat")


def _level(claims: Mapping[str, Any], settings: ClaimSettings) -> str | None:
    """The issuer's own word for the strength of the login; None when there is none that may stand in a record."""
    raw = claims.get(settings.assurance_claim)
    if isinstance(raw, int) and not isinstance(raw, bool):
        raw = str(raw)
    return raw if isinstance(raw, str) and _is_identifier(raw) else None


def _kind(claims: Mapping[str, Any], settings: ClaimSettings) -> Kind:
    raw = claims.get(settings.kind_claim)
    if raw is None and settings.default_kind is not None:
        return settings.default_kind
    kind = settings.kinds.get(raw) if isinstance(raw, str) else None
    if kind is None:
        raise MalformedClaimsError(f"{settings.kind_claim} is not one of the configured kinds")
    return kind


def _operator(claims: Mapping[str, Any], kind: Kind) -> str | None:
    """The acting person of a legal person (经办人): `act.sub`, RFC 8693 §4.1."""
    if "act" not in claims:
        return None
    if kind is not Kind.LEGAL or not isinstance(claims["act"], dict):
        raise MalformedClaimsError("act is no object, or acts for a natural person")
    return _required_text(claims["act"], "sub")
