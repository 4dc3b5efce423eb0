"""A tiny edge for the process tests: answers over HTTP who it is and which policy the request began and ended with."""

import asyncio
import json
import os
import socket
import time
from typing import Any

from gateway.errors import ConfigurationError

HEAD = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{}"


class FakeEdge:
    """Implements gateway.processes.worker.Edge. Its policy is a JSON object: {rule, refuse?, hang?}."""

    def __init__(self, static: bytes, number: int) -> None:
        self.static = static.decode()
        self.number = number
        self.generation = 0
        self.policies: dict[int, dict[str, Any]] = {}
        self.abandoned: list[int] = []
        self.commands: list[Any] = []
        self.in_flight: set[asyncio.Task[None]] = set()
        self.servers: list[asyncio.Server] = []

    async def prepare(self, snapshot: bytes, generation: int, revision: str) -> None:
        policy = json.loads(snapshot)
        if policy.get("refuse") in ("all", self.number):
            raise ConfigurationError([f"policy.json:1 rule: {policy['rule']!r} is not allowed"])
        if policy.get("hang") == self.number:
            await asyncio.Event().wait()
        self.policies[generation] = policy

    def commit(self, generation: int) -> None:
        self.generation = generation

    def abandon(self, generation: int) -> None:
        self.policies.pop(generation, None)
        self.abandoned.append(generation)

    async def serve(self, sockets: list[socket.socket]) -> None:
        for listener in sockets:
            start = asyncio.start_unix_server if listener.family == socket.AF_UNIX else asyncio.start_server
            self.servers.append(await start(self._connected, sock=listener))

    async def drain(self, seconds: float) -> None:
        for server in self.servers:
            server.close()
        if self.in_flight:
            await asyncio.wait(self.in_flight, timeout=seconds)

    def ready(self) -> bool:
        return self.policies[self.generation]["rule"] != "unready"

    def status(self) -> dict[str, Any]:
        return {"in_flight": len(self.in_flight), "commands": self.commands, "abandoned": self.abandoned}

    def metrics(self) -> dict[str, Any]:
        return {"tongguan_refusals_total": [(("fake",), 1)], "tongguan_connections": [((), 1)]}

    async def command(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        self.commands.append([name, arguments])
        if name == "refresh-keys":
            return _refreshed(arguments.get("verifier", "province"))
        return {}

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self.in_flight.add(task)
        try:
            target = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
            body = json.dumps(await self._answer(target))
            writer.write(HEAD.format(len(body), body).encode())
            await writer.drain()
        finally:
            self.in_flight.discard(task)
            writer.close()

    async def _answer(self, target: str) -> dict[str, Any]:
        generation, rule = self.generation, self.policies[self.generation]["rule"]
        step, _, seconds = target.strip("/").partition("/")
        if step == "wait":
            await asyncio.sleep(float(seconds))
        elif step == "stall":
            time.sleep(float(seconds))  # noqa: ASYNC251 - a part that blocks the loop is what is tried here
        return {"pid": os.getpid(), "number": self.number, "generation": generation, "rule": rule}


def _refreshed(verifier: str) -> dict[str, Any]:
    if verifier == "broken":
        raise ValueError("it broke")
    return {verifier: "fetched"} if verifier == "province" else {}


def make_edge(static: bytes, number: int) -> FakeEdge:
    return FakeEdge(static, number)
