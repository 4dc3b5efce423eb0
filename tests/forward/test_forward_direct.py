"""An Outbound becomes a request: the bytes that were matched, the fields that were decided, and who asks."""

from typing import Any

import msgspec
import pytest
from forward_world import System, Trip

from gateway.errors import UpstreamUnavailable
from gateway.forward.direct import DirectForwarder
from gateway.model import NO_BODY, Inbound, Item, Kind, Outbound, Principal, Visit


def _outbound(principal: Principal | None = None, **inbound: Any) -> Outbound:
    usual: dict[str, Any] = {
        "id": "0" * 32,
        "method": "GET",
        "path": "/guides/1",
        "query": "",
        "fields": {b"cookie": b"never sent"},
        "client": "192.0.2.1",
        "host": "www.example.gov.cn",
        "scheme": "https",
    }
    item = Item("31", "guide", "guides", frozenset({Kind.ANYONE}), 0, "guides")
    visit = Visit(Inbound(**(usual | inbound)), item, "guide", "/guides/{id}", {"id": "1"}, "web", 0.0)
    return Outbound(visit, principal, [(b"accept", b"*/*")], NO_BODY, 5.0)


PERSON = Principal("https://id.province.example", "8f2c", Kind.NATURAL, 3, 1e10)


async def test_path_and_query_are_the_bytes_that_were_matched(system: System, trip: Trip) -> None:
    forwarder = DirectForwarder(trip.upstream, None)
    async with forwarder.send(_outbound(path="/guides/a%20b", query="q=1&q=%E4")) as reply:
        assert reply.whole == b"ok"
    async with forwarder.send(_outbound()) as reply:
        assert reply.whole == b"ok"
    assert [head.split(b"\r\n")[0] for head in system.heads] == [
        b"GET /guides/a%20b?q=1&q=%E4 HTTP/1.1",
        b"GET /guides/1 HTTP/1.1",
    ]
    assert b"cookie" not in b"".join(system.heads)


async def test_who_asks_is_asserted(system: System, trip: Trip) -> None:
    forwarder = DirectForwarder(trip.upstream, lambda principal: b"signed for " + principal.subject.encode())
    outbound = _outbound(PERSON)
    async with forwarder.send(outbound):
        assert b"\r\ntongguan-identity: signed for 8f2c\r\n" in system.heads[0]
    assert outbound.fields == [(b"accept", b"*/*")]


async def test_nobody_is_asserted_where_nobody_asks_or_nobody_is_told(system: System, trip: Trip) -> None:
    async with DirectForwarder(trip.upstream, lambda _: b"signed").send(_outbound(None)):
        pass
    async with DirectForwarder(trip.upstream, None).send(_outbound(PERSON)):
        pass
    assert b"tongguan-identity" not in b"".join(system.heads)


async def test_an_upgrade_is_asked_for(system: System, trip: Trip) -> None:
    asked = msgspec.structs.replace(_outbound(upgrade="websocket"), upgrade="websocket")
    async with DirectForwarder(trip.upstream, None).send(asked) as reply:
        assert None is reply.tunnel
    assert b"\r\nupgrade: websocket\r\n" in system.heads[0]


async def test_where_the_item_lets_none_through_no_upgrade_is_asked_for(system: System, trip: Trip) -> None:
    async with DirectForwarder(trip.upstream, None).send(_outbound(upgrade="websocket")):
        assert b"upgrade" not in system.heads[0]


async def test_only_so_many_tunnels_are_open_at_once(system: System, trip: Trip) -> None:
    """Whoever opens many must not take the connections of those who ask for something else."""
    forwarder = DirectForwarder(trip.upstream, None, tunnels=1)
    asked = msgspec.structs.replace(_outbound(upgrade="websocket"), upgrade="websocket")
    async with forwarder.send(asked):
        with pytest.raises(UpstreamUnavailable):
            await forwarder.send(asked).__aenter__()
        async with forwarder.send(_outbound()) as reply:
            assert reply.status == 200
    assert forwarder.tunnels == 0


async def test_it_starts_while_the_system_is_down_and_stops_twice() -> None:
    trip = Trip("http://127.0.0.1:9")
    forwarder = DirectForwarder(trip.upstream, None)
    await forwarder.start()
    await forwarder.stop()
    await forwarder.stop()
