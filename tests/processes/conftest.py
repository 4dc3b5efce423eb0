"""A gateway of real processes around the fake edge, started and ended by each test."""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

HERE = Path(__file__).parent
DEADLINE = 45.0
QUICK = {"backoff": 0.05, "prepare": 2.0}


class Gateway:
    """One `serve` process with its configuration folder.

    Attributes:
        public, management: addresses as the ready line gives them.
        lines: what it wrote to stderr so far.
    """

    def __init__(self, folder):
        self.folder = folder
        self.lines = []
        self.news = asyncio.Condition()

    def write(self, *, policy=None, **static):
        if policy is not None:
            beside = self.folder / "policy.new"
            beside.write_text(policy if isinstance(policy, str) else json.dumps(policy))
            beside.replace(self.folder / "policy.yaml")
        if static:
            (self.folder / "gateway.yaml").write_text(json.dumps(static))

    async def start(self, *, edge="fake_edge:make_edge", pace=(), policy=None, **static):
        given = {"listen": "127.0.0.1:0", "management": "127.0.0.1:0", "workers": 2, "drain": 5.0}
        self.write(policy=policy or {"rule": "first"}, **(given | static))
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(HERE / "serve_fake.py"), str(self.folder), edge, json.dumps(QUICK | dict(pace))),
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(HERE)},
        )
        self.pid = self.process.pid
        self.listening = asyncio.create_task(self._listen())
        return self

    async def ready(self):
        line = await self.said("tongguan serves on")
        found = re.search(r"on (\S+), management on (\S+),", line)
        self.public, self.management = found[1], found[2]
        return self

    async def said(self, text):
        """Wait until a line with this text was written to stderr; gives the line."""
        async with asyncio.timeout(DEADLINE), self.news:
            while not (found := [line for line in self.lines if text in line]):
                await self.news.wait()
        return found[0]

    async def ended(self):
        """Wait for the end; gives the exit code."""
        async with asyncio.timeout(DEADLINE):
            return await self.process.wait()

    def signal(self, number):
        os.kill(self.pid, number)

    async def ask(self, path="/"):
        """Ask the public listener on a connection of its own. POST, since the client would repeat a GET in silence."""
        return (await self._request("POST", self.public, path))[1]

    async def manage(self, path, method="GET", **options):
        """Ask the management listener; gives status and body (text for /metrics)."""
        return await self._request(method, self.management, path, **options)

    async def status(self):
        return (await self.manage("/status"))[1]

    async def until(self, condition):
        """Ask /status until the condition holds; gives the status."""
        async with asyncio.timeout(DEADLINE):
            while True:
                status = await self.status()
                if condition(status):
                    return status
                await asyncio.sleep(0.05)

    async def _request(self, method, address, path, **options):
        unix = address.removeprefix("unix:") if address.startswith("unix:") else None
        connector = aiohttp.UnixConnector(unix) if unix else aiohttp.TCPConnector(force_close=True)
        url = f"http://{'localhost' if unix else address}{path}"
        async with (
            aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(DEADLINE)) as session,
            session.request(method, url, **options) as answer,
        ):
            text = await answer.text()
            return answer.status, json.loads(text) if "json" in answer.content_type else text

    async def _listen(self):
        while line := (await self.process.stderr.readline()).decode():
            async with self.news:
                self.lines.append(line)
                self.news.notify_all()

    async def close(self):
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(8):
                    await self.process.wait()
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await self.listening


@pytest.fixture
async def gateway(tmp_path):
    """A gateway that has not been started."""
    it = Gateway(tmp_path)
    yield it
    await it.close()
