"""`tongguan token inspect`: what one token is, says and weighs, who would judge it, and what speaks against it.

Nobody is asked anything but by `judge`. The signature and personal claims do not come out; cli/tokens.py shows what
does. paper.py follows a whole request instead.
"""

import re
from collections.abc import Sequence
from typing import Any, get_args

import msgspec

from gateway.building import PartBroken
from gateway.chain import AnyVerifier
from gateway.configuration.parts import import_part, part_config
from gateway.contracts import Settings, Verifier
from gateway.crypto import CryptoProvider
from gateway.errors import CannotDecide, CredentialRejected
from gateway.explain.claims import IMPERSONAL, Moment, moments, shown_claims, shown_text
from gateway.lending import Lent
from gateway.model import Credential
from gateway.settings import PartSettings, PolicySettings
from gateway.tokens.bearer import SESSION_MARK, is_bearer_token
from gateway.tokens.jose import (
    Algorithm,
    JoseError,
    Jws,
    decode_base64url,
    looks_like_jwt,
    read_json,
    read_jws,
    read_key_set,
    unverified_issuer,
)
from gateway.tokens.national import Sm2Settings

LEEWAY = 60.0
"""Seconds that `nbf` and `iat` may lie ahead at most, whatever is configured."""

_SHOWN_OF_HEADER = ("alg", "kid", "typ", "cty")
_ROUTED = re.compile(r"[^@]+@([A-Za-z0-9._-]{1,64})")


def configured_verifiers(lent: Lent, policy: PolicySettings) -> list[AnyVerifier]:
    """Make the verifiers of a policy and nothing else; none of them is started.

    Raises:
        PartBroken: one of them cannot be made.
    """
    return [_made(lent, one) for one in policy.verifiers]


def _made(lent: Lent, settings: PartSettings) -> AnyVerifier:
    try:
        part = import_part(settings.use)
        context = lent.context_of(settings.name)
        made = part(part_config(part, settings.config), context)
        if not isinstance(made, Verifier):
            raise TypeError("it is no Verifier")
    except Exception as error:
        raise PartBroken(Verifier, settings, error) from error
    return made


class Judge(msgspec.Struct, frozen=True):
    """One configured verifier.

    Attributes:
        name: its name.
        asked: True when the chain would ask it about this token.
        reason: why, or why not.
        said: what it said when it was asked; empty when it was not.
    """

    name: str
    asked: bool
    reason: str
    said: str = ""


class Inspection(msgspec.Struct):
    """What is found out.

    Attributes:
        form: what kind of token it is.
        sizes: characters of the whole, bytes of its parts.
        header: of a JWT: `alg`, `kid`, `typ`, `cty`; of all others that they are not looked at.
        claims: of a JWT, masked unless asked for plainly.
        times: its times, in words.
        signature: what is known of it.
        judges: the configured verifiers, in order; empty without a configuration.
        against: what speaks against the token; empty when nothing does.
    """

    form: str
    sizes: dict[str, int]
    header: dict[str, Any] = {}
    claims: dict[str, Any] = {}
    times: tuple[Moment, ...] = ()
    signature: str = "none"
    judges: tuple[Judge, ...] = ()
    against: tuple[str, ...] = ()


def inspect(token: str, verifiers: Sequence[AnyVerifier] | None, now: float, *, personal: bool = False) -> Inspection:
    """Look into a token without asking anybody.

    Args:
        token: as it stands behind `Bearer`.
        verifiers: those that are configured, in order; None without a configuration.
        now: Unix seconds.
        personal: True shows personal claims as they are.
    """
    found = Inspection(_form(token), {"token": len(token)})
    if verifiers is not None:
        found.judges = tuple(_judge(one, token) for one in verifiers)
        if not any(one.asked for one in found.judges):
            found.against += ("no configured verifier judges it",)
    if not is_bearer_token(token) and not token.startswith(SESSION_MARK):
        found.against += ("no bearer token: another character than those have, or more than 8192 of them",)
    if looks_like_jwt(token):
        names = {name for one in verifiers or () for name in _impersonal_of(one.config)}
        _look_into(found, token, now, impersonal=IMPERSONAL | names, personal=personal)
    return found


def _form(token: str) -> str:
    if token.startswith(SESSION_MARK):
        return "id of a sign-in session, as the web channel marks it"
    if looks_like_jwt(token):
        return "JSON Web Token, signed (RFC 7519)"
    if routed := _ROUTED.fullmatch(token):
        return f"opaque token that is routed to @{routed[1]}"
    return "opaque token"


def _judge(verifier: AnyVerifier, token: str) -> Judge:
    issuer = unverified_issuer(token)
    if not verifier.issuers:
        return Judge(verifier.name, True, "is asked about every token that nobody before it knows")
    if issuer in verifier.issuers:
        return Judge(verifier.name, True, "judges the tokens of this issuer")
    listed = ", ".join(verifier.issuers)
    what = "this is no JWT" if issuer is None else f"this one says {shown_text(issuer)}"
    return Judge(verifier.name, False, f"judges JWTs of {listed} alone; {what}")


def _impersonal_of(config: Settings) -> list[str]:
    """The claims that a verifier reads kind and assurance from."""
    named = (getattr(config, name, None) for name in ("kind_claim", "assurance_claim"))
    return [name for name in named if isinstance(name, str)]


def _look_into(found: Inspection, token: str, now: float, *, impersonal: frozenset[str], personal: bool) -> None:
    header, claims, signature = (_part(text) for text in token.split("."))
    found.sizes |= {"header": len(header), "payload": len(claims), "signature": len(signature)}
    found.header = _shown_header(_object(header))
    said = _object(claims)
    found.claims = shown_claims(said, impersonal=impersonal, personal=personal)
    found.times = moments(said, now)
    found.signature = "not checked"
    try:
        read_jws(token)
    except JoseError as error:
        found.against += (f"malformed: {error}",)
    found.against += tuple(_against_times(said, now))


def _part(text: str) -> bytes:
    try:
        return decode_base64url(text)
    except JoseError:
        return b""


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = read_json(data)
    except JoseError:
        return {}
    return value if isinstance(value, dict) else {}


def _shown_header(header: dict[str, Any]) -> dict[str, Any]:
    known = {name: shown_text(str(header[name])) for name in _SHOWN_OF_HEADER if name in header}
    return known | {shown_text(name): "(not looked at)" for name in header if name not in _SHOWN_OF_HEADER}


def _against_times(claims: dict[str, Any], now: float) -> list[str]:
    numbers = {name: value for name, value in claims.items() if type(value) in (int, float)}
    problems = []
    if "exp" not in numbers:
        problems.append("exp is missing, or no time")
    elif numbers["exp"] <= now:
        problems.append("expired")
    return problems + [f"{name} lies ahead" for name in ("nbf", "iat") if numbers.get(name, 0) > now + LEEWAY]


# ── the signature ─────────────────────────────────────────────────────────────────────────────────────────────────


async def check_signature(
    found: Inspection, token: str, document: bytes, verifiers: Sequence[AnyVerifier], crypto: CryptoProvider
) -> None:
    """Hold the signature against a key set; the issuer's way with SM2 is that of the verifier that would judge it.

    Args:
        found: is told the outcome.
        token: what was looked into.
        document: a JWK set (RFC 7517).
        verifiers: those that are configured.
        crypto: for SM2.

    Raises:
        JoseError: it is no key set, or has no key that may be used.
        CryptoError: the provider cannot tell.
    """
    judge = next((one for one in verifiers if one.issuers and unverified_issuer(token) in one.issuers), None)
    allowed = getattr(judge and judge.config, "algorithms", get_args(Algorithm))
    sm2: Sm2Settings = getattr(judge and judge.config, "sm2", Sm2Settings())
    keys = read_key_set(document, allowed, sm2.practice(crypto))
    try:
        jws = read_jws(token)
    except JoseError:
        return
    found.signature = await _outcome(jws, keys.get(jws.kid))
    if not found.signature.startswith("holds"):
        found.against += (f"signature: {found.signature}",)


async def _outcome(jws: Jws, key: Any) -> str:
    if key is None:
        return "no usable key of this kid"
    if jws.algorithm not in key.algorithms:
        return f"the key is for {', '.join(sorted(key.algorithms))}, not for this alg"
    return f"holds, {jws.algorithm}" if await key.holds(jws) else "does not hold"


# ── the configured verifiers' word ────────────────────────────────────────────────────────────────────────────────


async def judge(found: Inspection, token: str, verifiers: Sequence[AnyVerifier]) -> None:
    """Ask the configured verifiers as the chain would; they fetch keys or ask the province for that.

    Args:
        found: is told what each said.
        token: what was looked into.
        verifiers: those that are configured, not started.
    """
    said: dict[str, str] = {}
    for verifier, seen in zip(verifiers, found.judges, strict=True):
        if seen.asked and "verified" not in said.values():
            said[verifier.name], against = await _heard(verifier, token)
            if against:
                found.against += (f"{verifier.name}: {said[verifier.name]}",)
                break
    found.judges = tuple(msgspec.structs.replace(one, said=said.get(one.name, "")) for one in found.judges)
    if found.judges and set(said.values()) <= {"not mine"}:
        found.against += ("no verifier knows it",)


async def _heard(verifier: AnyVerifier, token: str) -> tuple[str, bool]:
    """What it says, and whether that speaks against the token and ends the chain."""
    try:
        await verifier.start()
        principal = await verifier.verify(Credential("inspect", token))
    except CredentialRejected as error:
        return f"rejected: {error.detail}", True
    except CannotDecide as error:
        return f"cannot tell: {error.detail}", True
    except Exception as error:  # noqa: BLE001 - whatever broke in a part is what is asked for here
        return f"broke: {error!r}", True
    finally:
        await verifier.stop()
    return ("not mine" if principal is None else "verified"), False
