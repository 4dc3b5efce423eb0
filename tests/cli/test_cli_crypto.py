"""`crypto.backend` of gateway.yaml: what is chosen reaches every part, and what cannot be chosen is told."""

import pytest
import structlog

from gateway.building import Build
from gateway.configuration.loading import load_static, policy_from
from gateway.contracts import PartContext, Settings, Verifier
from gateway.lending import lend


def choose(world, backend: str) -> None:
    with world.path.open("a", encoding="utf-8") as file:
        file.write(f'crypto: {{backend: "{backend}"}}\n')


@pytest.mark.parametrize("backend", ["libcrypto", "gmalg"])
def test_parts_are_lent_the_chosen_back_end(world, backend):
    choose(world, backend)
    lent = lend(load_static(world.path), None, structlog.get_logger(), alone=True)
    assert lent.context_of("province").crypto.name == backend


@pytest.mark.parametrize(
    ("backend", "because"),
    [
        ("openssl", "crypto.backend: no back end 'openssl'; there are auto, libcrypto, tongsuo, gmalg"),
        ("no.such:Provider", "crypto.backend: no.such:Provider cannot be made: ModuleNotFoundError"),
        ("builtins:object", "crypto.backend: SM3: AttributeError"),
    ],
)
def test_a_back_end_that_cannot_be_used_is_found_by_check(run, world, backend, because):
    choose(world, backend)
    result = run("check")
    assert result.exit_code == 2
    assert because in result.stderr


class Issuer(Verifier[Settings]):
    """Keeps keys unless its name says otherwise; counts fetches."""

    def __init__(self, config: Settings, context: PartContext) -> None:
        super().__init__(config, context)
        self.fetched = 0

    async def verify(self, credential):
        return None

    async def refresh_keys(self) -> str | None:
        self.fetched += 1
        return None if self.name == "opaque" else "fetched"


def policy(*names: str) -> bytes:
    verifiers = ",".join(f'{{"name": "{name}", "use": "{__name__}:Issuer"}}' for name in names)
    return (
        f'{{"channels": [{{"name": "web", "use": "plugins.channels.web:Web"}}], "verifiers": [{verifiers}]}}'.encode()
    )


async def test_one_verifiers_keys_or_all_of_them_are_fetched(world):
    """Verifiers that keep no keys are not spoken of."""
    lent = lend(load_static(world.path), None, structlog.get_logger(), alone=True)
    build = Build(lent, policy_from(policy("a", "b", "opaque")), 1, None)
    assert await build.refresh_keys() == {"a": "fetched", "b": "fetched"}
    assert await build.refresh_keys("b") == {"b": "fetched"}
    assert await build.refresh_keys("opaque") == await build.refresh_keys("c") == {}
    assert sorted(one.fetched for one in build.verifiers) == [1, 2, 2]
