"""Tokens that only the province's identity platform can judge: it is asked (RFC 7662), with deadline and breaker.

What is not plainly yes or no is no answer: 503, never 401. province_jwt.py judges signed tokens without asking.
"""

import asyncio
from base64 import b64encode
from typing import Any
from urllib.parse import quote_plus, urlencode

from pydantic import Field, SecretStr, model_validator

from gateway import (
    Breaker,
    ClaimsError,
    ClaimSettings,
    Credential,
    CredentialRejected,
    Duration,
    HttpAnswer,
    JoseError,
    MalformedClaimsError,
    PartContext,
    Principal,
    Verifier,
    VerifierUnavailable,
    check_platform_address,
    is_bearer_token,
    looks_like_jwt,
    read_json,
    read_principal,
)


class ProvinceIntrospectionConfig(ClaimSettings):
    """Whom to ask, as whom, and how patiently."""

    endpoint: str = Field(description="introspection endpoint; https, or http on this machine")
    allow_http: bool = Field(False, description="allow plain http to another machine")
    client_id: str = Field(min_length=1, description="this department at the platform")
    client_secret: SecretStr = Field(min_length=1, description="its secret, by reference")
    jwt: bool = Field(False, description="ask about JWTs too, not only about opaque tokens")
    timeout: Duration = Field(3.0, gt=0, le=10, description="for one question")
    concurrency: int = Field(32, ge=1, description="most questions at once; beyond it 503")
    failures: int = Field(5, ge=1, description="failed questions in a row after which nobody is asked for a while")
    pause: Duration = Field(3.0, gt=0, description="that while; then one question finds out")
    remember: Duration = Field(30.0, ge=0, le=60, description="how long a yes may be remembered, never past `exp`")
    remember_rejected: Duration = Field(5.0, ge=0, le=60, description="how long a no may be remembered")

    @model_validator(mode="after")
    def _is_sound(self) -> "ProvinceIntrospectionConfig":
        check_platform_address(self.endpoint, allow_http=self.allow_http)
        return self


class ProvinceIntrospection(Verifier[ProvinceIntrospectionConfig]):
    """Asks the platform about each token; the chain remembers what it said.

    Attributes:
        breaker: stops the questions while the platform fails.
    """

    Config = ProvinceIntrospectionConfig

    def __init__(self, config: ProvinceIntrospectionConfig, context: PartContext) -> None:
        super().__init__(config, context)
        self.remember = config.remember
        self.remember_rejected = config.remember_rejected
        self.breaker = Breaker(config.failures, config.pause, context.monotonic)
        self._asking = 0
        pair = f"{quote_plus(config.client_id)}:{quote_plus(config.client_secret.get_secret_value())}"
        self._authorization = "Basic " + b64encode(pair.encode()).decode()  # RFC 6749 §2.3.1

    def status(self) -> dict[str, Any]:
        """The breaker's state."""
        return {"breaker": self.breaker.state}

    async def verify(self, credential: Credential) -> Principal | None:
        """Ask about a bearer token; None for a session, and for a JWT unless `jwt` is set.

        Raises:
            CredentialRejected: the platform says no, or that it is for somebody else.
            VerifierUnavailable: the platform did not say, or must not be asked now.
        """
        token = credential.token or ""
        if not is_bearer_token(token) or (looks_like_jwt(token) and not self.config.jwt):
            return None
        claims = await self._ask(token)
        if claims["active"] is False:
            raise CredentialRejected("the platform says that it is not active")
        now = self.context.clock()
        stated = {"iss": self.config.issuer, "exp": now + self.remember} | claims
        try:
            return read_principal(stated, self.config, now, self.name)
        except MalformedClaimsError as error:
            raise VerifierUnavailable(f"the platform's answer cannot be understood: {error}") from None
        except ClaimsError as error:
            raise CredentialRejected(str(error)) from None

    async def _ask(self, token: str) -> dict[str, Any]:
        if self._asking >= self.config.concurrency:
            raise VerifierUnavailable(f"{self._asking} questions are under way", retry_after=1.0)
        if not self.breaker.admits():
            raise VerifierUnavailable("the breaker is open", retry_after=max(1.0, self.breaker.retry_after))
        self._asking += 1
        try:
            claims = _read_answer(await self._post(token))
        except (OSError, JoseError) as error:
            self.breaker.failed()
            raise VerifierUnavailable(f"no usable answer: {error}") from None
        except asyncio.CancelledError:
            self.breaker.abandoned()
            raise
        finally:
            self._asking -= 1
        self.breaker.succeeded()
        return claims

    async def _post(self, token: str) -> HttpAnswer:
        fields = {
            "Authorization": self._authorization,
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        form = urlencode({"token": token, "token_type_hint": "access_token"}).encode()
        return await self.context.fetch(
            "POST", self.config.endpoint, fields=fields, body=form, timeout=self.config.timeout
        )


def _read_answer(answer: HttpAnswer) -> dict[str, Any]:
    """The members of a plain answer; those that are null count as missing.

    Raises:
        JoseError: it is not a JSON object with a truth value `active` and status 200.
    """
    if answer.status != 200:
        raise JoseError(f"status {answer.status}")
    claims = read_json(answer.body)
    if not isinstance(claims, dict) or not isinstance(claims.get("active"), bool):
        raise JoseError("no object with a truth value `active`")
    return {name: value for name, value in claims.items() if value is not None}
