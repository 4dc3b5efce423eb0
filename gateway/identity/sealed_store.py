"""The shared store with every value sealed and every name a digest: what sessions.py and logins.py keep things in."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec
from pydantic import SecretStr

from gateway.contracts import Store
from gateway.identity.sealing import Sealing

K = TypeVar("K", bound=msgspec.Struct)

Listing = tuple[str, str]
"""What a list is about: which field, and its value (`("subject", "u-1")`). The store sees a keyed digest of it."""


class SealedStore:
    """Keeps structs. Every method that asks the store can raise StateUnavailable.

    Args:
        store: what all workers share.
        keys: see Sealing.
        purpose: see Sealing.

    Raises:
        ConfigurationError: a key is too short.
    """

    def __init__(self, store: Store, keys: Sequence[SecretStr], purpose: str) -> None:
        self._store = store
        self._sealing = Sealing(keys, purpose)

    async def read(self, entry: bytes, as_type: type[K]) -> K | None:
        """The value; None when there is none, when its time is over, or when it cannot be opened."""
        return self._opened(entry, await self._store.read(entry), as_type)

    async def take(self, entry: bytes, as_type: type[K]) -> K | None:
        """Read and drop in one step: of many that ask at once, one gets it."""
        return self._opened(entry, await self._store.take(entry), as_type)

    async def write(self, entry: bytes, value: msgspec.Struct, seconds: float, lists: Iterable[Listing] = ()) -> None:
        """Keep a value for so many seconds, in these lists."""
        names = [self._names(one)[0] for one in lists]
        await self._store.write(entry, self._sealed(entry, value), seconds, lists=names)

    async def replace(self, entry: bytes, value: msgspec.Struct, seconds: float) -> bool:
        """Like `write`, but only while there is a value; False when it was dropped meanwhile, which stays so."""
        return await self._store.replace(entry, self._sealed(entry, value), seconds)

    async def drop(self, entry: bytes) -> bool:
        """Forget a value; False when there was none."""
        return await self._store.drop(entry)

    async def first_use(self, entry: bytes, seconds: float) -> bool:
        """Note a use; False when it was noted before."""
        return await self._store.first_use(entry, seconds)

    async def listed(self, one: Listing) -> list[bytes]:
        """Entries in a list, also those that were written under an older key."""
        names = self._names(one)
        return list(dict.fromkeys([entry for name in names for entry in await self._store.listed(name)]))

    def _names(self, one: Listing) -> tuple[bytes, ...]:
        return self._sealing.names(msgspec.msgpack.encode(one))

    def _sealed(self, entry: bytes, value: msgspec.Struct) -> bytes:
        return self._sealing.seal(entry, msgspec.msgpack.encode(value))

    def _opened(self, entry: bytes, sealed: bytes | None, as_type: type[K]) -> K | None:
        plain = None if sealed is None else self._sealing.open(entry, sealed)
        try:
            return None if plain is None else msgspec.msgpack.decode(plain, type=as_type)
        except msgspec.DecodeError:  # another version's
            return None


def entry_of(what: str, secret: str) -> bytes:
    """Where the value for a secret is kept: under its digest, so that whoever reads the store has not the secret."""
    return f"{what}:{hashlib.sha256(secret.encode('utf-8', 'surrogatepass')).hexdigest()}".encode()
