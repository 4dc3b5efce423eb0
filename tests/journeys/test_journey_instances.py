"""Two instances of two workers each, with one Redis: what one worker learns all know; in doubt none lets pass."""

import asyncio
import hashlib
import hmac
import secrets
import time
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
from edge_of_workers import Edge, System
from redis_world import running_redis

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.needs("redis-server")]

APP = {
    "name": "app",
    "use": "plugins.channels.app:App",
    "config": {"keys": [{"id": "ak", "secret": {"$env": "PSEUDONYM_KEY"}}]},
}
SECRET = "0123456789abcdef"


class World:
    """Both instances, the system behind them, and their Redis."""

    def __init__(self, edges, system, redis):
        self.edges = edges
        self.system = system
        self.redis = redis

    async def everywhere(self, path, token=None, times=16):
        """What new connections to both instances are answered: statuses and codes."""
        answers = await asyncio.gather(*(edge.ask(f"{path}/1", token) for edge in self.edges for _ in range(times)))
        return {(status, body.get("code")) for status, body in answers}

    async def until_everywhere(self, path, token, expected, seconds):
        """Ask until everybody answers so; gives the seconds it took from now."""
        began = time.monotonic()
        async with asyncio.timeout(seconds):
            while await self.everywhere(path, token, 8) != {expected}:
                pass
        return time.monotonic() - began


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shared")
    with running_redis(folder) as redis:
        async with System().running() as system, AsyncExitStack() as stack:
            edges = []
            for number in range(2):
                home = folder / f"instance-{number}"
                home.mkdir()
                (home / "redis.url").write_text(redis.url)
                edge = Edge(home, system, state="redis", redis={"url": {"$file": "redis.url"}})
                edge.write(channels=[APP, {"name": "web", "use": "plugins.channels.web:Web"}])
                _offer_to_apps(edge)
                edges.append(await stack.enter_async_context(edge.running()))
            yield World(edges, system, redis)


def _offer_to_apps(edge):
    policy = edge.folder / "policy.yaml"
    policy.write_text(policy.read_text().replace('"channels": ["web"]', '"channels": ["web", "app"]'))


def signed(path, at):
    """Fields of a request that is signed as docs/channels.md says."""
    held = {"x-ak": "ak", "x-nonce": secrets.token_hex(8), "x-timestamp": f"{at:.0f}"}
    lines = ["POST", path, "", *(f"{name}:{value}" for name, value in held.items()), hashlib.sha256(b"").hexdigest()]
    return held | {"x-signature": hmac.new(SECRET.encode(), "\n".join(lines).encode(), "sha256").hexdigest()}


async def test_a_revoked_token_dies_in_all_four_workers_within_a_second(world):
    revoked, other = world.system.token("shared-revoked"), world.system.token("shared-other")
    for token in (revoked, other):
        assert await world.everywhere("/private", token) == {(200, None)}
    began = time.monotonic()
    assert (await world.edges[0].manage("/revocations", "POST", json={"jti": "shared-revoked"}))[0] == 200
    await world.until_everywhere("/private", revoked, (401, "token-revoked"), 5.0)
    assert time.monotonic() - began < 1.0
    assert await world.everywhere("/private", other) == {(200, None)}


async def test_a_signed_request_passes_once_wherever_it_is_sent(world):
    fields = signed("/open/1", time.time())
    answers = await asyncio.gather(*(edge.ask("/open/1", **fields) for edge in world.edges for _ in range(8)))
    assert sorted(status for status, _ in answers) == [200] + [401] * 15
    assert {body["code"] for status, body in answers if status == 401} == {"replayed"}


async def test_without_redis_nobody_passes_who_has_to_sign_in_and_everybody_else_does(world):
    """503 and never 401, which would sign everybody out; and all is well within five seconds of its return."""
    token, gone = world.system.token("shared-outage"), world.system.token("shared-gone")
    assert await world.everywhere("/private", token) == {(200, None)}
    assert (await world.edges[1].manage("/revocations", "POST", json={"jti": "shared-gone"}))[0] == 200
    await world.until_everywhere("/private", gone, (401, "token-revoked"), 2.0)
    before = signed("/open/1", time.time())
    assert (await world.edges[0].ask("/open/1", **before))[0] == 200

    world.redis.kill()
    await world.until_everywhere("/private", token, (503, "state-unavailable"), 5.0)
    assert await world.everywhere("/open") == {(200, None)}
    status, body = await world.edges[0].ask("/open/1", **signed("/open/1", time.time()))
    assert (status, body["code"]) == (503, "state-unavailable")

    world.redis.start()  # empty: it keeps nothing
    assert await world.until_everywhere("/private", token, (200, None), 5.0) < 5.0
    assert await world.everywhere("/private", gone) == {(401, "token-revoked")}
    answers = [await edge.ask("/open/1", **before) for edge in world.edges]
    # What was used before the loss is not known, and not believed.
    assert [(status, body["code"]) for status, body in answers] == [(401, "clock-skew")] * 2
    async with asyncio.timeout(5):
        while (await world.edges[0].ask("/open/1", **signed("/open/1", time.time() + 1)))[0] != 200:
            pass
