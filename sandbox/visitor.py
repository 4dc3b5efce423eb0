"""A visitor of the sandbox: asks as channels, citizens and operators do, and remembers what was asked and answered.

`sandbox.story` tells it what to do; `sandbox.tour` prints what it saw.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from sandbox.browsing import Browser
from sandbox.places import Places

DEADLINE = 15.0
"""Seconds for one answer, and for a change to take effect."""


class StepFailed(Exception):
    """Something in the story is not as it should be; the text says what came instead."""


class NotThere(Exception):
    """There is no sandbox at this address, or it cannot be looked into; the text says so."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: HTTP status.
        fields: header fields.
        text: the body.
    """

    status: int
    fields: Mapping[str, str]
    text: str = field(repr=False)

    @property
    def data(self) -> Any:
        """The body as JSON.

        Raises:
            StepFailed: it is none.
        """
        try:
            return json.loads(self.text)
        except ValueError:
            raise StepFailed(f"the body is no JSON: {self.text[:200]}") from None

    @property
    def code(self) -> str:
        """The gateway's own code in an error answer; empty otherwise."""
        if "problem+json" not in self.fields.get("Content-Type", ""):
            return ""
        return str(self.data.get("code", ""))

    def must_be(self, status: int, code: str = "") -> "Answer":
        """Gives the answer back if it has this status and code.

        Raises:
            StepFailed: it has not.
        """
        if (self.status, self.code) != (status, code):
            raise StepFailed(f"expected {f'{status} {code}'.strip()}, got {self.status} {self.code} {self.text[:300]}")
        return self


def require(condition: bool, otherwise: str) -> None:
    """Raise StepFailed unless the condition holds."""
    if not condition:
        raise StepFailed(otherwise)


class Visitor:
    """Asks the sandbox's edge, its province and its management listener, as programs do and as a browser does.

    Attributes:
        places: the sandbox.
        seen: request lines and answers since the last look, for people.
        request_ids: of every request that the edge answered.
        tokens: every token that was ever used.
        browser: her browser.
    """

    def __init__(self, places: Places, session: aiohttp.ClientSession) -> None:
        self.places = places
        self.seen: list[str] = []
        self.request_ids: list[str] = []
        self.tokens: list[str] = []
        self._session = session
        self.browser = Browser(session)

    def new_browser(self) -> None:
        """Begin with a browser that was nowhere yet."""
        self.browser = Browser(self._session)

    async def session(self, edge: str = "edge") -> dict[str, Any]:
        """What a department tells a page of its own about the browser's session."""
        page = await self.browser.ask("GET", self.places.url(edge) + "/sso/session")
        told: dict[str, Any] = Answer(page.status, page.fields, page.text).must_be(200).data
        return told

    async def post_as_page(self, path: str, **options: Any) -> Answer:
        """Send what a script of the first department's own page would, with the session's synchronizer token."""
        token = (await self.session()).get("csrf_token", "")
        fields = {"X-CSRF-Token": token, "Sec-Fetch-Site": "same-origin", "Accept": "application/json"}
        page = await self.browser.ask("POST", self.places.url("edge") + path, headers=fields, **options)
        answer = Answer(page.status, page.fields, page.text)
        self.seen += [f"> POST {path}   [session cookie, CSRF token]", f"< {answer.status} {answer.code}".rstrip()]
        return answer

    async def post_until(self, holds: Callable[[Answer], bool], path: str, data: Any) -> Answer:
        """Send the same as a page, again and again until the answer is as wanted; gives the last answer."""
        ends = asyncio.get_running_loop().time() + DEADLINE
        while not holds(answer := await self.post_as_page(path, json=data)):
            if asyncio.get_running_loop().time() > ends:
                break
            del self.seen[-2:]
            await asyncio.sleep(0.1)
        return answer

    async def ask(
        self, method: str, target: str, *, token: str | None = None, to: str = "edge", note: str = "", **options: Any
    ) -> Answer:
        """Send one request and read the whole answer.

        Args:
            method: HTTP method.
            target: path and query, sent as they are.
            token: bearer token.
            to: one of the sandbox's addresses.
            note: what else is special about it, for people.
            options: for aiohttp's `request`.
        """
        fields = dict(options.pop("headers", {})) | ({"Authorization": f"Bearer {token}"} if token else {})
        url = URL(self.places.url(to) + target, encoded=True)
        async with self._session.request(method, url, headers=fields, allow_redirects=False, **options) as reply:
            answer = Answer(reply.status, reply.headers.copy(), await reply.text())
        self._remember(to, f"{method} {target}", note, answer)
        return answer

    async def ask_raw(self, head: str) -> Answer:
        """Send bytes that no HTTP library would, on a connection of their own, and read the answer."""
        port = self.places.ports["edge"]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{head}\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
        async with asyncio.timeout(DEADLINE):
            received = (await reader.read()).decode("utf-8", "backslashreplace")
        writer.close()
        lines, _, body = received.partition("\r\n\r\n")
        first, *others = lines.split("\r\n")
        fields = {name.strip().title(): value.strip() for name, _, value in (line.partition(":") for line in others)}
        answer = Answer(int(first.split(" ")[1]), fields, body)
        self._remember("edge", head.removesuffix(" HTTP/1.1"), "", answer)
        return answer

    def _remember(self, to: str, line: str, note: str, answer: Answer) -> None:
        where = "" if to == "edge" else f"({to}) "
        self.seen.append(f"> {where}{line}{f'   [{note}]' if note else ''}")
        self.seen.append(f"< {answer.status} {answer.code}".rstrip())
        if to == "edge":
            self.request_ids.append(answer.fields["X-Request-Id"])

    async def token(
        self, user: str, form: str = "jwt", level: int | None = None, *, operator: str | None = None
    ) -> str:
        """Have somebody log in at the province; as a unit, `operator` is which of its logins acts, else the first."""
        query = f"user={user}&format={form}" + ("" if level is None else f"&level={level}")
        query += "" if operator is None else f"&operator={operator}"
        answer = await self.ask("GET", f"/sandbox/token?{query}", to="province")
        token = str(answer.must_be(200).data["token"])
        self.tokens.append(token)
        return token

    async def fault(self, endpoint: str, fault: str, *, seconds: float = 3.0) -> None:
        """Let the province have a fault, for `slow` of so many seconds; `none` ends it."""
        order = {"endpoint": endpoint, "fault": fault, "seconds": seconds}
        answer = await self.ask("POST", "/sandbox/faults", to="province", json=order, note=f"{endpoint}: {fault}")
        answer.must_be(200)

    async def until(
        self, what: str, holds: Callable[[Answer], bool], method: str, target: str, **options: Any
    ) -> Answer:
        """Ask again and again until an answer is as wanted, and give it.

        Raises:
            StepFailed: it does not come to that in time.
        """
        try:
            async with asyncio.timeout(DEADLINE):
                while not holds(answer := await self.ask(method, target, **options)):
                    del self.seen[-2:]
                    await asyncio.sleep(0.1)
                return answer
        except TimeoutError:
            raise StepFailed(f"{what}: not within {DEADLINE:g} s") from None

    def connect(self, target: str) -> Any:
        """Open a WebSocket at the edge; a context manager."""
        self.seen.append(f"> GET {target}   [WebSocket]")
        return self._session.ws_connect(self.places.url("edge") + target)


async def find_sandbox(base: int, session: aiohttp.ClientSession) -> Places:
    """Find out where a running sandbox keeps its files: its edge was started with a configuration file.

    Raises:
        NotThere: no sandbox runs there, or it is not ours to look into.
    """
    management = Places(base, Path()).url("management")
    try:
        async with session.get(f"{management}/status") as answer:
            pid = int((await answer.json())["pid"])
        command = await asyncio.to_thread(Path(f"/proc/{pid}/cmdline").read_bytes)
        words = command.decode().split("\0")
        config = Path(words[words.index("--config") + 1])
    except (aiohttp.ClientError, TimeoutError):
        raise NotThere(
            f"nothing answers on {management} 演示环境未运行; start it with: tongguan sandbox --base-port {base}"
            f" 或 or: make run RUN='--base-port {base}'"
        ) from None
    except (OSError, KeyError, ValueError):
        raise NotThere(f"what answers on {management} is no sandbox of this user") from None
    return Places(base, config.parent.parent)
