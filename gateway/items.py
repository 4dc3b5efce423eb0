"""Service items: from method and path to an operation (a trie, not a list), and from a visit to what goes inward.

Made once per configuration by building.py; pipeline.py asks per request.
"""

from collections.abc import Iterable, Mapping

import msgspec

from gateway.chain import ReauthorizerChain, VerifierChain
from gateway.contracts import Forwarder
from gateway.errors import InternalError, ItemUnknown, MethodNotAllowed
from gateway.fields import HOP_BY_HOP, WEBSOCKET_FIELDS, nominated
from gateway.model import Field, Inbound, Item, Kind, Outbound, Principal, Visit
from gateway.throttle import Throttle

_FRAMING = HOP_BY_HOP | {b"host", b"content-length"}


class Route(msgspec.Struct, frozen=True, eq=False):
    """One operation of an item, with everything its path needs, resolved.

    Attributes:
        id: what the inner unit knows it by.
        item: the item it belongs to.
        method: the method it answers to; GET answers HEAD as well.
        template: its path, with parameters in braces.
        channels: names of the channels it is offered through.
        verifiers: who may say who asks; None for items that anyone may use.
        reauthorizers: who must allow.
        forwarder: carries it.
        request_fields: client header fields that go inward.
        body_limit: bytes.
        timeout: seconds for the whole way to the answer's head.
        throttle: rates and requests in flight of the item.
        kinds: the item's audience again, as a tuple: members are few, and hashing one costs more than looking at all.
        upgrade: "websocket" when that is let through, else None.
        forwarded: True when the system is told the client's address and our host.
        own: the channel that stands for the gateway's own pages; None for an item of the catalogue.
    """

    id: str
    item: Item
    method: str
    template: str
    channels: frozenset[str]
    verifiers: VerifierChain | None
    reauthorizers: ReauthorizerChain
    forwarder: Forwarder
    request_fields: frozenset[bytes]
    body_limit: int
    timeout: float
    throttle: Throttle
    kinds: tuple[Kind, ...]
    upgrade: str | None = None
    forwarded: bool = True
    own: str | None = None

    def outbound(self, visit: Visit, principal: Principal | None, inject: tuple[Field, ...], spent: float) -> Outbound:
        """Strip, then inject: allow-listed fields of the client, without those meant for one hop, then our own.

        Args:
            visit: what is carried.
            principal: for whom.
            inject: what the re-authorizers add.
            spent: seconds of the item's timeout that are gone.

        Raises:
            InternalError: a re-authorizer injects what a client may send, or what the gateway says; the two could not
                be told apart.
        """
        inbound = visit.inbound
        allowed = self.request_fields
        given = inbound.fields
        fields = [field for field in given.items() if field[0] in allowed]
        if b"connection" in given and (hop := nominated(given[b"connection"])) & allowed:
            fields = [field for field in fields if field[0] not in hop]
        upgrade = inbound.upgrade if self.upgrade is not None else None
        if upgrade is not None:
            fields += [(name, given[name]) for name in WEBSOCKET_FIELDS if name in given]
        self._add_own(fields, inbound)
        if inject:
            taken = allowed.union(_FRAMING, [name for name, _ in fields])
            if any(name in taken for name, _ in inject):
                raise InternalError("a re-authorizer injects a field that clients may send, or the gateway does")
            fields += inject
        return Outbound(visit, principal, fields, inbound.body, self.timeout - spent, upgrade)

    def _add_own(self, fields: list[Field], inbound: Inbound) -> None:
        id = inbound.id.encode()  # noqa: A001
        fields += ((b"x-request-id", id), (b"traceparent", b"-".join((b"00", id, id[16:], b"01"))))
        if self.forwarded:
            fields += (
                (b"x-forwarded-for", inbound.client.encode()),
                (b"x-forwarded-host", inbound.host.encode()),
                (b"x-forwarded-proto", inbound.scheme.encode()),
            )


class _Node:
    __slots__ = ("children", "parameter", "routes")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.routes: dict[str, tuple[Route, tuple[str, ...]]] = {}


class Router:
    """Finds the operation for a request. A plain segment wins over a parameter; the bytes are compared as they are."""

    def __init__(self, routes: Iterable[Route] = ()) -> None:
        self._root = _Node()
        self._plain: dict[str, _Node] = {}
        for route in routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        node, names = self._root, []
        for segment in route.template[1:].split("/"):
            if segment.startswith("{"):
                names.append(segment[1:-1])
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.children.setdefault(segment, _Node())
        node.routes[route.method] = (route, tuple(names))
        if not names:
            self._plain[route.template] = node

    def match(self, method: str, path: str) -> tuple[Route, Mapping[str, str]]:
        """Find the operation of a method and a path.

        Returns:
            The route and its parameters by name, percent-encoding kept.

        Raises:
            ItemUnknown: nothing is there. MethodNotAllowed: something is, for other methods.
        """
        values: list[str] = []
        node = self._plain.get(path) or _walk(self._root, path[1:].split("/"), values)
        if node is None:
            raise ItemUnknown("no item has an operation at this path")
        found = node.routes.get(method) or (node.routes.get("GET") if method == "HEAD" else None)
        if found is None:
            raise MethodNotAllowed(f"{method} is not offered here", allow=tuple(sorted(_offered(node))))
        route, names = found
        return route, dict(zip(names, values, strict=True)) if names else _NO_PARAMETERS

    def __len__(self) -> int:
        return sum(1 for _ in self.routes())

    def routes(self) -> Iterable[Route]:
        """Every route there is."""
        pending = [self._root]
        while pending:
            node = pending.pop()
            yield from (route for route, _ in node.routes.values())
            pending += node.children.values()
            if node.parameter is not None:
                pending.append(node.parameter)


_NO_PARAMETERS: Mapping[str, str] = {}


def _offered(node: _Node) -> set[str]:
    return set(node.routes) | ({"HEAD"} if "GET" in node.routes else set())


def _walk(node: _Node, segments: list[str], values: list[str], index: int = 0) -> _Node | None:
    """Depth first, plain segments before parameters; as deep as the deepest template and no deeper."""
    for at in range(index, len(segments)):
        segment = segments[at]
        child = node.children.get(segment)
        if child is not None:
            if node.parameter is None:
                node = child
                continue
            known = len(values)
            if (found := _walk(child, segments, values, at + 1)) is not None:
                return found
            del values[known:]
        if node.parameter is None or not segment:
            return None
        values.append(segment)
        node = node.parameter
    return node if node.routes else None
