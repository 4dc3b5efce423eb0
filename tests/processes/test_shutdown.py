"""SIGTERM lets requests finish; a second one does not wait."""

import asyncio
import os
import signal
import time


async def test_sigterm_lets_a_request_in_flight_finish_and_exits_0(gateway, tmp_path):
    """Not ready at once, nobody new is let in, the one inside is answered, the socket file goes."""
    socket_file = tmp_path / "edge.sock"
    await (await gateway.start(listen=f"unix:{socket_file}", workers=1)).ready()
    assert socket_file.stat().st_mode & 0o777 == 0o660
    asked = asyncio.create_task(gateway.ask("/wait/1"))
    await gateway.until(lambda status: status["workers"][0].get("in_flight") == 1)
    gateway.signal(signal.SIGTERM)
    await gateway.said("draining")
    assert await gateway.manage("/readyz") == (503, {"status": "not ready", "reason": "draining"})
    assert (await gateway.manage("/livez"))[0] == 200
    assert not socket_file.exists()
    assert (await gateway.manage("/drain", "POST"))[0] == 202
    assert (await asked)["rule"] == "first"
    assert await gateway.ended() == 0


async def test_requests_that_take_too_long_are_cut_off_when_the_drain_is_over(gateway):
    """The end comes within the drain time and two seconds."""
    await (await gateway.start(workers=1, drain=0.3)).ready()
    asked = asyncio.create_task(gateway.ask("/wait/30"))
    await gateway.until(lambda status: status["workers"][0].get("in_flight") == 1)
    began = time.monotonic()
    assert (await gateway.manage("/drain", "POST"))[0] == 202
    assert await gateway.ended() == 0
    assert time.monotonic() - began < 0.3 + 2.0
    await asyncio.wait({asked})
    assert asked.exception() is not None


async def test_a_second_sigterm_ends_everything_at_once(gateway):
    """Exit code 1 says that requests were cut off."""
    await (await gateway.start(workers=1, drain=30.0)).ready()
    asked = asyncio.create_task(gateway.ask("/wait/30"))
    await gateway.until(lambda status: status["workers"][0].get("in_flight") == 1)
    gateway.signal(signal.SIGTERM)
    await gateway.said("draining")
    began = time.monotonic()
    gateway.signal(signal.SIGTERM)
    assert await gateway.ended() == 1
    assert time.monotonic() - began < 3.0
    await asyncio.wait({asked})
    assert asked.exception() is not None


async def test_a_stop_signal_for_the_whole_process_group_cuts_nothing_off(gateway):
    """Workers that were told as well finish what is under way, and no line wakes anybody."""
    await (await gateway.start(workers=1)).ready()
    asked = asyncio.create_task(gateway.ask("/wait/2"))
    status = await gateway.until(lambda status: status["workers"][0].get("in_flight") == 1)
    for pid in (status["workers"][0]["pid"], gateway.pid):
        os.kill(pid, signal.SIGTERM)
    assert (await asked)["rule"] == "first"
    assert await gateway.ended() == 0
    await gateway.listening
    assert "did not drain" not in "".join(gateway.lines)
