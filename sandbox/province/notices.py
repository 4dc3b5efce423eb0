"""Logout notices from the province to its departments, each in the form that the department wants.

OIDC Back-Channel Logout 1.0, a CAS-style form, or signed JSON; docs/identity.md describes what a gateway takes.
"""

import asyncio
import json
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
from yarl import URL

from sandbox.province.clients import Client
from sandbox.province.sessions import Session
from sandbox.signing import sign_with
from sandbox.tokens import TokenDesk

EVENT = "http://schemas.openid.net/event/backchannel-logout"
NOTICE_SECONDS = 120
FIRST_ANSWER_SECONDS = 1.0
"""How long whoever logs out waits for the departments to have heard; what is not done then goes on behind."""
PAUSES = (0.0, 0.2, 1.0)
"""Before each attempt."""
MOST_REMEMBERED = 1000

_CAS = (
    '<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="{id}" Version="2.0"'
    ' IssueInstant="{at}"><saml:NameID xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">@NOT_USED@</saml:NameID>'
    "<samlp:SessionIndex>{ticket}</samlp:SessionIndex></samlp:LogoutRequest>"
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """How one notice fared.

    Attributes:
        client: the department.
        form: as NoticeForm.
        sid: the session that ended.
        status: HTTP status of the last answer; None when there was none.
        attempts: how often it was tried.
        ms: from the first attempt to the last answer.
    """

    client: str
    form: str
    sid: str
    status: int | None
    attempts: int
    ms: float


class Notices:
    """Tells departments, side by side, and tries again where nobody answered.

    Attributes:
        deliveries: the last ones, oldest first.
    """

    def __init__(self, issuer: str, desk: TokenDesk, clock: Callable[[], float]) -> None:
        self._issuer = issuer
        self._desk = desk
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._http: aiohttp.ClientSession | None = None
        self.deliveries: deque[Delivery] = deque(maxlen=MOST_REMEMBERED)

    async def running(self, _: object) -> AsyncIterator[None]:
        """Have connections while the application runs (`cleanup_ctx`)."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as self._http:
            yield
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def tell(self, ended: Iterable[tuple[Client, Session, str]]) -> None:
        """Tell that sessions have ended; returns once all know, or after FIRST_ANSWER_SECONDS.

        Args:
            ended: who is to be told of which session, and the ticket that this department knows it by.
        """
        tasks = [asyncio.create_task(self._deliver(*one)) for one in ended if one[0].notice_uri is not None]
        for task in tasks:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if tasks:
            await asyncio.wait(tasks, timeout=FIRST_ANSWER_SECONDS)

    async def _deliver(self, client: Client, session: Session, ticket: str) -> None:
        began, status, attempts = time.monotonic(), None, 0
        for pause in PAUSES:
            await asyncio.sleep(pause)
            attempts += 1
            status = await self._post(client, self._write(client, session, ticket))
            if status is not None and status < 500:
                break
        ms = round((time.monotonic() - began) * 1000, 1)
        self.deliveries.append(Delivery(client.id, client.notice_form, session.sid, status, attempts, ms))

    async def _post(self, client: Client, notice: dict[str, Any]) -> int | None:
        if self._http is None:
            raise RuntimeError("the application does not run")
        try:
            async with self._http.post(str(client.notice_uri), allow_redirects=False, **notice) as answer:
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return None

    def _write(self, client: Client, session: Session, ticket: str) -> dict[str, Any]:
        """Arguments of the POST. Written anew for each attempt: a notice is good once."""
        writers: dict[str, Callable[[], dict[str, Any]]] = {
            "backchannel": lambda: {"data": {"logout_token": self._logout_token(client, session)}},
            "cas": lambda: {"data": {"logoutRequest": self._cas(ticket or session.sid)}},
            "signed": lambda: self._signed(client, session),
        }
        return writers[client.notice_form]()

    def _logout_token(self, client: Client, session: Session) -> str:
        now = int(self._clock())
        claims = {
            "iss": self._issuer,
            "aud": client.id,
            "iat": now,
            "exp": now + NOTICE_SECONDS,
            "jti": uuid.uuid4().hex,
            "sub": session.account.sub,
            "sid": session.sid,
            "events": {EVENT: {}},
        }
        return self._desk.sign(claims, typ="logout+jwt")

    def _cas(self, ticket: str) -> str:
        at = datetime.fromtimestamp(self._clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return _CAS.format(id=f"LR-{uuid.uuid4().hex}", at=at, ticket=ticket)

    def _signed(self, client: Client, session: Session) -> dict[str, Any]:
        """JSON in a request that is signed as the app channel's are (docs/channels.md)."""
        body = json.dumps({"event": "logout", "issued_at": int(self._clock()), "sid": session.sid}).encode()
        fields = sign_with(
            "province",
            client.notice_secret,
            "POST",
            URL(str(client.notice_uri)).raw_path_qs,
            body,
            at=self._clock(),
        )
        return {"data": body, "headers": {"Content-Type": "application/json", **fields}}
