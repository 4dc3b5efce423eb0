"""What tests of sessions and logins share: a person who signed in, a store of which every step can be stopped."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from pydantic import SecretStr

from gateway.contracts import Store
from gateway.errors import StateUnavailable
from gateway.identity.revocations import Revocations
from gateway.identity.sessions import SignInSessions
from gateway.model import Kind, Principal
from gateway.signin import Profile, SignIn, Unit
from gateway.signin_settings import SessionSettings
from gateway.state import LocalFeed, MemoryStore
from tests.plugin_world import ISSUER, NOW, Clock

KEYS = ("first key of the sessions, long enough", "second key of the sessions, long enough")


def settings(*keys: str, **changed) -> SessionSettings:
    return SessionSettings.model_validate({"keys": keys or KEYS, "node": "hrss"} | changed)


def secrets(*keys: str) -> list[SecretStr]:
    return [SecretStr(key) for key in keys]


def person(**changed) -> Principal:
    given = {"issuer": ISSUER, "subject": "u-1", "kind": Kind.NATURAL, "assurance": 3, "expires_at": NOW + 60}
    return Principal(**(given | {"session": "province-sid-1", "authenticated_at": NOW - 5.0} | changed))


def sign_in(principal: Principal | None = None, **changed) -> SignIn:
    """What the platform says after a login."""
    given = {"profile": Profile(name="张三", id_number="440101199001011234"), "token": "platform-token"}
    return SignIn(principal or person(), **(given | {"units": (Unit("unit-1", "示例公司"),)} | changed))


UNMISTAKABLE = (
    "subject-of-one-person",
    "ticket-of-one-login",
    "session-at-the-province",
    "token-of-the-platform",
    "欧阳某某",
)
"""What `unmistakable_sign_in` holds: too long to turn up in sealed bytes and hashes by chance."""


def unmistakable_sign_in() -> SignIn:
    subject, ticket, session, token, name = UNMISTAKABLE
    profile = Profile(name=name, id_number="440101199001011234")
    return sign_in(person(subject=subject, session=session), profile=profile, ticket=ticket, token=token)


class Steps:
    """A store whose every step goes through a gate: it can be stopped, failed and counted.

    Args:
        store: what it stands before.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.asked: list[str] = []
        self.before: Callable[[str], Awaitable[None]] | None = None
        self.after: Callable[[str], Awaitable[None]] | None = None
        self.down = False

    @property
    def unknown_before(self) -> float:
        return self.store.unknown_before

    async def _step(self, name: str, *args, **kwargs):
        self.asked.append(name)
        if self.before is not None:
            await self.before(name)
        if self.down:
            raise StateUnavailable("the store is away")
        answer = await getattr(self.store, name)(*args, **kwargs)
        if self.after is not None:
            await self.after(name)
        return answer

    async def first_use(self, key: bytes, seconds: float) -> bool:
        return await self._step("first_use", key, seconds)

    async def read(self, key: bytes) -> bytes | None:
        return await self._step("read", key)

    async def write(self, key: bytes, value: bytes, seconds: float, *, lists: Sequence[bytes] = ()) -> None:
        await self._step("write", key, value, seconds, lists=lists)

    async def replace(self, key: bytes, value: bytes, seconds: float) -> bool:
        return await self._step("replace", key, value, seconds)

    async def take(self, key: bytes) -> bytes | None:
        return await self._step("take", key)

    async def drop(self, key: bytes) -> bool:
        return await self._step("drop", key)

    async def listed(self, name: bytes) -> list[bytes]:
        return await self._step("listed", name)


class House:
    """One worker's sessions, over a store in this process."""

    def __init__(self, clock: Clock | None = None, store: Store | None = None, **changed) -> None:
        self.clock = clock or Clock()
        self.inner = MemoryStore(monotonic=lambda: self.clock.mono) if store is None else store
        self.store = Steps(self.inner)
        self.revocations = Revocations(clock=lambda: self.clock.wall, monotonic=lambda: self.clock.mono)
        self.settings = settings(**changed)
        self.sessions = self.worker()

    def worker(self, *keys: str) -> SignInSessions:
        """Another worker over the same store and deny set; keys when it has others."""
        told = settings(*keys) if keys else self.settings
        feed = LocalFeed(self.revocations, lambda: self.clock.wall)
        return SignInSessions(self.store, told, self.revocations, feed.withdraw, lambda: self.clock.wall)


async def cancelled_at(step: int, work: Callable[[], Awaitable[object]], store: Steps, *, when: str) -> bool:
    """Do some work and cancel it at the given step of the store (`before` or `after` it); False when it has fewer."""
    seen = 0
    reached, gone_on = asyncio.Event(), asyncio.Event()

    async def gate(_: str) -> None:
        nonlocal seen
        seen += 1
        if seen == step + 1:
            reached.set()
            await gone_on.wait()  # where the cancellation arrives, unless this is shielded

    setattr(store, when, gate)
    task = asyncio.ensure_future(work())
    waiting = asyncio.ensure_future(reached.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    stopped = not task.done()
    task.cancel()
    await asyncio.wait({task})
    gone_on.set()
    setattr(store, when, None)
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # what was shielded ends
    return stopped
