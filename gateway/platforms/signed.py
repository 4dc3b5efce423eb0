"""Tokens that a platform signed: which keys count, and whether type, algorithm and signature of one hold.

tokens/claims.py judges what they say; tokens/keys.py keeps the keys.
"""

from collections.abc import Callable

from pydantic import Field, model_validator

from gateway.contracts import PartContext, Settings
from gateway.crypto import CryptoError
from gateway.errors import VerifierUnavailable
from gateway.tokens.jose import Algorithm, JoseError, Jws, read_jws
from gateway.tokens.keys import KeyPolicy, KeySet
from gateway.tokens.national import Sm2Settings
from gateway.units import Duration


class KeySetSettings(Settings):
    """Where a platform's keys are, and how old they may get."""

    jwks: str = Field(description="key set (RFC 7517)")
    algorithms: tuple[Algorithm, ...] = Field(
        ("RS256", "ES256", "EdDSA"), min_length=1, description="what it signs with; a key fixes which one"
    )
    sm2: Sm2Settings = Field(Sm2Settings(), description="how it signs, for `SGD_SM3_SM2`")
    soft_ttl: Duration = Field(300.0, ge=1, description="keys are fetched anew before this age")
    hard_ttl: Duration = Field(3600.0, description="without newer keys nothing is judged after this age; 503")
    min_refetch: Duration = Field(30.0, ge=1, description="unknown key ids cause at most one fetch in this time")

    @model_validator(mode="after")
    def _ages_in_order(self) -> "KeySetSettings":
        if self.hard_ttl <= self.soft_ttl:
            raise ValueError("hard_ttl must be longer than soft_ttl")
        return self


class SignedTokens:
    """Tokens of one platform.

    Attributes:
        keys: its keys; whoever uses them starts and stops them.

    Args:
        settings: see KeySetSettings.
        timeout: seconds for one fetch of the keys.
        context: of the part.
        withdrawn: see KeySet.
    """

    def __init__(
        self, settings: KeySetSettings, timeout: float, context: PartContext, withdrawn: Callable[[], None]
    ) -> None:
        self._algorithms = frozenset[str](settings.algorithms)
        policy = KeyPolicy(
            self._algorithms, settings.soft_ttl, settings.hard_ttl, settings.min_refetch, timeout, settings.sm2
        )
        self.keys = KeySet(settings.jwks, policy, context, withdrawn)

    async def read(self, token: str, types: frozenset[str]) -> Jws:
        """Take a token apart whose type, algorithm, key and signature hold.

        Args:
            token: compact JWS.
            types: values of `typ` it may have, lower case, without `application/`; `""` stands for none.

        Raises:
            JoseError: one of them does not hold.
            VerifierUnavailable: nobody can tell now.
        """
        jws = read_jws(token)
        if jws.algorithm not in self._algorithms:
            raise JoseError("alg is not one of the issuer's")
        if jws.type not in types:
            raise JoseError("typ is not one of those that are expected here")
        key = await self.keys.find(jws.kid)
        try:
            holds = key is not None and await key.holds(jws)
        except CryptoError as error:
            raise VerifierUnavailable(f"the signature cannot be checked: {error}") from None
        if not holds:
            raise JoseError("the issuer has no such key, or the signature does not hold")
        return jws
