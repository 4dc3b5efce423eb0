"""What the desk's pages work with. opening.py makes it for each policy; a handler gets it by `desk_of(request)`."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from gateway.contracts import Settings
from gateway.errors import ItemUnknown
from gateway.identity.logins import LoginTransactions
from gateway.identity.revocations import Revocations
from gateway.identity.sessions import SignedIn, SignInSessions
from gateway.model import Kind
from gateway.signin import Platform, SignInChannel
from gateway.signin_settings import LoginSettings

if TYPE_CHECKING:  # SQLAlchemy is slow to import, and not everybody has a ledger
    from gateway.desk.my import SelfService
    from gateway.desk.recording import Recording
    from gateway.ledger.devices import EnrolledDevices
    from gateway.ledger.links import ChannelLinks

AnyPlatform = Platform[Settings]
AnyChannel = SignInChannel[Settings]


class Desk(msgspec.Struct, frozen=True, eq=False):
    """The desk of one policy.

    Attributes:
        login: `login:` of policy.yaml.
        platforms: all there are, by name; `login` says at which of them people sign in here.
        channels: whose accounts sign in through a link, by name.
        sessions: see SignInSessions.
        logins: see LoginTransactions.
        revocations: the deny set of this worker.
        clock: wall clock, Unix seconds.
        log: the application log.
        links: who a channel account belongs to; None where there is no ledger.
        devices: enrolled devices; None where there is no ledger.
        my: what people can see and change of their own; None where there is no ledger.
        recording: has the ledger know whoever signs in; None where there is none.
        peers: pages for platforms and departments instead of people: the routed question, logout notices.
        clock_offsets: tells by peer, seconds that its clock is ahead of ours.
        telling: seconds in which a platform must have been told of a sign-out.
    """

    login: LoginSettings
    platforms: Mapping[str, AnyPlatform]
    channels: Mapping[str, AnyChannel]
    sessions: SignInSessions
    logins: LoginTransactions
    revocations: Revocations
    clock: Callable[[], float]
    log: Any
    links: "ChannelLinks | None" = None
    devices: "EnrolledDevices | None" = None
    my: "SelfService | None" = None
    recording: "Recording | None" = None
    peers: Sequence[web.RouteDef] = ()
    clock_offsets: Callable[[], Mapping[str, float]] = dict
    telling: float = 3.0

    async def recorded(self, signed_in: SignedIn) -> None:
        """Have the ledger know who is signed in now; see Recording.note."""
        if self.recording is not None:
            await self.recording.note(signed_in, self.log)

    def kept(self) -> list[str]:
        """What people can have here beside a session, by the names of its pages: `links`, `devices`, or neither."""
        found = ["links"] if self.links is not None and self.channels else []
        return found + (["devices"] if self.devices is not None else [])

    def places(self) -> list[tuple[str, Kind]]:
        """Where one can sign in, and as whom, in the order in which a visitor is asked."""
        login = self.login
        found = [] if login.natural is None else [(login.natural, Kind.NATURAL)]
        found += [] if login.legal is None else [(login.legal, Kind.LEGAL)]
        return found + [(name, kind) for name in login.others for kind in self.platforms[name].kinds]

    def platform(self, name: str) -> AnyPlatform:
        """The platform of this name.

        Raises:
            ItemUnknown: nobody signs in there.
        """
        if name not in {place for place, _ in self.places()}:
            raise ItemUnknown("nobody signs in at a platform of this name")
        return self.platforms[name]

    def channel(self, name: str) -> AnyChannel:
        """The channel of this name.

        Raises:
            ItemUnknown: its accounts do not sign in here.
        """
        if name not in self.channels:
            raise ItemUnknown("no channel of this name signs in here")
        return self.channels[name]


DESK: web.AppKey[Desk] = web.AppKey("desk", Desk)


def desk_of(request: web.Request) -> Desk:
    """The desk, for this request: its log lines name the request as its record does (`trace.id`)."""
    desk = request.app[DESK]
    return msgspec.structs.replace(desk, log=desk.log.bind(request_id=request.headers.get("X-Request-Id", "")))
