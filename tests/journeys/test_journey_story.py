"""The sandbox's story, told as claims: every scene of `tongguan tour`, and the tour itself."""

import asyncio
import os
import pty
import sys

import pytest

from sandbox.back_office import BackOffice
from sandbox.story import STORY
from sandbox.unit_case import Step, UnitCase


@pytest.mark.parametrize("scene", STORY, ids=lambda scene: scene.play.__name__)
async def test_every_scene_of_the_story_is_as_it_should_be(visitor, scene):
    """Each of them alone, in any order."""
    assert await scene.play(visitor)


async def test_staff_who_have_signed_in_go_on_in_their_session(visitor):
    """A code is good once, so the next scene, and the next tour, would have to wait for another one."""
    await BackOffice(visitor).look("clerk-1", "/queues")
    visitor.seen.clear()
    await BackOffice(visitor).look("clerk-1", "/queues")
    assert visitor.seen == ["> (console) GET /api/queues   [clerk-1]", "< 200"]
    assert visitor.places.staff_sessions.stat().st_mode & 0o077 == 0


async def test_the_story_goes_on_from_wherever_somebody_has_left_the_unit(visitor):
    """Here somebody has stopped in the middle: an application waits, and it is started all over."""
    case = UnitCase(visitor)
    await case.bring_to(Step.NEW)
    await case.apply()
    await case.bring_to(Step.REVIEWED)
    assert (await case.record())["state"] == "reviewed"


async def run_tour(*arguments):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sandbox.tour", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_the_tour_runs_green(sandbox):
    """Exit code 0, every step numbered and approved, no colours in a file."""
    code, out, err = await run_tour("--base-port", str(sandbox.places.base))
    assert (code, err) == (0, "")
    assert out.count("✓") == len(STORY)
    assert f"all {len(STORY)} steps are as they should be" in out
    assert "\033[" not in out


async def test_the_tour_fails_at_the_first_step_that_is_wrong(sandbox, visitor):
    """A province that lies is noticed; the steps behind are not played."""
    await visitor.fault("token", "error")
    try:
        code, out, _ = await run_tour("--base-port", str(sandbox.places.base))
    finally:
        await visitor.fault("token", "none")
    assert code == 1
    assert out.count("✓") == 2
    assert "✗ expected 200, got 500" in out


async def test_without_a_sandbox_the_tour_says_how_to_start_one():
    """Exit code 1 and a sentence."""
    code, out, _ = await run_tour("--base-port", "1025")
    assert code == 1
    assert "start it with: tongguan sandbox --base-port 1025 或 or: make run RUN='--base-port 1025'" in out


async def test_on_a_terminal_the_tour_has_colours(sandbox):
    """And with --no-wait it does not wait for anybody."""
    ours, theirs = pty.openpty()
    arguments = ("--base-port", str(sandbox.places.base), "--no-wait")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sandbox.tour", *arguments),
        stdin=theirs,
        stdout=theirs,
        env={name: value for name, value in os.environ.items() if name != "NO_COLOR"},
    )
    os.close(theirs)
    shown = await asyncio.to_thread(read_terminal, ours)
    assert await process.wait() == 0
    assert b"\033[32m" in shown
    assert "⏎".encode() not in shown


def read_terminal(end):
    """Everything until the other end is closed, which Linux reports as an error."""
    shown = b""
    while True:
        try:
            shown += os.read(end, 65536)
        except OSError:
            os.close(end)
            return shown
