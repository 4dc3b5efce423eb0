"""What the log says of an issuer that is down: enough to see it, and no flood."""

from typing import Any

from structlog.testing import CapturingLogger

from gateway import PartContext
from gateway.state import MemoryStore
from gateway.tokens.keys import KeyPolicy, KeySet
from tests.plugin_world import Clock, Platform, Signer, answer


async def test_an_issuer_that_is_down_is_told_once_a_minute_and_its_return_once():
    """The first failure, then one line a minute with their number; one line when it is back."""
    clock, issuer, log = Clock(), Platform(), CapturingLogger()
    once = MemoryStore(monotonic=lambda: clock.mono)
    context = PartContext("province", issuer, once, lambda: clock.wall, lambda: clock.mono, log)
    policy = KeyPolicy(frozenset({"ES256"}), soft_ttl=300, hard_ttl=3600, min_refetch=0)
    keys = KeySet("https://id.province.example/jwks", policy, context, lambda: None)
    issuer.answers = [OSError("down")]
    for _ in range(40):
        await keys._fetch()
        clock.advance(2)
    issuer.answers = [answer({"keys": [Signer("ES256", "first").jwk()]})]
    for _ in range(2):
        await keys._fetch()

    def told(call: Any) -> tuple[str, str, int]:
        return call.method_name, call.args[0], call.kwargs["failures"]

    assert [told(call) for call in log.calls] == [
        ("warning", "keys.fetch_failed", 1),
        ("warning", "keys.fetch_failed", 31),
        ("info", "keys.fetch_recovered", 40),
    ]
