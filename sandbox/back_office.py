"""The sample staff before the back office: they sign in with password and code, and work by its JSON API.

`sandbox.unit_case` says what they do. Their sessions are kept beside the sandbox's files: a code is good once, so who
signed in again for every scene would have to wait half a minute each time.
"""

import asyncio
import json
import os
import time
from http.cookies import SimpleCookie
from typing import Any

from sandbox.staff import SAMPLE_STAFF, STEP
from sandbox.visitor import DEADLINE, Answer, Visitor, require

COOKIE = "__Host-console"
Fields = dict[str, str]


class BackOffice:
    """The back office, as the staff use it.

    Args:
        visitor: who asks for them; what they ask stands among the things that she has seen.
    """

    def __init__(self, visitor: Visitor) -> None:
        self._visitor = visitor
        self._kept = _Kept(visitor)
        self._checked: dict[str, Fields] = {}

    async def ask(self, login: str, method: str, path: str, body: Any = None) -> Answer:
        """Do something under somebody's post.

        Args:
            login: who does it.
            method: `GET` or `POST`.
            path: below `/api`, with its query.
            body: what is entered.
        """
        fields = self._checked.get(login) or await self._session(login)
        return await self._visitor.ask(method, f"/api{path}", to="console", headers=fields, json=body, note=login)

    async def look(self, login: str, path: str) -> Any:
        """Look at something."""
        return (await self.ask(login, "GET", path)).must_be(200).data

    async def do(self, login: str, path: str, body: Any, status: int = 200) -> Any:
        """Change something."""
        return (await self.ask(login, "POST", path, body)).must_be(status).data

    async def find(self, login: str, code: str) -> Any:
        """The record of a unit by its code, once it is there: a login need not wait until it is recorded."""
        async with asyncio.timeout(DEADLINE):
            while not (found := (await self.look(login, f"/units?text={code}"))["found"]):
                del self._visitor.seen[-2:]
                await asyncio.sleep(0.1)
        return found[0]

    async def _session(self, login: str) -> Fields:
        """Fields of somebody's session; of the one that is kept, while it lasts."""
        fields, before = self._kept.fields(login), len(self._visitor.seen)
        if fields is not None:
            told = await self._visitor.ask("GET", "/api/session", to="console", headers=fields)
            if told.status != 200 or told.data["missing"] is not None:
                fields = None
            del self._visitor.seen[before:]
        self._checked[login] = fields = fields or await self._sign_in(login)
        return fields

    async def _sign_in(self, login: str) -> Fields:
        staff = SAMPLE_STAFF[login]
        begun = {"login": login, "password": staff.password}
        answer = await self._visitor.ask("POST", "/api/session", to="console", json=begun, note=f"{login}, password")
        fields = _fields_of(answer.must_be(200))
        answer = await self._give_code(login, fields)
        if answer.status == 401:  # somebody else was faster, with the same code
            answer = await self._give_code(login, fields)
        fields = _fields_of(answer.must_be(200))
        require(answer.data["missing"] is None, f"{login} has not signed in: {answer.data['missing']} is missing")
        self._kept.keep(login, fields)
        return fields

    async def _give_code(self, login: str, fields: Fields) -> Answer:
        """Give a code that was not given before, waiting for the next one if need be."""
        if (left := self._kept.used_until(login) - time.time()) > 0:
            self._visitor.seen.append(f"= {login}: 等待下一个动态验证码 waiting for the next code, {left:.0f} s")
            await asyncio.sleep(left)
        now = time.time()
        self._kept.use(login, now)
        given = {"code": SAMPLE_STAFF[login].code(now)}
        path, note = "/api/session/second-factor", f"{login}, code"
        return await self._visitor.ask("POST", path, to="console", headers=fields, json=given, note=note)


def _fields_of(answer: Answer) -> Fields:
    """What belongs to every request of the session that an answer has begun."""
    token = SimpleCookie(answer.fields["Set-Cookie"])[COOKIE].value
    return {"Cookie": f"{COOKIE}={token}", "X-CSRF-Token": answer.data["csrf_token"]}


class _Kept:
    """The sessions, and until when each member of the staff has to wait for a new code, in a file.

    Args:
        visitor: knows where.
    """

    def __init__(self, visitor: Visitor) -> None:
        self._path = visitor.places.staff_sessions
        self._held: dict[str, Any] = json.loads(self._path.read_text("utf-8")) if self._path.exists() else {}

    def fields(self, login: str) -> Fields | None:
        fields: Fields | None = self._held.get(login, {}).get("fields")
        return fields

    def used_until(self, login: str) -> float:
        return float(self._held.get(login, {}).get("used_until", 0.0))

    def use(self, login: str, now: float) -> None:
        self._write(login, {"used_until": (now // STEP + 1) * STEP})

    def keep(self, login: str, fields: Fields) -> None:
        self._write(login, {"fields": fields})

    def _write(self, login: str, values: dict[str, Any]) -> None:
        self._held[login] = self._held.get(login, {}) | values
        with open(self._path, "w", encoding="utf-8", opener=_for_the_owner_only) as file:
            json.dump(self._held, file)


def _for_the_owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
