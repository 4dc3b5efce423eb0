"""One configuration, compiled: who is recognised, what is offered, who decides. Replaced whole, never changed.

building.py makes it; pipeline.py takes the current one at the start of a request and keeps it to the end.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from gateway.contracts import Channel, Settings
from gateway.cors import Cors
from gateway.errors import ChannelRejected, ClientGone, GatewayError, InternalError, Unauthenticated
from gateway.exchange import Exchange
from gateway.items import Route, Router
from gateway.model import Credential, Field, Inbound

Guide = Callable[[GatewayError, Exchange], Awaitable[str | None]]
"""Says where a browser can sign in after this error; None when that does not help, or nobody sits before it."""


class Entrance(msgspec.Struct, frozen=True, eq=False):
    """A channel with what the configuration adds to it.

    Attributes:
        channel: recognises its requests.
        cors: which pages may call through it; None lets none.
        rate: requests of everybody together; None does not limit.
        client_rate: requests of one client address; None does not limit.
    """

    channel: Channel[Settings]
    cors: Cors | None = None
    rate: str | None = None
    client_rate: str | None = None


class Policy(msgspec.Struct, frozen=True, eq=False):
    """Everything that live reload replaces.

    Attributes:
        generation: counts configurations since the start; in every record.
        revision: digest of the configuration's content, the same after a restart; in every record.
        router: the items.
        entrances: channels in the order they are asked.
        client_rate: requests of one client address, whatever it asks for.
        own: entrances of the gateway's own pages, by the name of their channel.
        guide: see Guide; None where nobody signs in.
    """

    generation: int
    router: Router
    entrances: Sequence[Entrance]
    client_rate: str | None = None
    revision: str = ""
    own: Mapping[str, Entrance] = {}
    guide: Guide | None = None

    async def identify(self, inbound: Inbound, route: Route) -> tuple[Entrance, Credential]:
        """Find the channel that a request came through. The gateway's own pages look at what they are sent themselves.

        Raises:
            ChannelRejected: it is a channel's request and its signature does not hold.
            Unauthenticated: no channel recognises it.
            InternalError: a channel broke, or answered something that is no credential.
        """
        if route.own is not None:
            return self.own[route.own], Credential(route.own)
        for entrance in self.entrances:
            try:
                credential = await entrance.channel.identify(inbound)
            except ChannelRejected as error:
                error.channel = entrance.channel.name
                raise
            except (GatewayError, ClientGone):
                raise
            except Exception as exc:
                raise InternalError(f"{entrance.channel.name}: {exc!r}") from exc
            if credential is not None:
                if type(credential) is not Credential:
                    answered = type(credential).__name__
                    raise InternalError(f"{entrance.channel.name} answered {answered}, which is no credential")
                return entrance, credential
        raise Unauthenticated("no channel recognises the request", code="channel-unknown")

    def preflight(self, inbound: Inbound, method: str) -> list[Field] | None:
        """Answer a CORS preflight for the item at the request's path; None when no channel of it lists the origin.

        Raises:
            ItemUnknown, MethodNotAllowed: nothing is offered there.
        """
        route, _ = self.router.match(method, inbound.path)
        for entrance in self.entrances:
            if entrance.cors is not None and entrance.channel.name in route.channels:
                fields = entrance.cors.preflight(inbound, (method,))
                if fields is not None:
                    return fields
        return None
