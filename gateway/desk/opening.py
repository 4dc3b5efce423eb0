"""How the desk comes into the request path: its forwarder, its routes, and whom its channels stand for.

building.py opens it for a policy that has `login:`; pipeline.py carries requests to it like any others.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from gateway.chain import ReauthorizerChain
from gateway.contracts import Channel, PartContext, Settings
from gateway.desk.desk import AnyChannel, AnyPlatform, Desk
from gateway.desk.guidance import Guide
from gateway.desk.host import CATEGORY, REQUEST_FIELDS, DeskForwarder, DeskItem, desk_items
from gateway.desk.peers import PeerDesk
from gateway.desk.recording import Recording
from gateway.errors import ConfigurationError
from gateway.identity.introspection import RoutedIntrospection
from gateway.identity.notices import Notice
from gateway.identity.sessions import SignInSessions
from gateway.items import Route
from gateway.lending import Lent
from gateway.model import Credential, Inbound, Item, Kind
from gateway.policy import Entrance
from gateway.signin_settings import OWN_SYSTEM, PEERS_CHANNEL, PEOPLES_CHANNEL, LoginSettings
from gateway.state import Feed
from gateway.throttle import Throttle

if TYPE_CHECKING:  # SQLAlchemy is slow to import, and not everybody has a ledger
    from gateway.desk.my import SelfService
    from gateway.ledger.ledger import Ledger

_ANYONE = (Kind.ANYONE,)


def open_desk(
    login: LoginSettings, platforms: Mapping[str, AnyPlatform], channels: Mapping[str, AnyChannel], lent: Lent
) -> DeskForwarder:
    """Make the desk of a policy.

    Args:
        login: `login:` of it.
        platforms: by name.
        channels: those whose accounts sign in, by name.
        lent: what this installation lends.

    Raises:
        ConfigurationError: there are no sessions to sign in to, or a key cannot be read.
    """
    if lent.sessions is None or lent.logins is None:
        raise ConfigurationError(["login: needs `sessions:` in gateway.yaml"])
    context = lent.context_of(OWN_SYSTEM)
    peers = PeerDesk(
        login,
        platforms,
        RoutedIntrospection(lent.sessions, lent.revocations, context.clock),
        partial(_end, lent.sessions, lent.state.feed),
        lent.rates.spend,
        lent.state.store,
        context,
    )
    ledger = lent.ledger
    my = None if ledger is None else _self_service(ledger)
    desk = Desk(
        login,
        platforms,
        channels,
        lent.sessions,
        lent.logins,
        lent.revocations,
        context.clock,
        context.log,
        links=None if ledger is None else ledger.links,
        devices=None if ledger is None else ledger.devices,
        my=my,
        recording=None if my is None else Recording(my.parties),
        peers=peers.routes(),
        clock_offsets=lambda: peers.clock_offsets,
    )
    return DeskForwarder(desk, context.log)


def _self_service(ledger: "Ledger") -> "SelfService":
    from gateway.desk.my import open_self_service  # noqa: PLC0415 - imports SQLAlchemy

    return open_self_service(ledger.office)


async def _end(sessions: SignInSessions, feed: Feed, notice: Notice) -> int:
    """End what a notice names on every worker and instance, also what no session here rests on."""
    if notice.token_id is not None:
        await feed.withdraw(token_id=notice.token_id, issuer=notice.issuer, at=notice.at)
    return await sessions.end_matching(
        notice.issuer, subject=notice.subject, sid=notice.session, ticket=notice.ticket, at=notice.at
    )


def desk_routes(desk: DeskForwarder, lent: Lent) -> Iterator[Route]:
    """Everything under /sso/, for the router."""
    for item in desk_items():
        throttle = Throttle(lent.rates, item.code)
        for method, template in item.operations:
            yield _route(item, method, template, desk, throttle)


def _route(item: DeskItem, method: str, template: str, desk: DeskForwarder, throttle: Throttle) -> Route:
    return Route(
        id=f"{method} {template}",
        item=Item(item.code, item.name, CATEGORY, frozenset(_ANYONE), 0, OWN_SYSTEM),
        method=method,
        template=template,
        channels=frozenset({item.channel}),
        verifiers=None,
        reauthorizers=ReauthorizerChain([]),
        forwarder=desk,
        request_fields=REQUEST_FIELDS,
        body_limit=item.body,
        timeout=item.timeout,
        throttle=throttle,
        kinds=_ANYONE,
        own=item.channel,
    )


class OwnPages(Channel[Settings]):
    """Stands for the gateway's own pages in records and rates: whoever asks for one has come to the right place."""

    async def identify(self, inbound: Inbound) -> Credential:
        """Everybody's; the pages look at what they are sent themselves."""
        return Credential(self.name)


def own_entrances(login: LoginSettings, context: PartContext) -> dict[str, Entrance]:
    """Entrances of the desk: people are counted by client, platforms and departments by the desk itself."""
    return {
        PEOPLES_CHANNEL: Entrance(
            OwnPages(Settings(), replace(context, name=PEOPLES_CHANNEL)), None, None, login.client_rate
        ),
        PEERS_CHANNEL: Entrance(OwnPages(Settings(), replace(context, name=PEERS_CHANNEL))),
    }


def guide_of(login: LoginSettings, browsers: Iterable[str], lent: Lent) -> Guide:
    """Who shows a browser the way to the desk.

    Args:
        login: `login:` of policy.yaml.
        browsers: names of the channels through which browsers come.
        lent: what this installation lends.

    Raises:
        ConfigurationError: there are no sessions to sign in to.
    """
    if lent.logins is None:
        raise ConfigurationError(["login: needs `sessions:` in gateway.yaml"])
    return Guide(login, lent.logins, frozenset(browsers), lent.rates)
