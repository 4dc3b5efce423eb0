"""No more connections than there are descriptors for."""

import resource
import socket

import pytest
from path_world import eventually

from gateway.edge.descriptors import RESERVE, affordable_connections
from gateway.edge.server import EdgeServer
from gateway.inbound import InboundReader
from gateway.settings import LimitSettings

INFINITY = resource.RLIM_INFINITY


class Descriptors:
    """The limits of a process: the soft one can be raised to the hard one unless the system forbids it."""

    def __init__(self, soft, hard, granted=True):
        self.limits = (soft, hard)
        self._granted = granted

    def read(self):
        return self.limits

    def write(self, limits):
        if not self._granted:
            raise PermissionError(1, "Operation not permitted")
        self.limits = limits


@pytest.mark.parametrize(("soft", "hard", "granted", "carried", "soft_after"), [
    (65536, 65536, True, 4096, 65536),
    (1024, 65536, True, 4096, 65536),
    (4096 + RESERVE - 1, 65536, True, 4096, 65536),
    (4096 + RESERVE, 65536, True, 4096, 4096 + RESERVE),
    (1024, 2048, True, 2048 - RESERVE, 2048),
    (1024, 65536, False, 1024 - RESERVE, 1024),
    (10, 10, True, 1, 10),
    (1024, INFINITY, True, 4096, 4096 + RESERVE),
    (INFINITY, INFINITY, True, 4096, INFINITY),
])  # fmt: skip
def test_the_soft_limit_is_raised_and_what_is_still_too_few_lowers_the_connections(
    soft, hard, granted, carried, soft_after
):
    descriptors = Descriptors(soft, hard, granted)
    assert affordable_connections(4096, descriptors.read, descriptors.write) == carried
    assert descriptors.limits == (soft_after, hard)


def test_this_process_may_have_as_many_descriptors_as_it_is_granted():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lower = min(soft, 512)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lower, hard))
    try:
        expected = min(lower, max(1, hard - RESERVE)) if hard != INFINITY else lower
        assert affordable_connections(lower) == expected
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > lower or hard == lower
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Log:
    def __init__(self):
        self.warnings = []

    def warning(self, event, **fields):
        self.warnings.append((event, fields))


async def test_a_worker_that_has_too_few_descriptors_says_so_and_accepts_fewer(make_edge):
    edge = await make_edge()
    log = Log()
    limits = LimitSettings(connections=100)
    reader = InboundReader(["gw.example"], "https", (), limits)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        loop = edge.server._loop
        server = EdgeServer(edge.pipeline, reader, limits, loop=loop, affordable=lambda wanted: wanted - 98, log=log)
        server.serve([listener])
        clients = [socket.create_connection(listener.getsockname()) for _ in range(3)]
        await eventually(lambda: len(server.connections) == 2)
        assert not server._room.is_set()
        assert not server.keeps_connections
        for client in clients:
            client.close()
        await eventually(lambda: not server.connections)
        await server.drain(0.0)
    assert log.warnings == [
        ("too few file descriptors for limits.connections", {"wanted": 100, "connections": 2}),
    ]


async def test_a_worker_that_has_enough_descriptors_says_nothing(make_edge):
    edge = await make_edge()
    assert edge.server.most_connections == edge.server.limits.connections
