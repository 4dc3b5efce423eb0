"""Tokens that only the province's identity platform can judge: it is asked (RFC 7662), with deadline and breaker.

What is not plainly yes or no is no answer: 503, never 401. province_jwt.py judges signed tokens without asking.
"""

from typing import Any

from pydantic import Field, SecretStr, model_validator

from gateway import (
    CallSettings,
    ClaimSettings,
    Credential,
    Introspection,
    PartContext,
    PlatformCalls,
    Principal,
    VerdictSettings,
    Verifier,
    check_platform_address,
    client_fields,
    is_bearer_token,
    looks_like_jwt,
)


class ProvinceIntrospectionConfig(ClaimSettings, VerdictSettings, CallSettings):
    """Whom to ask, as whom, and how patiently."""

    endpoint: str = Field(description="introspection endpoint; https, or http on this machine")
    client_id: str = Field(min_length=1, description="this department at the platform")
    client_secret: SecretStr = Field(min_length=1, description="its secret, by reference")
    jwt: bool = Field(False, description="ask about JWTs too, not only about opaque tokens")

    @model_validator(mode="after")
    def _is_sound(self) -> "ProvinceIntrospectionConfig":
        check_platform_address(self.endpoint, allow_http=self.allow_http)
        return self


class ProvinceIntrospection(Verifier[ProvinceIntrospectionConfig]):
    """Asks the platform about each token; the chain remembers what it said.

    Attributes:
        calls: the questions to it.
    """

    Config = ProvinceIntrospectionConfig

    def __init__(self, config: ProvinceIntrospectionConfig, context: PartContext) -> None:
        super().__init__(config, context)
        self.remember_rejected = config.remember_rejected
        self.calls = PlatformCalls(config, context)
        client = client_fields(config.client_id, config.client_secret)
        self._introspection = Introspection(config.endpoint, client, config, config.remember, self.calls, context)

    def status(self) -> dict[str, Any]:
        """The breaker's state and the clock's offset."""
        return self.calls.status()

    async def verify(self, credential: Credential) -> Principal | None:
        """Ask about a bearer token; None for a session, and for a JWT unless `jwt` is set.

        Raises:
            CredentialRejected: the platform says no, or that it is for somebody else.
            VerifierUnavailable: the platform did not say, or must not be asked now.
        """
        token = credential.token or ""
        if not is_bearer_token(token) or (looks_like_jwt(token) and not self.config.jwt):
            return None
        return await self._introspection.judge(token)
