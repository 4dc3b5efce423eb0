"""Keeps an issuer's key set fresh without ever depending on it at the wrong moment (RFC 7517, docs/operations.md).

One fetch at a time; a scheduled one before the set grows old, and one out of turn for a key id that is not known. While
the issuer is down the last good set serves up to a hard age, then nobody can be judged. jose.py reads the sets.
"""

import asyncio
from collections.abc import Awaitable, Callable
from random import SystemRandom
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from gateway.contracts import PartContext
from gateway.errors import VerifierUnavailable
from gateway.tokens.jose import LARGEST_KEY_SET, JoseError, PublicKey, read_key_set
from gateway.tokens.national import Sm2Settings

MOST_UNKNOWN = 1024
"""Key ids remembered as unknown at most."""

Refreshed = Literal["fetched", "failed", "too-soon"]
"""What became of a fetch that was asked for."""

_RANDOM = SystemRandom()

_RETRY = 2.0
"""Seconds before the next try after a failed one: short, so that an end of the fault is noticed within five."""
_TELL = 60.0
"""Seconds between two lines of the log about an issuer that stays down."""


class KeyPolicy(msgspec.Struct, frozen=True):
    """How old keys may get, in seconds, and which of them count.

    Attributes:
        algorithms: algorithms the issuer may use.
        soft_ttl: the set is fetched anew before this age; a withdrawn key works no longer than that.
        hard_ttl: without a newer set nothing is judged after this age.
        min_refetch: unknown key ids cause at most one fetch in this time.
        timeout: for one fetch.
        sm2: how the issuer signs with SM2.
    """

    algorithms: frozenset[str]
    soft_ttl: float = 300.0
    hard_ttl: float = 3600.0
    min_refetch: float = 30.0
    timeout: float = 3.0
    sm2: Sm2Settings = Sm2Settings()


def host_of(url: str) -> str:
    """The host of an address, by which it is told to operators."""
    return urlsplit(url).hostname or ""


class KeySet:
    """The keys of one issuer.

    Attributes:
        clock_offsets: by host, seconds that the clock of whoever serves the set was ahead of ours in its last answer.

    Args:
        url: where the set is; the only address that is ever asked.
        policy: ages and algorithms.
        context: fetch, clocks and log of the part that uses the keys.
        withdrawn: called when verdicts of before may no longer hold: a key is gone, or the whole set too old.
        sleep: waits so many seconds.
        jitter: a number from 0.0 to 1.0, so that workers do not ask at the same moment.
    """

    def __init__(
        self,
        url: str,
        policy: KeyPolicy,
        context: PartContext,
        withdrawn: Callable[[], None],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = _RANDOM.random,
    ) -> None:
        self.clock_offsets: dict[str, float] = {}
        self._url = url
        self._policy = policy
        self._context = context
        self._sm2 = policy.sm2.practice(context.crypto)
        self._withdrawn = withdrawn
        self._sleep = sleep
        self._jitter = jitter
        self._keys: dict[str, PublicKey] = {}
        self._fetched_at: float | None = None
        self._failing = False
        self._failures = 0
        self._told_at = float("-inf")
        self._unknown: dict[str, float] = {}
        self._out_of_turn_at = float("-inf")
        self._flight: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def age(self) -> float | None:
        """Seconds since the set was fetched; None when there is none."""
        return None if self._fetched_at is None else self._context.monotonic() - self._fetched_at

    def listed(self) -> list[dict[str, str]]:
        """The keys there are now, for operators: `kid`, `alg` (those it may be used with) and `kty`, maybe `crv`."""
        return [
            {"kid": key.kid, "alg": " ".join(sorted(key.algorithms))}
            | {name: key.members[name] for name in ("kty", "crv") if name in key.members}
            for key in self._keys.values()
        ]

    async def refresh(self) -> Refreshed:
        """Fetch the set now, at an operator's word; no sooner than `min_refetch` after the last fetch out of turn."""
        if not await self._refresh_out_of_turn():
            return "too-soon"
        return "failed" if self._failing else "fetched"

    async def start(self) -> None:
        """Begin to keep the set; the first fetch runs beside, so that an issuer that is down holds nobody up."""
        self._keeper = asyncio.get_running_loop().create_task(self._keep())

    async def stop(self) -> None:
        """End every fetch."""
        tasks = [task for task in (self._keeper, self._flight) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def find(self, kid: str) -> PublicKey | None:
        """The key with this id; None when the issuer has none.

        Raises:
            VerifierUnavailable: there is no set that may still be used, or the issuer cannot be asked about this id.
        """
        if not self._is_usable() and not self._failing:
            await self._refresh()
        if not self._is_usable():
            raise VerifierUnavailable("no key set that is young enough", retry_after=_RETRY)
        if kid in self._keys or self._is_known_as_unknown(kid):
            return self._keys.get(kid)
        asked = await self._refresh_out_of_turn()
        found = self._keys.get(kid)
        if found is None and self._failing:
            raise VerifierUnavailable("unknown kid, and the key set cannot be fetched", retry_after=_RETRY)
        if found is None and asked:  # else it may be a new key: it is asked about when the pause is over
            self._remember_unknown(kid)
        return found

    def _is_usable(self) -> bool:
        age = self.age
        return age is not None and age < self._policy.hard_ttl

    def _is_known_as_unknown(self, kid: str) -> bool:
        return self._unknown.get(kid, float("-inf")) > self._context.monotonic()

    def _remember_unknown(self, kid: str) -> None:
        # Longer than the pause between fetches: one client with an old key must not use up the fetch of all the others.
        self._unknown.pop(kid, None)
        if len(self._unknown) >= MOST_UNKNOWN:
            del self._unknown[next(iter(self._unknown))]
        self._unknown[kid] = self._context.monotonic() + 2 * self._policy.min_refetch

    async def _refresh_out_of_turn(self) -> bool:
        """At most one fetch per `min_refetch`; who comes while it is under way waits for it. False: none for now."""
        now = self._context.monotonic()
        if self._flight is None:
            if now - self._out_of_turn_at < self._policy.min_refetch:
                return False
            self._out_of_turn_at = now
        await self._refresh()
        return True

    async def _refresh(self) -> None:
        """Fetch, or wait for the fetch under way. A caller that is cancelled does not cancel it for the others."""
        if self._flight is None:
            self._flight = asyncio.get_running_loop().create_task(self._fetch())
            self._flight.add_done_callback(self._landed)
        await asyncio.shield(self._flight)

    def _landed(self, _: asyncio.Task[None]) -> None:
        self._flight = None

    async def _fetch(self) -> None:
        try:
            answer = await self._context.fetch(
                "GET",
                self._url,
                fields={"Accept": "application/jwk-set+json, application/json"},
                timeout=self._policy.timeout,
                limit=LARGEST_KEY_SET,
            )
            if answer.date is not None:
                self.clock_offsets[host_of(self._url)] = answer.date - self._context.clock()
            if answer.status != 200:
                raise JoseError(f"status {answer.status}")
            keys = read_key_set(answer.body, self._policy.algorithms, self._sm2)
        except (OSError, JoseError) as error:
            self._failing = True
            self._tell(error)
            return
        self._failing = False
        if self._failures:
            self._context.log.info("keys.fetch_recovered", url=self._url, failures=self._failures)
            self._failures = 0
        self._replace(keys)

    def _tell(self, error: Exception) -> None:
        self._failures += 1
        now = self._context.monotonic()
        if self._failures == 1 or now - self._told_at >= _TELL:
            self._told_at = now
            failed = {"url": self._url, "error": str(error), "age": self.age, "failures": self._failures}
            self._context.log.warning("keys.fetch_failed", **failed)

    def _replace(self, keys: dict[str, PublicKey]) -> None:
        gone = [kid for kid, key in self._keys.items() if kid not in keys or keys[kid].members != key.members]
        self._keys = keys
        self._fetched_at = self._context.monotonic()
        if gone:
            self._context.log.info("keys.withdrawn", url=self._url, kids=gone)
            self._withdrawn()

    async def _keep(self) -> None:
        while True:
            await self._refresh()
            await self._sleep(self._pause())
            if self._keys and not self._is_usable():
                self._keys = {}
                self._fetched_at = None
                self._context.log.error("keys.too_old", url=self._url)
                self._withdrawn()

    def _pause(self) -> float:
        """Seconds until the next fetch: well before the set grows old, soon after a failure."""
        if self._failing:
            return _RETRY * (1 + self._jitter() / 2)
        return self._policy.soft_ttl * (0.7 + 0.2 * self._jitter())
