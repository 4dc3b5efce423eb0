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
    Duration,
    JoseError,
    KeySet,
    KeySettings,
    PartContext,
    Principal,
    SignedTokens,
    Verifier,
    check_platform_address,
    read_principal,
    shared_key,
    type_names,
    unverified_issuer,
)

SHORTEST_SECRET = 32
"""Bytes: as many as the MAC has (RFC 7518 §3.2)."""
SM3_MAC = "SGD_SM3_HMAC"


class ProvinceJwtConfig(ClaimSettings, KeySettings):
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
    shared_keys: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="secrets by `kid`, for `SGD_SM3_HMAC`: 32 bytes or more each, by reference",
    )
    types: tuple[str, ...] = Field(
        ("at+jwt", "JWT"), description="values of the header's `typ` that are accepted; [] accepts any, and none"
    )
    timeout: Duration = Field(3.0, gt=0, le=10, description="for one fetch of the keys")

    @model_validator(mode="after")
    def _is_sound(self) -> "ProvinceJwtConfig":
        if self.jwks is not None:
            check_platform_address(self.jwks, allow_http=self.allow_http)
        self._check_keys()
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
        signed: what the issuer signed.
        keys: its keys; `keys.age` is their age in seconds. None where secrets are shared with it.
    """

    Config = ProvinceJwtConfig

    def __init__(self, config: ProvinceJwtConfig, context: PartContext) -> None:
        super().__init__(config, context)
        self.issuers = (config.issuer,)
        policy = config.policy(config.algorithms, config.timeout)
        self.keys = None if config.jwks is None else KeySet(config.jwks, policy, context, self._forget_verdicts)
        shared = {
            kid: shared_key(kid, secret.get_secret_value().encode(), context.crypto)
            for kid, secret in config.shared_keys.items()
        }
        self.signed = SignedTokens(config.algorithms, self.keys, shared)
        self._types = type_names(config.types) or None

    async def start(self) -> None:
        """Begin to keep the keys; the province may be down."""
        await self.signed.start()

    async def stop(self) -> None:
        """Stop keeping the keys."""
        await self.signed.stop()

    async def refresh_keys(self) -> str | None:
        """Fetch the keys now (Verifier.refresh_keys)."""
        return await self.signed.refresh_keys()

    def status(self) -> dict[str, Any]:
        """How old the keys are, None before there are any, and which; the offset of the clock of who serves them."""
        return self.signed.status()

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
            jws = await self.signed.read(token, self._types)
            return read_principal(jws.claims, self.config, self.context.clock(), self.name)
        except (JoseError, ClaimsError) as error:
            raise CredentialRejected(str(error)) from None

    def _forget_verdicts(self) -> None:
        self.epoch += 1
