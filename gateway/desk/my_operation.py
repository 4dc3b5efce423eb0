"""What one operation and one page of self-service are; my_operations.py lists all of them, my_routes.py serves them."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web
from pydantic import Field

from gateway.contracts import Settings
from gateway.desk.browser import Caller
from gateway.desk.desk import Desk
from gateway.desk.my import SelfService
from gateway.ledger.inputs.lines import Line
from gateway.ledger.values import Owner

Title = tuple[str, str]
"""Chinese first, then English."""


class Asked(msgspec.Struct, frozen=True, eq=False):
    """Who asks, for what.

    Attributes:
        request: to the desk.
        desk: the desk.
        my: what there is to see and to change.
        caller: who is signed in.
        input: the checked input; None where the operation takes none.
    """

    request: web.Request
    desk: Desk
    my: SelfService
    caller: Caller
    input: Any = None

    @property
    def owner(self) -> Owner:
        """Whose things are meant: the person's own, or those of the unit she acts for now."""
        who = self.caller.principal
        return Owner(who.issuer, who.subject, who.kind.value, who.operator)

    @property
    def id(self) -> str:
        """The `{id}` of the path."""
        return self.request.match_info["id"]


class WhyInput(Settings):
    """Why somebody ends or declines something of hers."""

    reason: Line = Field(
        min_length=1, max_length=400, description="原因，请勿填写个人信息 · why; no personal data, please"
    )


class Operation(msgspec.Struct, frozen=True):
    """One thing that can be done.

    Attributes:
        name: `grants.accept`, unique; also the operation id of the API's description.
        method: `GET` looks (its input is the query), `POST` changes (its input is a form or JSON).
        path: below `/sso/my/`, with parameters in braces.
        title: what it does.
        call: does it.
        input: model of its input; None when it takes none.
        result: type of what it answers.
        status: of a good answer to a program.
        page: where people see what it is about; a browser goes there afterwards.
        browser: True where a token does not do: a browser's own session is needed.
    """

    name: str
    method: str
    path: str
    title: Title
    call: Callable[[Asked], Awaitable[Any]]
    input: type[Settings] | None = None
    result: Any = None
    status: int = 200
    page: str = ""
    browser: bool = False


class Page(msgspec.Struct, frozen=True):
    """One page.

    Attributes:
        path: below `/sso/my/`.
        template: name of it.
        view: what it shows; or a whole answer, where the person has to go elsewhere first.
        input: model of its query; None when it takes none, and looks at none.
        scripts: True where the page needs a script of ours.
    """

    path: str
    template: str
    view: Callable[[Asked], Awaitable[dict[str, Any] | web.Response]]
    input: type[Settings] | None = None
    scripts: bool = False


Problems = Mapping[str, list[Title]]
"""What is wrong with a form, by field."""


class Failed(msgspec.Struct, frozen=True):
    """A form that could not be taken, to be shown again.

    Attributes:
        action: address of the form.
        entered: what was entered, by field.
        problems: see Problems.
    """

    action: str
    entered: Mapping[str, str]
    problems: Problems
