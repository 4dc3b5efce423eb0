"""Tokens that one issuer signed: which keys count, and whether type, algorithm and signature of one hold.

claims.py judges what they say; keys.py keeps the keys that the issuer publishes.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pydantic import Field, model_validator

from gateway.contracts import Settings
from gateway.crypto import CryptoError
from gateway.errors import VerifierUnavailable
from gateway.tokens.jose import JoseError, Jws, PublicKey, read_jws
from gateway.tokens.keys import KeyPolicy, KeySet, Refreshed
from gateway.tokens.national import Sm2Settings
from gateway.units import Duration


class KeySettings(Settings):
    """How an issuer's keys are used, and how old they may get."""

    sm2: Sm2Settings = Field(Sm2Settings(), description="how it signs, for `SGD_SM3_SM2`")
    soft_ttl: Duration = Field(300.0, ge=1, description="keys are fetched anew before this age")
    hard_ttl: Duration = Field(3600.0, description="without newer keys nothing is judged after this age; 503")
    min_refetch: Duration = Field(30.0, ge=1, description="unknown key ids cause at most one fetch in this time")

    @model_validator(mode="after")
    def _ages_in_order(self) -> "KeySettings":
        if self.hard_ttl <= self.soft_ttl:
            raise ValueError("hard_ttl must be longer than soft_ttl")
        return self

    def policy(self, algorithms: Collection[str], timeout: float) -> KeyPolicy:
        """These settings for a KeySet.

        Args:
            algorithms: what the issuer signs with.
            timeout: seconds for one fetch of the keys.
        """
        return KeyPolicy(frozenset(algorithms), self.soft_ttl, self.hard_ttl, self.min_refetch, timeout, self.sm2)


class SignedTokens:
    """Tokens of one issuer.

    Attributes:
        keys: what it publishes; None where secrets are all that it signs with.

    Args:
        algorithms: what it signs with.
        keys: see above.
        shared: secrets that are shared with it, by `kid` (`shared_key`); they go before keys of the set.
    """

    def __init__(
        self, algorithms: Collection[str], keys: KeySet | None, shared: Mapping[str, PublicKey] | None = None
    ) -> None:
        self.keys = keys
        self._algorithms = frozenset(algorithms)
        self._shared = dict(shared or {})

    async def start(self) -> None:
        """Begin to keep the keys; the issuer may be down."""
        if self.keys is not None:
            await self.keys.start()

    async def stop(self) -> None:
        """Stop keeping the keys."""
        if self.keys is not None:
            await self.keys.stop()

    async def refresh_keys(self) -> Refreshed | None:
        """Fetch the keys now (Verifier.refresh_keys); None where there are none to fetch."""
        return None if self.keys is None else await self.keys.refresh()

    def status(self) -> dict[str, Any]:
        """What Verifier.status tells of the keys, the shared ones behind those of the set."""
        shared = [{"kid": kid, "alg": " ".join(key.algorithms)} for kid, key in self._shared.items()]
        if self.keys is None:
            return {"keys": shared}
        status: dict[str, Any] = {"key_age": self.keys.age, "keys": [*self.keys.listed(), *shared]}
        return status | ({"clock_offsets": self.keys.clock_offsets} if self.keys.clock_offsets else {})

    async def read(self, token: str, types: frozenset[str] | None) -> Jws:
        """Take a token apart whose type, algorithm, key and signature hold.

        Args:
            token: compact JWS.
            types: values of `typ` it may have, as `type_names` gives them; `""` stands for none. None: whatever it has.

        Raises:
            JoseError: one of them does not hold.
            VerifierUnavailable: there are no keys to check it with, or what checks SM2 is out of order.
        """
        jws = read_jws(token)
        if jws.algorithm not in self._algorithms:
            raise JoseError("alg is not one of the issuer's")
        if types is not None and jws.type not in types:
            raise JoseError("typ is not one of those that are expected here")
        key = await self._find(jws.kid)
        if key is None:
            raise JoseError("the issuer has no key of this kid")
        try:
            holds = await key.holds(jws)
        except CryptoError as error:
            raise VerifierUnavailable(f"the signature cannot be checked: {error}") from error
        if not holds:
            raise JoseError("the signature does not hold")
        return jws

    async def _find(self, kid: str) -> PublicKey | None:
        if kid in self._shared or self.keys is None:
            return self._shared.get(kid)
        return await self.keys.find(kid)


def type_names(names: Iterable[str]) -> frozenset[str]:
    """Media types as `Jws.type` has them: lower case, without `application/` (RFC 7515 §4.1.9)."""
    return frozenset(name.lower().removeprefix("application/") for name in names)
