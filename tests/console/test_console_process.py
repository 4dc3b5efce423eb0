"""`tongguan console` as a process: it starts, serves, takes a changed policy over, and ends as it should."""

import asyncio
import contextlib
import re
import signal
import sys
from asyncio.subprocess import PIPE

import pytest
from aiohttp import ClientSession, DummyCookieJar
from click.testing import CliRunner

from gateway.cli import tongguan
from tests.configuration.config_world import World
from tests.configuration.conftest import identity
from tests.configuration.conftest import world as configuration
from tests.console.console_world import HOST, Visitor
from tests.ferry.ferry_world import until

__all__ = ["configuration", "identity"]

COMMAND = "from gateway.cli import main; main()"
CONSOLE = f"""\
console:
  listen: 127.0.0.1:0
  hosts: [{HOST}]
  keys: [{{$env: TEST_LONG_KEY}}]
drain: 5s
"""


@pytest.fixture
def office(configuration) -> World:
    """The small sound configuration, with a back office; what it has to say goes to console.log."""
    configuration.edit("gateway.yaml", "drain: 30s\n", CONSOLE)
    configuration.edit(
        "gateway.yaml", "records:\n", f"records:\n  application: file:{configuration.folder}/console.log\n"
    )
    return configuration


def found_staff(world: World) -> str:
    """The first administrators; gives the one-time password of ann, the system administrator."""
    founders = ("--system", "ann", "--security", "ben", "--audit", "cat")
    result = CliRunner().invoke(tongguan, ["--config", str(world.path), "staff", "init", *founders])
    return re.search(r"ann\s+(\S+)", result.stdout)[1]


@contextlib.asynccontextmanager
async def running(world: World):
    """The process, and the port on which it listens."""
    command = (sys.executable, "-c", COMMAND, "--config", str(world.path), "console")
    process = await asyncio.create_subprocess_exec(*command, stderr=PIPE)
    try:
        line = await asyncio.wait_for(process.stderr.readline(), 20)
        found = re.fullmatch(rb"tongguan console listens on 127\.0\.0\.1:(\d+), pid (\d+)\n", line)
        assert found, line + await process.stderr.read()
        assert int(found[2]) == process.pid
        yield process, int(found[1])
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def test_it_serves_until_it_is_told_to_stop_and_takes_a_changed_policy_over(office):
    password = await asyncio.to_thread(found_staff, office)
    async with running(office) as (process, port), ClientSession(cookie_jar=DummyCookieJar()) as http:
        visitor = Visitor(http, f"http://127.0.0.1:{port}")
        page = await visitor.get("/sign-in")
        assert (page.status, page.headers["Server"]) == (200, "tongguan")
        unread = await send_raw(port, b"GET /\xff HTTP/1.1\r\nX-A: a-secret\r\n\r\n")
        assert unread.startswith(b"HTTP/1.0 400 ")
        assert b"request-malformed" in unread
        assert not [said for said in (b"a-secret", b"aiohttp", b"Python") if said in unread]
        begun = await visitor.call("POST", "/session", {"login": "ann", "password": password})
        assert (await begun.json())["missing"] == "password-change"
        office.edit("policy.yaml", "systems:\n", "broken: true\nsystems:\n")
        await until_said(office, "the changed configuration was refused")
        office.edit("policy.yaml", "broken: true\n", "")
        office.edit("policy.yaml", "name: 办事指南", "name: 办事须知")
        await until_said(office, "the policy was taken over")
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 15) == 0
    log = (office.folder / "console.log").read_text(encoding="utf-8")
    assert '"route":"/api/session"' in log
    assert password not in log


async def send_raw(port: int, request: bytes) -> bytes:
    """Send what is no request; gives the whole answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return answer


async def until_said(office: World, words: str) -> None:
    log = office.folder / "console.log"
    await until(lambda: words in log.read_text(encoding="utf-8"), 20)


def test_without_a_console_in_the_configuration_nothing_is_started(configuration):
    result = CliRunner().invoke(tongguan, ["--config", str(configuration.path), "console"])
    assert result.exit_code == 2
    assert result.stderr == "console: is missing from gateway.yaml; docs/console.md shows one\n"
