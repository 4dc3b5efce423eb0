"""The real edge with two workers: reload, revocation, a worker's death and the end reach both, and lose nothing."""

import asyncio
import os
import signal
import time
from collections import Counter
from itertools import count

import aiohttp
import pytest
import pytest_asyncio
from edge_of_workers import DEADLINE, edge_of_two

pytestmark = pytest.mark.asyncio(loop_scope="module")

AT_ONCE = 8
NUMBERS = count()
"""A path of its own for every request: what was asked before, and is recorded only now, is told apart."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory):
    """An edge of two workers and the system behind it, for everybody who leaves its policy as it was."""
    async with edge_of_two(tmp_path_factory.mktemp("edge")) as both:
        yield both


async def asked_of_both(edge, path, token=None):
    """The statuses that new connections see, asked until both workers have answered."""
    asked, statuses = set(), set()

    def workers():
        return {record["worker"] for record in edge.records() if record["url.path"] in asked}

    async with asyncio.timeout(DEADLINE):
        while workers() != {0, 1}:
            paths = [f"{path}/{next(NUMBERS)}" for _ in range(AT_ONCE)]
            answers = await asyncio.gather(*(edge.ask(one, token) for one in paths))
            statuses |= {status for status, _ in answers}
            asked.update(paths)
    return statuses


def everywhere(generation):
    """A condition on /status: both workers use this generation."""
    return lambda status: [worker["generation"] for worker in status["workers"]] == [generation] * 2


async def event(edge, name):
    """Wait until the application log has this event; gives it."""
    found = await edge.recorded(lambda events: any(one["event"] == name for one in events), "application")
    return next(one for one in reversed(found) if one["event"] == name)


async def kill(edge, number):
    """kill -9 of a worker, and wait until two serve again; gives the status then."""
    victim = (await edge.status())["workers"][number]["pid"]
    os.kill(victim, signal.SIGKILL)
    return await edge.until(
        lambda status: (
            [worker["state"] for worker in status["workers"]] == ["serving"] * 2
            and victim not in [worker["pid"] for worker in status["workers"]]
        )
    )


async def test_a_good_policy_replaces_the_old_one_in_every_worker(world):
    """Once /status says so, no new connection meets the old policy."""
    edge, _ = world
    assert await asked_of_both(edge, "/open") == {200}
    before = (await edge.status())["generation"]
    edge.write("/renamed/{n}")
    await edge.until(everywhere(before + 1))
    assert await asked_of_both(edge, "/open") == {404}
    assert await asked_of_both(edge, "/renamed") == {200}
    edge.write()
    await edge.until(everywhere(before + 2))
    assert await asked_of_both(edge, "/open") == {200}


async def test_a_bad_policy_replaces_it_in_none(world):
    """The parent's log and /status have what was wrong."""
    edge, _ = world
    before = (await edge.status())["generation"]
    edge.replace('{"itmes": []}')
    status = await edge.until(lambda status: status["last_reload"]["outcome"] == "refused")
    assert everywhere(before)(status)
    assert await asked_of_both(edge, "/open") == {200}
    refused = await event(edge, "configuration refused, the last good one stays")
    assert refused["problems"] == status["last_reload"]["problems"] != []
    edge.write()
    status = await edge.until(lambda status: status["last_reload"]["outcome"] != "refused")
    assert everywhere(before)(status)


@pytest.mark.parametrize("how", ["signal", "request"])
async def test_the_parents_log_goes_on_in_a_new_file_after_a_rotation(world, how):
    """As the workers' do: SIGUSR1 or POST /records/reopen, and what the parent says next is in the new file."""
    edge, _ = world
    log = edge.folder / "application.jsonl"
    log.touch()
    log.rename(edge.folder / f"application.{how}.jsonl")
    if how == "signal":
        edge.process.send_signal(signal.SIGUSR1)
    else:
        assert await edge.manage("/records/reopen", "POST") == (200, {"ok": True, "workers": 2})
    assert (await edge.manage("/reload", "POST"))[0] == 200
    said = ("configuration unchanged", "request")  # of a file, too, where an earlier test has just put it back
    await edge.recorded(lambda events: said in {(one["event"], one.get("cause")) for one in events}, "application")


async def test_a_revoked_token_dies_in_both_workers_within_a_second_and_stays_dead(world):
    """Both remember its verdict when it is revoked; a worker that starts later knows as well. Others' go on."""
    edge, system = world
    revoked, other = system.token("revoked"), system.token("other")
    for token in (revoked, other):
        assert await asked_of_both(edge, "/private", token) == {200}
    assert [worker["remembered"] for worker in (await edge.status())["workers"]] == [2, 2]
    began = time.monotonic()
    assert await edge.manage("/revocations", "POST", json={"jti": "revoked"}) == (200, {"ok": True, "workers": 2})
    assert time.monotonic() - began < 1.0
    assert await asked_of_both(edge, "/private", revoked) == {401}
    status, problem = await edge.ask("/private/1", revoked)
    assert (status, problem["code"]) == (401, "token-revoked")
    assert await asked_of_both(edge, "/private", other) == {200}

    await kill(edge, 0)
    assert await asked_of_both(edge, "/private", revoked) == {401}
    assert await asked_of_both(edge, "/private", other) == {200}


async def test_a_killed_worker_costs_only_the_requests_it_carried(world):
    """Four clients ask one request after another; what the dead worker did not carry is answered, nothing twice."""
    edge, system = world
    before = (await edge.status())["restarts"]
    outcomes = []

    async def keep_asking(client):
        for number in range(30):
            try:
                outcomes.append((await edge.ask(f"/open/load-{client}-{number}"))[0])
            except aiohttp.ClientError:
                outcomes.append("cut off")

    async with asyncio.TaskGroup() as group:
        for client in range(4):
            group.create_task(keep_asking(client))
        await edge.until(lambda _: len(outcomes) >= 10)
        status = await kill(edge, 1)
    found = Counter(outcomes)
    assert found.keys() <= {200, "cut off"}
    assert found["cut off"] <= 4
    assert found.total() == 4 * 30
    assert max(count for n, count in system.deliveries.items() if n.startswith("load-")) == 1
    assert status["restarts"] == before + 1


async def test_the_public_listener_knows_nothing_of_the_management_listener(world):
    """404, as for every address that is no item's."""
    edge, _ = world
    for path in ("/livez", "/readyz", "/metrics", "/status"):
        for method in ("GET", "POST"):
            status, problem = await edge.ask(path, method=method)
            assert (status, problem["status"], problem["code"]) == (404, 404, "item-unknown")


async def test_sigterm_with_requests_in_flight_loses_none(tmp_path):
    """All twelve are answered, delivered once and recorded; then it ends cleanly."""
    numbers = list(map(str, range(12)))
    async with edge_of_two(tmp_path) as (edge, system):
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(edge.ask(f"/slow/{number}")) for number in numbers]
            await edge.until(lambda _: system.deliveries.total() == len(numbers))
            edge.process.send_signal(signal.SIGTERM)
            await edge.until(lambda status: status["not_ready"] == "draining")
            assert not any(task.done() for task in asked)
            system.released.set()
        assert [task.result() for task in asked] == [(200, {"n": number}) for number in numbers]
        async with asyncio.timeout(10):
            assert await edge.process.wait() == 0
        assert system.deliveries == dict.fromkeys(numbers, 1)
        assert [record["http.response.status_code"] for record in edge.records()] == [200] * len(numbers)
