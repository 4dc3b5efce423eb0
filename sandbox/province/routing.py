"""Questions about tokens (RFC 7662): the province's own, and those of departments, which it passes on to the issuer.

A token `…@node` belongs to the department of that node. The province asks there and adds what it knows of the
person; the two departments never talk to each other.
"""

from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from sandbox.accounts import Register
from sandbox.province.clients import Client, Clients
from sandbox.province.sessions import Sessions
from sandbox.tokens import NODE_SUFFIX, TokenDesk

HOP_FIELD = "X-Tongguan-Routed"
"""Says that a question was passed on already; whoever gets it answers or says no, and never passes it on again."""
INACTIVE: Mapping[str, Any] = {"active": False}
ANSWER_SECONDS = 2.5
LARGEST_ANSWER = 64 * 1024
MOST_REMEMBERED = 1000
FACTS = ("sub", "sid", "jti", "exp", "iat", "nbf", "acr", "auth_time", "subject_type", "act")
"""What is taken over from a department's answer; the rest is the province's own to say."""


class NotAnsweredError(Exception):
    """The department whose token it is did not say yes or no."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A question that was passed on, without the token.

    Attributes:
        asked_by: id of the department that asked the province.
        asked: id of the department that the province asked.
        outcome: `active`, `inactive` or `not answered`.
    """

    asked_by: str
    asked: str
    outcome: str


class Routing:
    """Answers for every token.

    Attributes:
        passed: the last questions that were passed on, oldest first.
    """

    def __init__(self, issuer: str, register: Register, clients: Clients, desk: TokenDesk, sessions: Sessions) -> None:
        self._issuer = issuer
        self._register = register
        self._clients = clients
        self._desk = desk
        self._sessions = sessions
        self._http: aiohttp.ClientSession | None = None
        self.passed: deque[Passed] = deque(maxlen=MOST_REMEMBERED)

    async def running(self, _: object) -> AsyncIterator[None]:
        """Have connections while the application runs (`cleanup_ctx`)."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS)) as self._http:
            yield

    async def answer(self, token: str, asker: Client, *, passed_on: bool = False) -> dict[str, Any]:
        """Tell whether a token holds, and whose it is.

        Args:
            token: the token.
            asker: the department that asks.
            passed_on: whether the question came with HOP_FIELD; then only what the province knows by itself counts.

        Raises:
            NotAnsweredError: the department that could tell did not.
        """
        owner = self._owner(token)
        if owner is None:
            verdict = self._desk.introspect(token)
        elif passed_on or owner.id == asker.id:
            return dict(INACTIVE)  # never in a circle: whoever asks has looked at home already
        else:
            verdict = await self._pass_on(token, owner, asker)
        return self._complete(verdict, asker)

    def _owner(self, token: str) -> Client | None:
        """The department behind the `@`; None when the token is the province's own, or nobody's."""
        _, mark, node = token.rpartition("@")
        client = self._clients.of_node(node) if mark and f"@{node}" != NODE_SUFFIX else None
        return client if client is not None and client.introspection is not None else None

    async def _pass_on(self, token: str, owner: Client, asker: Client) -> dict[str, Any]:
        try:
            verdict = await self._ask(token, owner)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            self.passed.append(Passed(asker.id, owner.id, "not answered"))
            raise NotAnsweredError(f"{owner.id}: {error!r}") from None
        self.passed.append(Passed(asker.id, owner.id, "active" if verdict["active"] else "inactive"))
        if not verdict["active"] or verdict.get("iss", self._issuer) != self._issuer:
            return dict(INACTIVE)  # the province vouches for nobody who logged in elsewhere
        stated = {name: verdict[name] for name in FACTS if verdict.get(name) is not None}
        own = {"iss": self._issuer, "aud": asker.audience, "client_id": owner.id, "token_type": "Bearer"}
        return {"active": True} | stated | own

    async def _ask(self, token: str, owner: Client) -> dict[str, Any]:
        if self._http is None:
            raise RuntimeError("the application does not run")
        basic = aiohttp.encode_basic_auth("province", owner.introspection_secret)
        fields = {"Authorization": basic, "Accept": "application/json", HOP_FIELD: "1"}
        async with self._http.post(
            str(owner.introspection), data={"token": token}, headers=fields, allow_redirects=False
        ) as answer:
            if answer.status != 200:
                raise ValueError(f"status {answer.status}")
            if (answer.content_length or 0) > LARGEST_ANSWER:
                raise ValueError("too large")
            verdict = await answer.json()
        if not isinstance(verdict, dict) or not isinstance(verdict.get("active"), bool):
            raise ValueError("no object with a truth value `active`")
        return verdict

    def _complete(self, verdict: dict[str, Any], asker: Client) -> dict[str, Any]:
        """Add the profile, and remember that the asking department takes part in the session."""
        if not verdict["active"]:
            return dict(INACTIVE)
        session = self._sessions.find(str(verdict.get("sid")))
        if session is not None:
            if session.ended:
                return dict(INACTIVE)
            session.parties.setdefault(asker.id, "")
        account = self._register.of_subject(str(verdict.get("sub")))
        return verdict if account is None else verdict | {"profile": self._register.profile(account)}
