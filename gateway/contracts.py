"""What YAML can name: channels, verifiers, re-authorizers, forwarders, carriers. The life and the outcomes of each.

A part is made once per configuration, from its name, its checked settings and what the gateway lends it (PartContext);
`start` and `stop` frame its life. A configuration change that does not touch a part keeps the part and what it knows.
plugins/example.py is one, complete.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import msgspec
import structlog
from pydantic import BaseModel, ConfigDict

from gateway.crypto import CryptoProvider, chosen_provider
from gateway.facts import Devices, LedgerView
from gateway.model import Credential, Decision, Inbound, Outbound, Principal, Reply, Visit


class Settings(BaseModel):
    """Base of every settings model: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True)


class OnceStore(Protocol):
    """Remembers what has been used, so that it cannot be used again (nonces, signatures, tickets)."""

    @property
    def unknown_before(self) -> float:
        """Unix seconds: what was used before then may have been forgotten (a restart, or the store lost its content).

        Whoever accepts what is signed with a time refuses what was signed earlier than this. It is read after
        `first_use`, which may have found the loss just then.
        """
        ...

    async def first_use(self, key: bytes, seconds: float) -> bool:
        """Note the key for so many seconds; False when it was noted before.

        Raises:
            CannotDecide: the store is full or cannot be reached: nobody can say, so nobody passes.
        """
        ...


class Store(OnceStore, Protocol):
    """What the workers share for a while: in process for one worker, Redis for several (gateway/state/).

    Keys and values are bytes that mean nothing to the store: whoever writes a value seals it first. Every method raises
    StateUnavailable when the store is full or cannot be reached.
    """

    async def read(self, key: bytes) -> bytes | None:
        """The value; None when there is none, or its time is over."""
        ...

    async def write(self, key: bytes, value: bytes, seconds: float, *, lists: Sequence[bytes] = ()) -> None:
        """Keep a value for so many seconds, in place of an older one, and name its key in these lists."""
        ...

    async def replace(self, key: bytes, value: bytes, seconds: float) -> bool:
        """Like `write`, but only while there is a value; False when it was dropped meanwhile, which stays so."""
        ...

    async def take(self, key: bytes) -> bytes | None:
        """Read and drop in one step: of many that ask at once, one gets it."""
        ...

    async def drop(self, key: bytes) -> bool:
        """Forget a value; False when there was none."""
        ...

    async def listed(self, name: bytes) -> list[bytes]:
        """Keys named in a list whose values are still there."""
        ...


class Sessions(Protocol):
    """Sign-in sessions, as far as parts may use them (identity/sessions.py)."""

    @property
    def cookie(self) -> str:
        """Name of the cookie that holds a session's id."""
        ...

    @property
    def remember(self) -> float:
        """Seconds that what `find` said may be believed; that a session ended is told at once."""
        ...

    async def find(self, token: str) -> Principal | None:
        """Whose session a marked session id or an own token stands for; None when it is neither.

        Raises:
            CredentialRejected: it stands for a session that has ended, or never was.
            StateUnavailable: nobody can say now.
        """
        ...

    def request_token(self, session: str) -> str:
        """The synchronizer token that unsafe requests of a session (its id, without the mark) have to carry."""
        ...


class HttpAnswer(msgspec.Struct, frozen=True):
    """A small answer that was fetched for a part.

    Attributes:
        status: HTTP status code.
        content_type: media type in lower case, without parameters.
        body: at most the number of bytes that the caller allowed.
        date: the other side's clock, Unix seconds, from its `Date` field; None when it said nothing readable.
    """

    status: int
    content_type: str
    body: bytes
    date: float | None = None


class Fetch(Protocol):
    """Asks another platform over HTTP: no redirects, no cookies, no proxy from the environment, a bounded answer."""

    async def __call__(
        self,
        method: str,
        url: str,
        *,
        fields: dict[str, str] | None = None,
        body: bytes | None = None,
        timeout: float = 3.0,
        limit: int = 65536,
    ) -> HttpAnswer:
        """Fetch one answer of at most `limit` bytes within `timeout` seconds.

        Raises:
            OSError: nothing usable came back: not reachable, too slow, too large, not HTTP.
        """
        ...


class PartContext(msgspec.Struct, frozen=True):
    """What the gateway lends to a part.

    Attributes:
        name: the part's name in the configuration.
        fetch: see Fetch.
        once: see OnceStore.
        clock: wall clock, Unix seconds.
        monotonic: for durations, seconds.
        log: the application log, bound to the part's name.
        crypto: see CryptoProvider.
        sessions: see Sessions; None where nobody signs in here.
        devices: see Devices; None where there is no ledger.
        ledger: see LedgerView; None where there is no ledger.
    """

    name: str
    fetch: Fetch
    once: OnceStore
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    log: Any = msgspec.field(default_factory=structlog.get_logger)
    crypto: CryptoProvider = msgspec.field(default_factory=chosen_provider)
    sessions: Sessions | None = None
    devices: Devices | None = None
    ledger: LedgerView | None = None


C = TypeVar("C", bound=Settings)


class Part(ABC, Generic[C]):
    """Anything that YAML can name. `Config` is its settings model; the JSON Schema of it is exported."""

    Config: ClassVar[type[Settings]] = Settings
    shares_state: ClassVar[bool] = False
    """True when every worker must see what this part remembers: more than one worker then needs a shared store."""

    def __init__(self, config: C, context: PartContext) -> None:
        self.config = config
        self.context = context
        self.name = context.name

    async def start(self) -> None:
        """Get ready. An exception here refuses the whole configuration."""

    async def stop(self) -> None:
        """Let go of everything. Called once, after the last request that uses the part."""

    def status(self) -> dict[str, Any]:
        """Plain data for operators.

        These become metrics: `breaker` (its state), `key_age` (seconds) and `clock_offsets` (by peer, seconds that its
        clock is ahead of ours; peers are named in the configuration).
        """
        return {}


class Channel(Part[C]):
    """Recognises who calls (web, app, WeChat, …) and takes the credential out of the request."""

    for_browsers: ClassVar[bool] = False
    """True when people's browsers come through it by themselves, and can be sent somewhere to sign in."""

    @abstractmethod
    async def identify(self, inbound: Inbound) -> Credential | None:
        """Recognise the request and check the channel's own signature on it, before anything else is believed.

        Returns:
            The credential (its token None when the request carries none); None when it is not this channel's request:
            the next channel is asked.

        Raises:
            ChannelRejected: it is this channel's request and its signature does not hold; 401, nobody else is asked.
            CredentialRejected: the signature holds, and what should be a token is none; 401.
            RequestMalformed: the request says two things where it may say one; 400.
            CrossSite: a browser sent a session's cookie along for what may be another site's page; 403.
            CannotDecide: the check cannot be made now; 503.
        """


class Verifier(Part[C]):
    """Says whose credential this is."""

    issuers: tuple[str, ...] = ()
    """Issuers whose JSON Web Tokens this verifier judges; empty: it is asked about every token."""
    remember: float = float("inf")
    """Seconds the chain may remember a principal at most; its `expires_at` ends it in any case."""
    remember_rejected: float = 5.0
    """Seconds the chain may remember that a token is bad."""
    epoch: int = 0
    """Raised whenever what was said before may no longer hold (a key was withdrawn): the chain then asks again."""

    @abstractmethod
    async def verify(self, credential: Credential) -> Principal | None:
        """Judge the credential's token.

        Returns:
            The principal: the chain ends. None: not this verifier's kind of token, the next one is asked.

        Raises:
            CredentialRejected: this verifier's kind, and bad; 401, the chain ends.
            VerifierUnavailable, StateUnavailable: it cannot tell; 503, never 401 and never a pass.
        """

    async def refresh_keys(self) -> str | None:
        """Fetch the issuer's keys now, at an operator's word (`tongguan keys refresh`).

        Returns:
            `fetched`, `failed` or `too-soon`; None where this verifier keeps no keys.
        """
        return None


class Reauthorizer(Part[C]):
    """Says whether this person may do this item now (再次授权)."""

    closable: ClassVar[bool] = False
    """True when it asks the owner's switch: she is then offered one for items that name it."""
    granted: ClassVar[bool] = False
    """True when it asks for an operator's grant: the back office then opens items that name it."""
    units_only: ClassVar[bool] = False
    """True when no natural person could ever pass it: an item that is for them as well may not name it."""

    @classmethod
    def is_closed(cls, config: C) -> bool:
        """Tell whether an item is closed while its owner has said nothing; asked of who is `closable`."""
        return False

    @abstractmethod
    async def decide(self, principal: Principal, visit: Visit) -> Decision:
        """Decide. All re-authorizers of an item must allow, in the order of the configuration.

        Returns:
            Allow (with what goes inward), Deny (403 or 409) or StepUp (401, RFC 9470). Anything else denies.

        Raises:
            CannotDecide: what the decision rests on cannot be read; 503. Any other exception: 500, nothing passes.
        """


class Forwarder(Protocol):
    """Carries a request to one business system and brings its answer back."""

    def send(
        self, outbound: Outbound, *, attempts: Callable[[], None] | None = None
    ) -> AbstractAsyncContextManager[Reply]:
        """Carry it. Leaving the context frees what the answer holds, also when it was not read to its end.

        Args:
            outbound: what is carried; its timeout counts from when its body is complete.
            attempts: called each time the request is handed to the system or to the gatekeeper.

        Raises (on entering):
            Undelivered: 502, 503 or 504, according to what is known.
            ContentBlocked: the inspection says no.
            BodyTooLarge, RequestTimeout, ClientGone: the request's own body did not arrive.
        """
        ...

    async def start(self) -> None:
        """Get ready; must not fail because the system is down."""
        ...

    async def stop(self) -> None:
        """Close every connection."""
        ...

    def status(self) -> dict[str, Any]:
        """Plain data for operators."""
        ...


class Link(Protocol):
    """One life of the connection between the units. When it ends, what was on its way is lost; the next begins anew."""

    @property
    def waiting(self) -> int:
        """Bytes that were put and have not gone yet."""
        ...

    def put(self, data: bytes) -> None:
        """Hand over bytes that are whole frames; never waits.

        Raises:
            OSError: the link has ended; nothing of `data` was handed over.
        """
        ...

    async def drained(self) -> None:
        """Wait until the other side keeps up again; returns also when the link ends."""
        ...

    def close(self) -> None:
        """End it. The taker is told once; harmless when it has ended."""
        ...


class Taker(Protocol):
    """Whoever uses one link: told when it begins, what arrives, and once when it ends."""

    def linked(self, link: Link) -> None:
        """The link is there; bytes may be put from now on."""
        ...

    def take(self, data: bytes) -> None:
        """Bytes from the other side, in order. Frames may be split or joined."""
        ...

    def lost(self, reason: str) -> None:
        """The link has ended; nothing arrives any more."""
        ...


class Carrier(Protocol):
    """Moves framed bytes between the outer and the inner unit, without knowing what is in them."""

    async def connect(self, taker: Taker) -> None:
        """Outer side: make one link for this taker.

        Raises:
            OSError: the inner unit cannot be reached.
        """
        ...

    async def listen(self, takers: Callable[[], Taker]) -> None:
        """Inner side: take links, each with a taker of its own, until closed.

        Raises:
            ConfigurationError: the address cannot be used.
        """
        ...

    async def close(self) -> None:
        """Stop listening and end every link that this end made."""
        ...
