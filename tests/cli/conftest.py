import pytest
from click.testing import CliRunner, Result

from gateway.cli import tongguan
from tests.configuration.config_world import World
from tests.configuration.conftest import identity, world

__all__ = ["identity", "world"]


class Shell:
    """Runs `tongguan --config` the world's gateway.yaml."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __call__(self, *arguments: str) -> Result:
        result = CliRunner().invoke(tongguan, ["--config", str(self._world.path), *arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result


@pytest.fixture
def run(world: World) -> Shell:
    return Shell(world)
