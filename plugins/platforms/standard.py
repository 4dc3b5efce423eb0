"""A platform that speaks the standards: OAuth 2 with PKCE and OpenID Connect, JWTs by its key set, introspection.

RFC 6749, 7009, 7636, 7662, 8693, 9068, 9207, 9470; OpenID Connect Core and RP-Initiated Logout. The other files here
are for platforms that do it their own way.
"""

import asyncio
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from msgspec.structs import replace
from pydantic import Field, SecretStr, field_validator, model_validator

from gateway import (
    Algorithm,
    CallSettings,
    ClaimsError,
    ClaimSettings,
    Credential,
    CredentialRejected,
    Duration,
    HttpAnswer,
    Introspection,
    JoseError,
    KeySet,
    KeySettings,
    Kind,
    Login,
    PartContext,
    Platform,
    PlatformCalls,
    Principal,
    Profile,
    SignedTokens,
    SignIn,
    SignInMalformed,
    SignInRefused,
    Unit,
    UntrueAnswer,
    VerdictSettings,
    VerifierUnavailable,
    add_query,
    check_form,
    check_kind,
    check_platform_address,
    client_fields,
    is_bearer_token,
    looks_like_jwt,
    members_of,
    read_number,
    read_object,
    read_principal,
    read_profile,
    read_text,
    read_token,
    read_unit,
    signing_in,
    type_names,
    unverified_issuer,
)

_ADDRESSES = ("authorization", "token", "jwks", "userinfo", "introspection", "revocation", "end_session", "notice")
_REFUSALS = frozenset({"invalid_grant", "access_denied"})
_ID_TOKEN_TYPES = frozenset({"", "jwt"})


class StandardConfig(ClaimSettings, KeySettings, VerdictSettings, CallSettings):
    """Our client, the platform's endpoints, and how its tokens are read."""

    jwks: str = Field(description="key set (RFC 7517)")
    algorithms: tuple[Algorithm, ...] = Field(
        ("RS256", "ES256", "EdDSA"), min_length=1, description="what it signs with; a key fixes which one"
    )
    client_id: str = Field(min_length=1, description="this department at the platform; `aud` of its ID tokens")
    client_secret: SecretStr = Field(min_length=1, description="its secret, by reference; sent as HTTP Basic")
    authorization: str = Field(description="authorization endpoint, for browsers; https, or http on this machine")
    token: str = Field(description="token endpoint")
    userinfo: str | None = Field(None, description="where profiles are; nobody's profile is known when missing")
    introspection: str | None = Field(None, description="where opaque tokens are judged; they are not when missing")
    revocation: str | None = Field(None, description="where our token is given back at the end of a session (RFC 7009)")
    notice: str | None = Field(None, description="where the end of a session is told to, as a form with `sid`")
    end_session: str | None = Field(None, description="logout page (OpenID Connect RP-Initiated Logout 1.0)")
    scope: str = Field("openid profile", pattern=r"\bopenid\b", description="what is asked for; with `openid`")
    kind_parameter: str | None = Field(
        "subject_type", description="authorization parameter that says natural or legal; not said when null"
    )
    form_post: bool = Field(False, description="the browser comes back with a form instead of an address with the code")
    profile: dict[str, str] = Field(
        default={
            "name": "name",
            "id_type": "id_type",
            "id_number": "id_number",
            "mobile": "mobile",
            "email": "email",
            "user_name": "username",
            "nation": "nation",
            "sex": "gender",
            "post": "post",
            "workplace": "workplace",
            "address": "address",
            "real_name": "real_name_verified",
        },
        description="items of a person's profile, and their names at the platform",
    )
    unit_profile: dict[str, str] = Field(
        default={
            "name": "organization_name",
            "uscc": "unified_social_credit_code",
            "address": "organization_address",
            "legal_representative": "legal_representative",
            "registered_address": "registered_address",
            "registered_on": "registration_date",
            "business_scope": "business_scope",
            "real_name": "real_name_verified",
        },
        description="items of a unit's profile, and their names at the platform",
    )
    tokens: str = Field(
        r"[A-Za-z0-9._~+/*@-]+=*",
        description="form of its opaque tokens, a regular expression; others are left to the next verifier",
    )
    types: tuple[str, ...] = Field(("at+jwt", "JWT"), description="values of `typ` of its access tokens")
    lifetime: Duration = Field(28800.0, gt=0, le=86400, description="how long its sign-ins hold at most")

    @field_validator("tokens")
    @classmethod
    def _is_form(cls, tokens: str) -> str:
        return check_form(tokens)

    @model_validator(mode="after")
    def _is_sound(self) -> "StandardConfig":
        for name in _ADDRESSES:
            if getattr(self, name) is not None:
                check_platform_address(getattr(self, name), allow_http=self.allow_http)
        return self


class Standard(Platform[StandardConfig]):
    """People sign in with the code flow; JWTs are checked with the platform's keys, other tokens by asking it.

    Attributes:
        signed: what it signed.
        keys: what it signs with.
        calls: the questions to it.
    """

    Config = StandardConfig

    def __init__(self, config: StandardConfig, context: PartContext) -> None:
        super().__init__(config, context)
        self.remember_rejected = config.remember_rejected
        self.calls = PlatformCalls(config, context)
        # Each with a breaker of its own: where no farewell is heard people sign in all the same, and say the other one.
        self._farewells = {url: PlatformCalls(config, context) for url in (config.notice, config.revocation) if url}
        policy = config.policy(config.algorithms, config.timeout)
        self.keys = KeySet(config.jwks, policy, context, self._forget_verdicts)
        self.signed = SignedTokens(config.algorithms, self.keys)
        self._tokens = re.compile(config.tokens)
        self._types = type_names(config.types)
        self._as_client = config.model_copy(update={"audience": config.client_id})
        self._client = client_fields(config.client_id, config.client_secret)
        self._introspection = None if config.introspection is None else self._introspecting(config.introspection)

    def _introspecting(self, endpoint: str) -> Introspection:
        return Introspection(endpoint, self._client, self.config, self.config.remember, self.calls, self.context)

    async def start(self) -> None:
        """Begin to keep the keys; the platform may be down."""
        await self.signed.start()

    async def stop(self) -> None:
        """Stop keeping the keys."""
        await self.signed.stop()

    async def refresh_keys(self) -> str | None:
        """Fetch the keys now (Verifier.refresh_keys)."""
        return await self.signed.refresh_keys()

    def status(self) -> dict[str, Any]:
        """Age and list of the keys, the breaker's state and the offsets of clocks."""
        offsets = self.keys.clock_offsets | self.calls.clock_offsets
        status = self.signed.status() | self.calls.status()
        return status | ({"clock_offsets": offsets} if offsets else {})

    # ── tokens ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def verify(self, credential: Credential) -> Principal | None:
        """Judge a JWT of this issuer, or an opaque token where introspection is configured; None for every other.

        Raises:
            CredentialRejected: it does not hold, or the platform says no.
            VerifierUnavailable: there are no keys, or the platform did not say.
        """
        token = credential.token or ""
        if looks_like_jwt(token):
            return await self._verify_jwt(token) if unverified_issuer(token) == self.config.issuer else None
        if self._introspection is None or not is_bearer_token(token) or not self._tokens.fullmatch(token):
            return None
        return _acted_for(await self._introspection.judge(token))

    async def _verify_jwt(self, token: str) -> Principal:
        try:
            jws = await self.signed.read(token, self._types)
            return _acted_for(read_principal(jws.claims, self.config, self.context.clock(), self.name))
        except (JoseError, ClaimsError) as error:
            raise CredentialRejected(str(error)) from None

    def _forget_verdicts(self) -> None:
        self.epoch += 1

    # ── signing in ────────────────────────────────────────────────────────────────────────────────────────────────

    def login_address(self, login: Login) -> str:
        """The authorization request (RFC 6749 §4.1.1, RFC 7636 §4.3, OpenID Connect Core §3.1.2.1)."""
        config = self.config
        if login.kind not in config.kinds.values():
            raise SignInMalformed(f"{self.name} signs in no {login.kind} persons")
        asked = {
            "response_type": "code",
            "client_id": config.client_id,
            "redirect_uri": login.callback,
            "scope": config.scope,
            "state": login.state,
            "nonce": login.nonce,
            "code_challenge": urlsafe_b64encode(sha256(login.secret.encode()).digest()).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        wishes = {
            config.kind_parameter: next(name for name, kind in config.kinds.items() if kind is login.kind),
            "response_mode": "form_post" if config.form_post else None,
            "acr_values": login.acr_values,
            "max_age": None if login.max_age is None else str(login.max_age),
        }
        return add_query(config.authorization, asked | {n: value for n, value in wishes.items() if n and value})

    async def redeem(self, answer: Mapping[str, str], login: Login) -> SignIn:
        """Exchange the code of a callback, once; check the ID token; ask for the profile."""
        with signing_in():
            if answer.get("iss", self.config.issuer) != self.config.issuer:
                raise SignInRefused("the callback is another issuer's (RFC 9207)")
            code = answer.get("code", "")
            await self.calls.use(code)
            access_token, id_token = await self._exchange(code, login)
            principal = await self._read_id_token(id_token, login)
            person = Profile() if principal.kind is Kind.LEGAL else None
            signed_in = SignIn(principal, person=person, token=access_token, logout_hint=id_token, ticket=code)
            if self.config.userinfo is None:
                return signed_in
            fields = {"Authorization": f"Bearer {access_token}"}
            url = self.config.userinfo
            return await self.calls.ask(url, lambda said: self._described(said, signed_in), method="GET", fields=fields)

    async def _exchange(self, code: str, login: Login) -> tuple[str, str]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": login.callback,
            "code_verifier": login.secret,
        }
        return await self.calls.ask(self.config.token, _read_tokens, form=form, fields=self._client)

    async def _read_id_token(self, token: str, login: Login) -> Principal:
        """Whom an ID token speaks of (OpenID Connect Core §3.1.3.7).

        Raises:
            UntrueAnswer: it does not hold, is not for us, or not of this login.
            CredentialRejected: it speaks of a unit for which nobody acts, or of a person where a unit was asked for.
        """
        try:
            claims = (await self.signed.read(token, _ID_TOKEN_TYPES)).claims
            principal = read_principal(claims, self._as_client, self.context.clock(), self.name)
            nonce, party = read_text(claims, "nonce") or "", claims.get("azp", self.config.client_id)
        except (JoseError, ClaimsError) as error:
            raise UntrueAnswer(f"ID token: {error}") from None
        if not hmac.compare_digest(nonce.encode(), login.nonce.encode()) or party != self.config.client_id:
            raise UntrueAnswer("ID token: of another login, or for another client")
        if login.max_age is not None and principal.authenticated_at is None:
            raise UntrueAnswer("ID token: without auth_time, which max_age asks for")
        check_kind(principal, login)
        return replace(_acted_for(principal), expires_at=self.context.clock() + self.config.lifetime)

    def _described(self, answer: HttpAnswer, signed_in: SignIn) -> SignIn:
        """With the profile; it has to be of the person of the ID token (OpenID Connect Core §5.3.2)."""
        about, principal = read_object(answer), signed_in.principal
        if about.get("sub") != principal.subject:
            raise UntrueAnswer("the profile is somebody else's")
        unit = principal.kind is Kind.LEGAL
        return replace(
            signed_in,
            profile=self._profile(about, principal.kind),
            person=self._acting(about) if unit else None,
            units=() if unit else self._units(about),
        )

    def _profile(self, about: Mapping[str, Any], kind: Kind) -> Profile:
        said = about["profile"] if isinstance(about.get("profile"), dict) else about
        names = self.config.unit_profile if kind is Kind.LEGAL else self.config.profile
        return read_profile(said, names, unit=kind is Kind.LEGAL)

    def _acting(self, about: Mapping[str, Any]) -> Profile:
        act = about.get("act")
        return self._profile(act, Kind.NATURAL) if isinstance(act, dict) else Profile()

    def _units(self, about: Mapping[str, Any]) -> tuple[Unit, ...]:
        listed = about.get("units", [])
        units = [members_of(one) for one in listed] if isinstance(listed, list) else []
        return tuple(
            found
            for unit in units
            for found in read_unit(unit.get("sub"), unit.get("name"), self._profile(unit, Kind.LEGAL))
        )

    # ── signing out ───────────────────────────────────────────────────────────────────────────────────────────────

    def logout_address(self, signed_in: SignIn, return_to: str) -> str | None:
        """The logout page, where there is one (RP-Initiated Logout §2)."""
        if self.config.end_session is None:
            return None
        hint = {"id_token_hint": signed_in.logout_hint} if signed_in.logout_hint else {}
        asked = {"client_id": self.config.client_id, "post_logout_redirect_uri": return_to}
        return add_query(self.config.end_session, hint | asked)

    async def end(self, signed_in: SignIn) -> None:
        """Tell the end of the session, and give the token back, where there is somewhere to; one as well as the other.

        Raises:
            VerifierUnavailable: at least one of them did not arrive.
        """
        session, token = signed_in.principal.session, signed_in.token
        told = []
        if self.config.notice is not None and session is not None:
            told.append(self._tell(self.config.notice, {"sid": session}))
        if self.config.revocation is not None and token is not None:
            told.append(self._tell(self.config.revocation, {"token": token, "token_type_hint": "access_token"}))
        missed = [error for error in await asyncio.gather(*told, return_exceptions=True) if error is not None]
        if missed:
            raise VerifierUnavailable("; ".join(map(str, missed)))

    async def _tell(self, url: str, form: Mapping[str, str]) -> None:
        await self._farewells[url].ask(url, _read_receipt, form=form, fields=self._client)

    async def read_signed(self, token: str, types: frozenset[str]) -> Mapping[str, Any]:
        """Claims of a token that this platform signed for us (Platform.read_signed)."""
        try:
            claims = (await self.signed.read(token, types)).claims
            ends_at, issued_at = read_number(claims, "exp"), read_number(claims, "iat")
        except (JoseError, ClaimsError) as error:
            raise CredentialRejected(str(error)) from None
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        now = self.context.clock()
        if claims.get("iss") != self.config.issuer or self.config.client_id not in audiences:
            raise CredentialRejected("iss or aud is another")
        if (ends_at is not None and ends_at <= now) or (issued_at or 0.0) > now + self.config.leeway:
            raise CredentialRejected("expired, or issued in the future")
        return claims


def _acted_for(principal: Principal) -> Principal:
    """The principal as it came.

    Raises:
        CredentialRejected: it is a unit for which nobody acts.
    """
    if principal.kind is Kind.LEGAL and principal.operator is None:
        raise CredentialRejected("act is missing: nobody acts for the unit")
    return principal


def _read_tokens(answer: HttpAnswer) -> tuple[str, str]:
    """Access token and ID token (RFC 6749 §5.1).

    Raises:
        CredentialRejected: the code is bad (§5.2). ValueError: anything else.
    """
    said = read_object(answer, statuses=frozenset({200, 400}))
    if answer.status == 400:
        error = said.get("error")
        if error in _REFUSALS:
            raise CredentialRejected(f"the platform says no: {error}")
        raise ValueError("the token endpoint does not take our request")
    return read_token(said.get("access_token")), read_token(said.get("id_token"))


def _read_receipt(answer: HttpAnswer) -> None:
    if not 200 <= answer.status <= 299:
        raise ValueError(f"status {answer.status}")
