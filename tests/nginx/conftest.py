"""One nginx in front of a recorder, and one in front of a real edge of the sandbox."""

import pytest
from nginx_world import Nginx, Recorder, edge_behind


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
def gate(tmp_path_factory, sandbox):
    """An nginx with an edge behind it; `gate.records` are the edge's access records."""
    nginx = Nginx(tmp_path_factory.mktemp("gate"))
    with edge_behind(nginx, sandbox.places) as nginx.records, nginx.running():
        yield nginx
