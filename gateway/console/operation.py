"""What one operation of the back office is; operations.py lists all of them."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from gateway.console.console import Console
from gateway.contracts import Settings
from gateway.ledger.powers import Power
from gateway.ledger.values import Officer


class Asked(msgspec.Struct, frozen=True):
    """What an operation is asked.

    Attributes:
        path: parameters of the path.
        input: the checked input; None where the operation takes none.
    """

    path: Mapping[str, str]
    input: Any = None


Call = Callable[[Console, Officer, Asked], Awaitable[Any]]


class SessionCall(msgspec.Struct, frozen=True):
    """One of the calls with which a program signs in and out; see Operation for what is not said here.

    Attributes:
        call: does it; it may give the answer a cookie.
        token: False where there is no session yet that the caller could know a token of.
    """

    name: str
    method: str
    path: str
    title: tuple[str, str]
    call: Callable[[web.Request, web.Response, Any], Awaitable[Any]]
    input: type[Settings] | None = None
    result: Any = None
    token: bool = True
    status: int = 200


class Operation(msgspec.Struct, frozen=True):
    """One thing that can be done.

    Attributes:
        name: `grants.propose`, unique; also the operation id of the API's description.
        method: `GET` looks (its input is the query), `POST` changes (its input is a form or JSON).
        path: below `/api`, with parameters in braces.
        power: what it needs.
        title: what it does, Chinese first, then English.
        call: does it.
        input: model of its input; None when it takes none.
        result: type of what it answers; None when it answers nothing.
        status: of a good answer.
    """

    name: str
    method: str
    path: str
    power: Power
    title: tuple[str, str]
    call: Call
    input: type[Settings] | None = None
    result: Any = None
    status: int = 200
