"""Tokens of the province's identity platform that carry their own proof: signed JWTs, checked with its published keys.

RFC 9068 says what is in them, RFC 8725 what to refuse. province_introspection.py asks the platform instead.
"""

from typing import Any

from pydantic import Field, model_validator

from gateway import (
    Algorithm,
    ClaimsError,
    ClaimSettings,
    Credential,
    CredentialRejected,
    Duration,
    JoseError,
    Jws,
    KeyPolicy,
    KeySet,
    PartContext,
    Principal,
    Verifier,
    check_platform_address,
    read_jws,
    read_principal,
    unverified_issuer,
)


class ProvinceJwtConfig(ClaimSettings):
    """Whose tokens, which keys, and how old those may get."""

    audience: str = Field(min_length=1, description="what `aud` must be or contain: this department")
    jwks: str = Field(description="address of the issuer's key set (RFC 7517); https, or http on this machine")
    allow_http: bool = Field(False, description="allow plain http to another machine")
    algorithms: tuple[Algorithm, ...] = Field(
        ("RS256", "ES256", "EdDSA"), min_length=1, description="what the issuer signs with; a key fixes which one"
    )
    types: tuple[str, ...] = Field(
        ("at+jwt", "JWT"), description="values of the header's `typ` that are accepted; [] accepts any, and none"
    )
    soft_ttl: Duration = Field(300.0, ge=1, description="keys are fetched anew before this age")
    hard_ttl: Duration = Field(3600.0, description="without newer keys nothing is judged after this age; 503")
    min_refetch: Duration = Field(30.0, ge=1, description="unknown key ids cause at most one fetch in this time")
    timeout: Duration = Field(3.0, gt=0, le=10, description="for one fetch of the keys")

    @model_validator(mode="after")
    def _is_sound(self) -> "ProvinceJwtConfig":
        check_platform_address(self.jwks, allow_http=self.allow_http)
        if self.hard_ttl <= self.soft_ttl:
            raise ValueError("hard_ttl must be longer than soft_ttl")
        return self


class ProvinceJwt(Verifier[ProvinceJwtConfig]):
    """Judges the JWTs of one issuer without asking it each time.

    Attributes:
        keys: the issuer's keys; `keys.age` is their age in seconds.
    """

    Config = ProvinceJwtConfig

    def __init__(self, config: ProvinceJwtConfig, context: PartContext) -> None:
        super().__init__(config, context)
        self.issuers = (config.issuer,)
        self._types = frozenset(name.lower().removeprefix("application/") for name in config.types)
        policy = KeyPolicy(
            algorithms=frozenset(config.algorithms),
            soft_ttl=config.soft_ttl,
            hard_ttl=config.hard_ttl,
            min_refetch=config.min_refetch,
            timeout=config.timeout,
        )
        self.keys = KeySet(config.jwks, policy, context, self._forget_verdicts)

    async def start(self) -> None:
        """Begin to keep the keys; the province may be down."""
        await self.keys.start()

    async def stop(self) -> None:
        """Stop keeping the keys."""
        await self.keys.stop()

    def status(self) -> dict[str, Any]:
        """How old the keys are; None before there are any."""
        return {"key_age": self.keys.age}

    async def verify(self, credential: Credential) -> Principal | None:
        """Judge a JWT whose `iss` is the configured one; None for every other token.

        Raises:
            CredentialRejected: form, type, algorithm, key, signature or a claim is not as it must be.
            VerifierUnavailable: there are no keys to check it with.
        """
        token = credential.token or ""
        if unverified_issuer(token) != self.config.issuer:
            return None
        try:
            jws = read_jws(token)
            await self._check_signature(jws)
            return read_principal(jws.claims, self.config, self.context.clock(), self.name)
        except (JoseError, ClaimsError) as error:
            raise CredentialRejected(str(error)) from None

    async def _check_signature(self, jws: Jws) -> None:
        if jws.algorithm not in self.config.algorithms:
            raise JoseError("alg is not one of the issuer's")
        if self._types and jws.type not in self._types:
            raise JoseError("typ is not one of the issuer's")
        key = await self.keys.find(jws.kid)
        if key is None:
            raise JoseError("the issuer has no key of this kid")
        if not key.verifies(jws):
            raise JoseError("the signature does not hold")

    def _forget_verdicts(self) -> None:
        self.epoch += 1
