"""bench/contestants/tongguan.py and tongguan_files.py: what is measured is the product, with its checks on."""

from pathlib import Path

import pytest

from bench.contestants import TONGGUAN
from bench.contestants.launcher import BULK_PATH, LIMITED_PATH, SessionShape, Shape
from bench.contestants.tongguan_files import write_edge, write_gatekeeper
from bench.processes import fetch, free_port, listens
from bench.trials import Variant, check_conduct
from bench.world import JWKS_PATH, Cores, Issuer, World, make_issuer, start_backend
from gateway.configuration.loading import load, policy_from
from gateway.ferry.inner_settings import load_gatekeeper

NOWHERE = World(
    Cores(0, 0), Issuer(["token"], Path("jwks.json"), Path("issuer.pem")), 9, "http://127.0.0.1:9/jwks.json"
)


SHAPES = [
    Shape(),
    Shape(items=500),
    Shape(grants=10),
    Shape(via="ferry"),
    Shape(sessions=SessionShape()),
    Shape(sessions=SessionShape("unix:///run/redis.sock", remember=0)),
    Shape(ledger=Path("/run/ledger.db")),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_product_accepts_the_files_of_every_shape(shape, tmp_path):
    loaded = load(write_edge(shape, NOWHERE, tmp_path, 8080, 8081, 9500))

    assert shape.items == len(policy_from(loaded.policy).items)
    assert shape.workers == loaded.settings.workers


def test_the_gatekeeper_knows_the_route_that_the_edge_names(tmp_path):
    loaded = load(write_edge(Shape(via="ferry"), NOWHERE, tmp_path, 8080, 8081, 9500))
    items = policy_from(loaded.policy).items
    named = [operation.id for item in items if item.system == "inner" for operation in item.operations]

    assert named == [route.id for route in load_gatekeeper(write_gatekeeper(NOWHERE, tmp_path, 9500)).routes]


@pytest.fixture
def world(tmp_path):
    """A back end and an issuer of this test's own, all on one core."""
    core = Cores.of_this_machine().load
    issuer = make_issuer(tmp_path)
    backend = start_backend(tmp_path / "backend", core, jwks=issuer.jwks)
    yield World(Cores(core, core), issuer, backend.port, f"http://127.0.0.1:{backend.port}{JWKS_PATH}")
    backend.stop()


@pytest.mark.needs("nginx", "setpriv", "taskset")
@pytest.mark.parametrize("via", ["direct", "ferry"])
def test_it_forwards_with_a_token_refuses_without_one_and_leaves_nobody_behind(via, world, tmp_path):
    port = free_port()
    running = TONGGUAN.launch(Shape(via=via), world, tmp_path, port)
    try:
        check_conduct(Variant.of(TONGGUAN), world, port)
        limited = [fetch(port, LIMITED_PATH, world.issuer.headers)[0] for _ in range(2)]
        bulk = fetch(port, BULK_PATH, world.issuer.headers)[0]
        units = len(running.pids)
    finally:
        running.stop()

    assert ([200, 429], 200, {"direct": 1, "ferry": 2}[via]) == (limited, bulk, units)
    assert not listens(port)
