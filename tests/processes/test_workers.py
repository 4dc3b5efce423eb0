"""Workers die, fail and stall; the rest of the gateway goes on (hardening: process and configuration)."""

import asyncio
import json
import os
import signal

import aiohttp

from gateway.processes.workers import Journal
from gateway.withdrawals import LONGEST_LIFE

NOW = 1_700_000_000.0


async def test_a_killed_worker_costs_only_its_own_requests_and_is_replaced(gateway):
    """While one of two workers is killed under light load, every new connection is answered."""
    await (await gateway.start()).ready()
    victim = (await gateway.status())["workers"][0]["pid"]
    outcomes = []

    async def keep_asking():
        for _ in range(20):
            try:
                outcomes.append((await gateway.ask("/wait/0.02"))["pid"])
            except aiohttp.ClientError as error:
                outcomes.append(error)

    asking = [asyncio.create_task(keep_asking()) for _ in range(3)]
    await asyncio.sleep(0)
    os.kill(victim, signal.SIGKILL)
    await asyncio.gather(*asking)
    failed = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert len(failed) <= 3, failed
    after = await gateway.until(lambda status: len(status["workers"]) == 2 and status["ready"])
    assert victim not in [worker["pid"] for worker in after["workers"]]
    assert after["restarts"] == 1


async def test_an_edge_that_cannot_be_imported_ends_the_gateway_with_exit_code_3(gateway):
    """A bad deployment ends in bounded time, after as many starts as configured and no more."""
    await gateway.start(edge="no_such_module:make_edge", pace={"starts": 3}, workers=4)
    assert await gateway.ended() == 3
    await gateway.listening
    starts = [line for line in gateway.lines if "ModuleNotFoundError: No module named 'no_such_module'" in line]
    assert len(starts) == 3


async def test_a_stalled_worker_is_named_with_its_stack_and_replaced(gateway):
    """A part that blocks the loop for longer than the bound costs its worker, and the log says where it was."""
    await (await gateway.start(workers=1, pace={"lag": 0.3, "stall": 1.0})).ready()
    before = (await gateway.status())["workers"][0]["pid"]
    stalled = asyncio.create_task(gateway.ask("/stall/60"))
    await gateway.said("in _answer")
    await gateway.said("killing it")
    await asyncio.wait({stalled})
    assert isinstance(stalled.exception(), aiohttp.ClientError)
    answer = await gateway.ask()
    assert answer["pid"] != before


async def test_workers_end_when_the_supervisor_is_killed(gateway):
    """Nobody is left behind on the port."""
    await (await gateway.start()).ready()
    pids = [worker["pid"] for worker in (await gateway.status())["workers"]]
    gateway.signal(signal.SIGKILL)
    await gateway.ended()
    async with asyncio.timeout(8):
        while True:
            if not any(_runs(pid) for pid in pids):
                return
            await asyncio.sleep(0.05)


async def test_a_worker_that_is_told_to_end_finishes_its_request_and_is_replaced(gateway):
    """SIGTERM to one worker is a rolling restart of that worker."""
    await (await gateway.start(workers=1)).ready()
    before = (await gateway.status())["workers"][0]["pid"]
    asked = asyncio.create_task(gateway.ask("/wait/0.4"))
    await gateway.until(lambda status: status["workers"][0].get("in_flight") == 1)
    os.kill(before, signal.SIGTERM)
    assert (await asked)["pid"] == before
    assert (await gateway.ask())["pid"] != before


async def test_a_new_worker_learns_what_was_revoked_before_its_time(gateway):
    """A crash does not make a withdrawn session good again."""
    await (await gateway.start(workers=1)).ready()
    status, _ = await gateway.manage("/revocations", "POST", data=json.dumps({"sid": "s-1"}))
    assert status == 200
    (told,) = (await gateway.status())["workers"][0]["commands"]
    os.kill((await gateway.status())["workers"][0]["pid"], signal.SIGKILL)
    after = await gateway.until(lambda status: status["restarts"] == 1 and status["ready"])
    assert after["workers"][0]["commands"] == [told]
    assert told[0] == "revoke"
    assert told[1]["sid"] == "s-1"


def _runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_was_revoked_while_a_worker_started_is_known_whatever_the_clock_did_meanwhile():
    clock = iter([NOW, NOW - 3600, NOW - 3599])
    journal = Journal(lambda: next(clock))
    journal.add({"jti": "before"})
    known = journal.count
    journal.add({"jti": "meanwhile"})
    journal.add({"jti": "before"})
    assert journal.after(known) == [{"jti": "meanwhile", "at": NOW - 3600}, {"jti": "before", "at": NOW - 3599}]
    assert journal.after(0) == journal.after(known)


def test_a_revocation_is_remembered_for_a_day():
    clock = iter([NOW, NOW + LONGEST_LIFE + 1])
    journal = Journal(lambda: next(clock))
    journal.add({"jti": "one"})
    journal.add({"jti": "other"})
    assert [one["jti"] for one in journal.after(0)] == ["other"]
