"""`tongguan tour`: play the sandbox's story over HTTP, show each step, fail at the first that is not as it should be.

`sandbox.story` holds the scenes; a sandbox has to be running (`sandbox.launch`).
"""

import argparse
import asyncio
import io
import os
import sys
from typing import TextIO

import aiohttp

from sandbox.browsing import PageError
from sandbox.launch import add_base_port
from sandbox.story import STORY, Scene
from sandbox.visitor import DEADLINE, NotThere, StepFailed, Visitor, find_sandbox

ALL_WELL = 0
"""Exit code: every step was as it should be."""
FAILED = 1
"""Exit code: one was not, or there is no sandbox."""

_DESCRIPTION = """Play the whole story against a running sandbox and check every step.
在运行中的演示环境上逐步演示并校验。先启动 start it first: make run"""

_COLOURS = {">": "36", "<": "33", "~": "35", "=": "2"}


class Stage:
    """Where the story is told: a terminal with colours and pauses, or a file without."""

    def __init__(self, out: TextIO, *, wait: bool) -> None:
        self._out = out
        self._colours = out.isatty() and "NO_COLOR" not in os.environ
        self._wait = wait and out.isatty() and sys.stdin.isatty()

    def announce(self, number: int, scene: Scene) -> None:
        """Say what comes."""
        self._say(f"\n{number:2}. {scene.chinese} · {scene.english}", "1")

    def show(self, seen: list[str]) -> None:
        """Show what was asked and answered."""
        for line in seen:
            self._say(f"    {line}", _COLOURS.get(line[0], ""))

    def approve(self, why: str) -> None:
        """Say why that is right."""
        self._say(f"    ✓ {why}", "32")

    def complain(self, why: str) -> None:
        """Say what is wrong."""
        self._say(f"    ✗ {why}", "31")

    def close(self, steps: int) -> None:
        """Say that all is well."""
        self._say(f"\n全部 {steps} 步符合预期 · all {steps} steps are as they should be", "1;32")

    async def pause(self) -> None:
        """Wait for Enter where somebody watches."""
        if self._wait:
            print("    ⏎ ", end="", flush=True, file=self._out)
            await asyncio.to_thread(sys.stdin.readline)

    def _say(self, text: str, colour: str) -> None:
        print(f"\033[{colour}m{text}\033[0m" if self._colours and colour else text, flush=True, file=self._out)


async def play(base: int, stage: Stage) -> int:
    """Play the whole story.

    Args:
        base: the sandbox's base port.
        stage: where to show it.

    Returns:
        The exit code: ALL_WELL or FAILED.
    """
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=DEADLINE)) as session:
        try:
            visitor = Visitor(await find_sandbox(base, session), session)
        except NotThere as error:
            stage.complain(str(error))
            return FAILED
        for number, scene in enumerate(STORY, start=1):
            stage.announce(number, scene)
            if not await _play_scene(scene, visitor, stage):
                return FAILED
            await stage.pause()
    stage.close(len(STORY))
    return ALL_WELL


async def _play_scene(scene: Scene, visitor: Visitor, stage: Stage) -> bool:
    visitor.seen.clear()
    try:
        why = await scene.play(visitor)
    except (StepFailed, PageError, aiohttp.ClientError, OSError, TimeoutError, KeyError) as error:
        stage.show(visitor.seen)
        stage.complain(str(error) if isinstance(error, StepFailed | PageError) else repr(error))
        return False
    stage.show(visitor.seen)
    stage.approve(why)
    return True


def main(arguments: list[str] | None = None) -> int:
    """Play the story against a running sandbox; see `--help`."""
    parser = argparse.ArgumentParser(prog="tongguan tour", description=_DESCRIPTION)
    add_base_port(parser)
    parser.add_argument("--no-wait", action="store_true", help="do not wait for Enter after each step 不逐步等待回车")
    options = parser.parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return asyncio.run(play(options.base_port, Stage(sys.stdout, wait=not options.no_wait)))
    except KeyboardInterrupt:
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
