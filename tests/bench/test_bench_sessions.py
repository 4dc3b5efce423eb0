"""bench/measures/sessions.py and bench/visitors.py: sessions that were opened by signing in, also in Redis."""

from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from bench.contestants import TONGGUAN
from bench.contestants.launcher import SessionShape, Shape
from bench.contestants.tongguan import Tongguan
from bench.context import Bench
from bench.measures.sessions import Sessions
from bench.processes import Running, StartError, fetch, free_port
from bench.trials import Variant, check_conduct
from bench.visitors import SignInError, sign_in
from bench.world import BODY, JWKS_PATH, PATH, PERSONS, Cores, World, make_issuer, start_backend, start_redis

pytestmark = pytest.mark.needs("nginx", "setpriv", "taskset", "wrk")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sessions")


@pytest.fixture(scope="module")
def world(folder):
    """A back end and an issuer, all on one core."""
    core = Cores.of_this_machine().load
    issuer = make_issuer(folder, PERSONS[:2])
    backend = start_backend(folder / "backend", core, jwks=issuer.jwks)
    yield World(Cores(core, core), issuer, backend.port, f"http://127.0.0.1:{backend.port}{JWKS_PATH}")
    backend.stop()


@contextmanager
def launched(sessions: SessionShape, world: World, folder: Path):
    """A gateway in this shape; gives its port."""
    port = free_port()
    running = TONGGUAN.launch(Shape(sessions=sessions), world, folder, port)
    try:
        yield port
    finally:
        running.stop()


@pytest.fixture(scope="module")
def port(world, folder):
    """A gateway that keeps its sessions itself."""
    with launched(SessionShape(), world, folder) as port:
        yield port


def test_each_person_gets_a_session_of_her_own_that_serves_instead_of_a_token(port, world):
    cookies = sign_in(port, PERSONS[:3])

    check_conduct(Variant.of(TONGGUAN), world, port)
    assert len(set(cookies)) == 3
    answers = [fetch(port, PATH, dict([cookie])) for cookie in cookies]
    assert answers == [(200, BODY)] * 3


def test_a_session_that_nobody_opened_is_refused(port):
    """Otherwise the measure could be fast for the wrong reason."""
    status, _ = fetch(port, PATH, {"Cookie": f"__Host-sid={'x' * 43}"})
    assert status == 401


def test_a_login_that_does_not_end_with_a_session_says_where_it_ended(port):
    with pytest.raises(SignInError, match=r"/sso/callback/reception was answered 401"):
        sign_in(port, [""])


@pytest.mark.needs("redis-server")
def test_sessions_of_the_other_shape_are_in_redis(world, tmp_path):
    server, address = start_redis(tmp_path / "redis", Cores.of_this_machine().load)
    try:
        with launched(SessionShape(address), world, tmp_path) as port:
            cookies = sign_in(port, PERSONS[:3])
        kept = redis.Redis.from_url(address).keys("tongguan:value:session:*")
    finally:
        server.stop()

    assert len(cookies) == len(kept)


class Broken(Tongguan):
    """A gateway that does not come up; tells in which shapes it was asked to."""

    def __init__(self) -> None:
        self.asked: list[SessionShape | None] = []

    def launch(self, shape: Shape, world: World, workdir: Path, port: int) -> Running:
        self.asked.append(shape.sessions)
        raise StartError("it is broken")


@pytest.fixture
def bench(world, tmp_path):
    """A run of one round, with another gateway in place of the product."""
    return lambda gateway: Bench(world, tmp_path, 1, 1, True, [], gateway, lambda step: None)


@pytest.mark.needs("redis-server")
def test_tokens_and_sessions_of_both_stores_are_asked_with(bench):
    broken = Broken()
    section = Sessions().run(bench(broken))

    assert [shape.redis is None for shape in broken.asked] == [True, True, True, False, False]
    assert [shape.remember for shape in broken.asked] == [10, 10, 0, 10, 0]
    assert [row.flaw for row in section.rows] == ["it is broken"] * 5


def test_nothing_is_measured_where_the_gateway_was_left_out(bench):
    assert Sessions().run(bench(None)) is None
