"""One nginx in front of a recorder, and one in front of a real edge of the sandbox."""

import shutil

import pytest
from nginx_world import Nginx, Recorder, edge_behind, make_client


@pytest.fixture(scope="session")
def front(tmp_path_factory):
    """An nginx with nobody behind it, unless a test stands there."""
    with Nginx(tmp_path_factory.mktemp("front")).running() as nginx:
        yield nginx


@pytest.fixture
async def recorder(front):
    """Stands behind `front` during a test."""
    async with Recorder().at(front.edge) as made:
        yield made


@pytest.fixture(scope="session")
def asking(tmp_path_factory):
    """An nginx that asks for client certificates; it accepts the one in `asking.known`, and not `asking.unknown`."""
    nginx = Nginx(tmp_path_factory.mktemp("asking"), asks=True)
    nginx.known, nginx.unknown = (make_client(nginx.folder, name) for name in ("known", "unknown"))
    shutil.copy(nginx.folder / "known-authority.pem", nginx.folder / "clients.pem")
    with nginx.running():
        yield nginx


@pytest.fixture(scope="session")
def gate(tmp_path_factory, sandbox):
    """An nginx with an edge behind it; `gate.records` are the edge's access records."""
    nginx = Nginx(tmp_path_factory.mktemp("gate"))
    with edge_behind(nginx, sandbox.places) as nginx.records, nginx.running():
        yield nginx
