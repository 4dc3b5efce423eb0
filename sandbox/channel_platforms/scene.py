"""What the three platforms of the sandbox share: login codes, the visitor before their pages, failures to order."""

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web
from yarl import URL

from sandbox.accounts import SAMPLE_ACCOUNTS
from sandbox.faults import PROVINCE_FAULTS, Fault, Spoil
from sandbox.serving import json_response
from sandbox.switchboard import InvalidRequestError, Switchboard, only

CODE_LIFE = 300.0
TOKEN_LIFE = 7200
LARGEST_OFFSET = 300.0
"""Seconds that a question's time may be from ours."""
LOCAL = ZoneInfo("Asia/Shanghai")


@dataclass(slots=True)
class Grant:
    """A login code that was handed out."""

    user: str
    application: str
    until: float
    used: bool = False


class Codes:
    """Login codes: each for one application, once, for five minutes."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._grants: dict[str, Grant] = {}

    def issue(self, user: str, application: str) -> str:
        """A fresh code, in the characters that all three platforms use."""
        code = secrets.token_hex(16)
        self._grants[code] = Grant(user, application, self._clock() + CODE_LIFE)
        return code

    def take(self, code: str, application: str) -> str | None:
        """The user of a good code, which is used from now on; None for a bad one.

        Raises:
            KeyError: it was used before.
        """
        grant = self._grants.get(code)
        if grant is None or grant.application != application or self._clock() > grant.until:
            return None
        if grant.used:
            raise KeyError(code)
        grant.used = True
        return grant.user


class Scene:
    """One run of the platforms.

    Args:
        failures: documented codes of failure of each endpoint.
        clock: seconds since the epoch.
    """

    def __init__(self, failures: Mapping[str, Mapping[Any, Any]], clock: Callable[[], float]) -> None:
        self.clock = clock
        self.codes = Codes(clock)
        self.board = Switchboard(FAULTS, tuple(failures), ("page",))
        self._failures = failures
        self._ordered: dict[str, list[Any]] = {endpoint: [] for endpoint in failures}
        self._visitor = next(iter(SAMPLE_ACCOUNTS))

    def routes(self) -> list[web.RouteDef]:
        """What exists only here."""
        return [
            web.post("/sandbox/codes", self.board.counted("codes", self.hand_out)),
            web.post("/sandbox/visitor", self.board.counted("visitor", self.seat)),
            web.post("/sandbox/outcomes", self.board.counted("outcomes", self.order)),
            *self.board.routes(),
        ]

    async def hand_out(self, request: web.Request) -> web.Response:
        """`POST /sandbox/codes`: a login code for `user` at `application`, as its app would give it to a program."""
        order = await read_members(request)
        if order.get("user") not in SAMPLE_ACCOUNTS or not order.get("application"):
            raise InvalidRequestError(f"user must be one of {', '.join(SAMPLE_ACCOUNTS)}; application names an app id")
        return json_response({"code": self.codes.issue(order["user"], order["application"])})

    async def seat(self, request: web.Request) -> web.Response:
        """`POST /sandbox/visitor`: who sits before the pages from now on."""
        user = (await read_members(request)).get("user", "")
        if user not in SAMPLE_ACCOUNTS:
            raise InvalidRequestError(f"user must be one of {', '.join(SAMPLE_ACCOUNTS)}")
        self._visitor = user
        return json_response({"user": user})

    async def order(self, request: web.Request) -> web.Response:
        """`POST /sandbox/outcomes`: the next answer of `endpoint` is its failure `code`."""
        order = await read_members(request)
        known = {str(code): code for code in self._failures.get(order.get("endpoint", ""), {})}
        if order.get("code") not in known:
            raise InvalidRequestError(
                f"endpoint must be one of {', '.join(self._failures)}; code one of {', '.join(known)}"
            )
        self._ordered[order["endpoint"]].append(known[order["code"]])
        return json_response(order)

    def ordered(self, endpoint: str) -> Any:
        """The failure that was ordered for this answer; None for none."""
        return self._ordered[endpoint].pop(0) if self._ordered[endpoint] else None

    def send_back(self, request: web.Request, address: str, application: str, parameter: str) -> web.Response:
        """Send a browser back to the program that sent it, with a code for the visitor."""
        target, state, asked = (only(request.query, name) for name in (address, "state", application))
        if not target or asked is None:
            raise InvalidRequestError(f"{address} and {application} are needed")
        answer = {parameter: self.codes.issue(self._visitor, asked)} | ({"state": state} if state else {})
        return web.Response(status=302, headers={"Location": str(URL(target).update_query(answer))})


def account_hash(place: str, user: str) -> str:
    """What makes up somebody's ids at a platform: always the same."""
    return hashlib.sha256(f"{place}\n{user}".encode()).hexdigest()


def account_at(place: str, user: str) -> str:
    """Somebody's id at an application, or across one platform's applications."""
    return f"o{account_hash(place, user)[:27]}"


async def unsigned(request: web.Request, good: web.Response, fault: Fault) -> web.Response:
    """Answer without the signature (Alipay)."""
    said = json.loads(_body(good))
    said.pop("sign", None)
    return json_response(said)


async def tampered(request: web.Request, good: web.Response, fault: Fault) -> web.Response:
    """Answer with another account than the one that was signed (Alipay)."""
    return web.Response(body=_body(good).replace(b'"o', b'"p'), content_type=good.content_type)


FAULTS: Mapping[str, Spoil] = {**PROVINCE_FAULTS, "unsigned": unsigned, "tampered": tampered}


def _body(good: web.Response) -> bytes:
    return good.body if isinstance(good.body, bytes) else b""


async def read_members(request: web.Request) -> dict[str, str]:
    """The members of a JSON object, as texts.

    Raises:
        InvalidRequestError: it is none.
    """
    try:
        said = await request.json()
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise InvalidRequestError("a JSON object is needed")
    return {str(name): str(value) for name, value in said.items()}
