"""An HTTP/1.1 client of a few lines: one connection, nothing is sent twice, and whatever waits too long has hung."""

import asyncio
import json
import re
from urllib.parse import urlsplit

from tests.journeys.edge_of_workers import HOST

DEADLINE = 30.0
"""Seconds after which whatever still waits has hung."""

_CODE = re.compile(rb'"code":"([a-z-]+)"')
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: ([0-9]+)")


class Answer:
    """What came back: status line and header fields as they are on the wire, and the body."""

    def __init__(self, head, body):
        self._head = head
        self.body = body
        self.status = int(head[9:12])

    def all(self, name):
        """Values of a header field."""
        return re.findall(rf"(?mi)^{name}: (.*?)\r$", self._head.decode("latin-1"))

    def field(self, name):
        """Value of a header field that is there once."""
        (value,) = self.all(name)
        return value

    @property
    def id(self):
        return self.field("x-request-id")

    @property
    def code(self):
        """The stable code of a refusal; None where there is none."""
        found = _CODE.search(self.body) if self.status >= 400 else None
        return None if found is None else found[1].decode()

    @property
    def data(self):
        return json.loads(self.body)

    @property
    def told(self):
        """Status and code."""
        return self.status, self.code

    def cookie(self, name):
        """The value that is set; None where it is not."""
        pairs = [line.partition(";")[0].partition("=") for line in self.all("set-cookie")]
        return next((value for given, _, value in pairs if given == name), None)


class Line:
    """One connection, which one worker has: it answers everything that is asked on it. Nothing is sent twice."""

    def __init__(self, edge):
        self._port = urlsplit(edge.public).port
        self._streams = None

    async def ask(self, path, method="GET", body=b"", **fields):
        """Send one request and read its answer; `cookie="…"`, `authorization="…"` and so on are header fields."""
        head = {"Host": HOST, "Content-Length": len(body)} if body or method == "POST" else {"Host": HOST}
        lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in (head | fields).items()]
        return await self.send(f"{method} {path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode("latin-1") + body)

    async def send(self, request):
        """Send these bytes and read an answer."""
        async with asyncio.timeout(DEADLINE):
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            reader, writer = self._streams
            writer.write(request)
            return await _read_answer(reader)

    def close(self):
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _read_answer(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return Answer(head, await (reader.readexactly(int(length[1])) if length else _read_chunks(reader)))


async def _read_chunks(reader):
    pieces = []
    while size := int(await reader.readline(), 16):
        pieces.append((await reader.readexactly(size + 2))[:-2])
    await reader.readline()
    return b"".join(pieces)
