"""Tokens of the province's identity platform that carry their own proof: signed JWTs, checked with its published keys.

RFC 9068 says what is in them, RFC 8725 what to refuse, docs/cryptography.md how those with SM2 are read.
province_introspection.py asks the platform instead.
"""

from typing import Any, Literal

from pydantic import Field, SecretStr, model_validator

from gateway import (
    Algorithm,
    ClaimsError,
    ClaimSettings,
    Credential,
    CredentialRejected,
    CryptoError,
    Duration,
    JoseError,
    Jws,
    KeyPolicy,
    KeySet,
    PartContext,
    Principal,
    PublicKey,
    Sm2Settings,
    Verifier,
    VerifierUnavailable,
    check_platform_address,
    read_jws,
    read_principal,
    shared_key,
    unverified_issuer,
)

SHORTEST_SECRET = 32
"""Bytes: as many as the MAC has (RFC 7518 §3.2)."""
SM3_MAC = "SGD_SM3_HMAC"


class ProvinceJwtConfig(ClaimSettings):
    """Whose tokens, which keys, and how old those may get."""

    audience: str = Field(min_length=1, description="what `aud` must be or contain: this department")
    jwks: str | None = Field(
        None,
        description="address of the issuer's key set (RFC 7517); https, or http on this machine; "
        "needed unless it signs with `shared_keys` alone",
    )
    allow_http: bool = Field(False, description="allow plain http to another machine")
    algorithms: tuple[Algorithm | Literal["SGD_SM3_HMAC"], ...] = Field(
        ("RS256", "ES256", "EdDSA"), min_length=1, description="what the issuer signs with; a key fixes which one"
    )
    sm2: Sm2Settings = Field(Sm2Settings(), description="how it signs, for `SGD_SM3_SM2`")
    shared_keys: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="secrets by `kid`, for `SGD_SM3_HMAC`: 32 bytes or more each, by reference",
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
        if self.jwks is not None:
            check_platform_address(self.jwks, allow_http=self.allow_http)
        self._check_keys()
        if self.hard_ttl <= self.soft_ttl:
            raise ValueError("hard_ttl must be longer than soft_ttl")
        return self

    def _check_keys(self) -> None:
        from_set = set(self.algorithms) - {SM3_MAC}
        if bool(from_set) != (self.jwks is not None):
            raise ValueError(f"jwks is needed for every algorithm but {SM3_MAC}, and for that one it is not")
        if bool(self.shared_keys) != (SM3_MAC in self.algorithms):
            raise ValueError(f"shared_keys and {SM3_MAC} among the algorithms belong together")
        if any(len(key.get_secret_value().encode()) < SHORTEST_SECRET for key in self.shared_keys.values()):
            raise ValueError(f"a shared key has fewer than {SHORTEST_SECRET} bytes")


class ProvinceJwt(Verifier[ProvinceJwtConfig]):
    """Judges the JWTs of one issuer without asking it each time.

    Attributes:
        keys: the issuer's keys; `keys.age` is their age in seconds. None where secrets are shared with it.
    """

    Config = ProvinceJwtConfig

    def __init__(self, config: ProvinceJwtConfig, context: PartContext) -> None:
        super().__init__(config, context)
        self.issuers = (config.issuer,)
        self._types = frozenset(name.lower().removeprefix("application/") for name in config.types)
        self._shared = {
            kid: shared_key(kid, secret.get_secret_value().encode(), context.crypto)
            for kid, secret in config.shared_keys.items()
        }
        self.keys = None if config.jwks is None else self._key_set(config.jwks)

    def _key_set(self, url: str) -> KeySet:
        config = self.config
        policy = KeyPolicy(
            algorithms=frozenset(config.algorithms),
            soft_ttl=config.soft_ttl,
            hard_ttl=config.hard_ttl,
            min_refetch=config.min_refetch,
            timeout=config.timeout,
            sm2=config.sm2,
        )
        return KeySet(url, policy, self.context, self._forget_verdicts)

    async def start(self) -> None:
        """Begin to keep the keys; the province may be down."""
        if self.keys is not None:
            await self.keys.start()

    async def stop(self) -> None:
        """Stop keeping the keys."""
        if self.keys is not None:
            await self.keys.stop()

    async def refresh_keys(self) -> str | None:
        """Fetch the keys now (Verifier.refresh_keys)."""
        return None if self.keys is None else await self.keys.refresh()

    def status(self) -> dict[str, Any]:
        """How old the keys are, None before there are any, and which."""
        shared = [{"kid": kid, "alg": SM3_MAC} for kid in self._shared]
        if self.keys is None:
            return {"keys": shared}
        return {"key_age": self.keys.age, "keys": [*self.keys.listed(), *shared]}

    async def verify(self, credential: Credential) -> Principal | None:
        """Judge a JWT whose `iss` is the configured one; None for every other token.

        Raises:
            CredentialRejected: form, type, algorithm, key, signature or a claim is not as it must be.
            VerifierUnavailable: there are no keys to check it with, or what checks SM2 is out of order.
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
        except CryptoError as error:
            raise VerifierUnavailable(f"SM2 and SM3 cannot be checked: {error}") from error

    async def _check_signature(self, jws: Jws) -> None:
        if jws.algorithm not in self.config.algorithms:
            raise JoseError("alg is not one of the issuer's")
        if self._types and jws.type not in self._types:
            raise JoseError("typ is not one of the issuer's")
        key = await self._key(jws.kid)
        if key is None:
            raise JoseError("the issuer has no key of this kid")
        if not await key.holds(jws):
            raise JoseError("the signature does not hold")

    async def _key(self, kid: str) -> PublicKey | None:
        if kid in self._shared or self.keys is None:
            return self._shared.get(kid)
        return await self.keys.find(kid)

    def _forget_verdicts(self) -> None:
        self.epoch += 1
