"""What an installation lends to its parts, policies and desk: made once per process, from gateway.yaml alone.

building.py hands it to the parts it makes; app.py starts and closes it.
"""

import contextlib
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.chain import VerdictMemory
from gateway.contracts import Fetch, PartContext, Sessions
from gateway.crypto import CryptoError, CryptoProvider
from gateway.crypto.choice import choose
from gateway.errors import ConfigurationError, CredentialRejected, StateUnavailable
from gateway.identity.logins import LoginTransactions
from gateway.identity.revocations import Revocations
from gateway.identity.sessions import SignInSessions
from gateway.inward import IdentitySigner
from gateway.ledger import open_ledger
from gateway.ledger.on_paper import LedgerOnPaper
from gateway.model import Principal
from gateway.settings import StaticSettings
from gateway.state import LocalState, State
from gateway.throttle import Rates

if TYPE_CHECKING:  # SQLAlchemy is slow to import, and not everybody has a ledger
    from gateway.ledger.ledger import Ledger


class Lent:
    """What the gateway lends to every part and forwarder; lives as long as the process.

    Args:
        context: the context of a part that has no name yet.
        signer: signs the identity that goes inward.
        body_limit: bytes of a request body where the item does not say.
        revocations: the deny set.
        state: what the workers share; its feed fills the deny set.
        rates: this worker's counts, told to the others where they share a state.
        sessions: sign-in sessions, which parts have as `context.sessions`; None where nobody signs in.
        logins: logins under way; None where nobody signs in.
        ledger: what is kept for good; None where nothing needs it.
    """

    def __init__(
        self,
        context: PartContext,
        signer: IdentitySigner,
        body_limit: int,
        revocations: Revocations,
        state: State,
        rates: Rates,
        sessions: SignInSessions | None = None,
        logins: LoginTransactions | None = None,
        ledger: "Ledger | None" = None,
    ) -> None:
        self.context = context
        self.signer = signer
        self.body_limit = body_limit
        self.revocations = revocations
        self.state = state
        self.sessions = sessions
        self.logins = logins
        self.ledger = ledger
        self.rates = rates
        self.memory = VerdictMemory()

    async def start(self) -> None:
        """Reach for what is shared, which may be away; and open the ledger, which must not be.

        Raises:
            ConfigurationError: the ledger cannot be used.
        """
        await self.state.start()
        if self.ledger is not None:
            await self.ledger.start()

    async def close(self) -> None:
        """Let go of everything, also when one of them cannot."""
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self.state.close)
            if self.ledger is not None:
                stack.push_async_callback(self.ledger.close)
            if self.logins is not None:
                stack.push_async_callback(self.logins.stop)

    def context_of(self, name: str) -> PartContext:
        """The context of one part."""
        return msgspec.structs.replace(self.context, name=name, log=self.context.log.bind(part=name))


def lend(settings: StaticSettings, fetch: Fetch, log: Any, *, alone: bool = False) -> Lent:
    """What this installation lends to parts.

    Args:
        settings: gateway.yaml.
        fetch: see Fetch.
        log: the application log.
        alone: True keeps what is shared otherwise in this process: for commands that look and change nothing.

    Raises:
        ConfigurationError: a key cannot be used, or what is asked for is not there.
    """
    revocations = Revocations()
    rates = Rates(shared=settings.state == "redis")
    state = LocalState(revocations) if alone else state_of(settings, revocations, rates, log)
    context = PartContext("", fetch, state.store, time.time, time.monotonic, log, provider_of(settings))
    signer, body = signer_of(settings), settings.limits.body
    ledger = ledger_of(settings, log)
    if ledger is not None:
        view = LedgerOnPaper(ledger) if alone else ledger.view
        context = msgspec.structs.replace(context, devices=ledger.devices, ledger=view)
    if settings.sessions is None:
        return Lent(context, signer, body, revocations, state, rates, ledger=ledger)
    sessions = SignInSessions(state.store, settings.sessions, revocations, state.feed.withdraw)
    logins = LoginTransactions(state.store, settings.sessions)
    seen = SessionsElsewhere(sessions) if alone else sessions
    context = msgspec.structs.replace(context, sessions=seen)
    return Lent(context, signer, body, revocations, state, rates, sessions, logins, ledger)


def ledger_of(settings: StaticSettings, log: Any) -> "Ledger | None":
    """What is kept for good, not started yet; None where nothing needs it.

    Raises:
        ConfigurationError: no such database can be used by this installation.
    """
    if settings.ledger is None:
        return None
    keys = settings.records.digest_keys
    return open_ledger(settings.ledger, Path(), log=log, keys=keys, stale=settings.ledger_stale)


def state_of(settings: StaticSettings, revocations: Revocations, rates: Rates, log: Any) -> State:
    """What the workers share, not started yet. Redis is imported only where it is asked for: that costs start-up time.

    Raises:
        ConfigurationError: it is asked for, and not said where it is.
    """
    if settings.state == "memory":
        return LocalState(revocations)
    if settings.redis is None:
        raise ConfigurationError(["redis: is missing, and `state: redis` needs it"])
    make = import_module("gateway.state.shared").SharedState
    shared: State = make(settings.redis, revocations, rates, workers=settings.workers, log=log)
    return shared


def provider_of(settings: StaticSettings) -> CryptoProvider:
    """What does SM2, SM3 and SM4 here, tested (docs/cryptography.md).

    Raises:
        ConfigurationError: what is asked for is not there, or is wrong.
    """
    try:
        return choose(settings.crypto.backend)
    except CryptoError as exc:
        raise ConfigurationError([f"crypto.backend: {exc}"]) from exc


def signer_of(settings: StaticSettings) -> IdentitySigner:
    """The signer of the identity that goes inward; `keys show` prints its public half.

    Raises:
        ConfigurationError: the key cannot be used.
    """
    identity = settings.identity
    try:
        key = identity.key.get_secret_value()
        return IdentitySigner(key, identity.kid, settings.department, time.time, lifetime=identity.lifetime)
    except ValueError as exc:
        raise ConfigurationError([f"identity.key: {exc}"]) from exc


class SessionsElsewhere:
    """Sessions as a command sees them: which tokens are sessions' it can tell, which of those live it cannot."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self.cookie = sessions.cookie
        self.remember = sessions.remember

    async def find(self, token: str) -> Principal | None:
        """See Sessions."""
        try:
            return await self._sessions.find(token)
        except CredentialRejected:
            raise StateUnavailable("only the running gateway knows which sessions live") from None

    def request_token(self, session: str) -> str:
        """See Sessions."""
        return self._sessions.request_token(session)
