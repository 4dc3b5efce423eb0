"""Forms: a page that shows one, and its post, which calls the same operation as the JSON API (operations.py).

What was entered stays when it cannot be taken, and each problem stands beside its field. A good answer leads back to
the page that says what was done.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.console.comparing import Comparison
from gateway.console.console import console_of
from gateway.console.forms import Entered, by_field, read_form, read_form_input
from gateway.console.operations import OPERATIONS, Asked, Operation
from gateway.console.pages.fields import Field, Option, fields_of
from gateway.console.rendering import may, page, see_other
from gateway.console.session import check_same_site, require_officer
from gateway.errors import CannotDecide, Conflict, FieldProblem, GatewayError, InputRefused
from gateway.identity.cross_site import TOKEN_PARAMETER
from gateway.ledger.acting import not_your_role
from gateway.ledger.parties import PartyRecord
from gateway.ledger.powers import Power
from gateway.ledger.values import Officer
from gateway.ledger.words import Words

Fact = tuple[Words, str | Words]
"""A line of what a form is about: its label, and the text."""

_SURE = "sure"
"""Field of the tick that what cannot be undone asks for."""


class Sheet(msgspec.Struct, frozen=True):
    """What a form's page shows besides the fields that the operation's model has.

    Attributes:
        values: what stands in the fields at first, by name; of `version` what was shown.
        options: what there is to choose, by name, where the model does not say.
        facts: what the form is about.
        unit: the unit or person that it is about; None for nobody.
        warning: what to know before sending; None for nothing.
        comparison: both sides of a binding; None elsewhere.
    """

    values: Mapping[str, tuple[str, ...]] = {}
    options: Mapping[str, tuple[Option, ...]] = {}
    facts: tuple[Fact, ...] = ()
    unit: PartyRecord | None = None
    warning: Words | None = None
    comparison: Comparison | None = None


class Form(msgspec.Struct, frozen=True):
    """A form on a page of its own.

    Attributes:
        operation: name of the operation that its post calls.
        path: of the page and of the post, with parameters in braces; those of the operation's path are among them.
        back: where a good post leads to, and who changes her mind: a path with the same parameters.
        sheet: makes what the page shows.
        placed: fields that this form does not ask: parameters of its path say them.
        grave: True when it cannot be undone: a tick confirms it.
        title: of the page; None takes the operation's.
        finish: makes the page of a good post; None leads back.
    """

    operation: str
    path: str
    back: str
    sheet: Callable[[web.Request, Officer], Awaitable[Sheet]]
    placed: tuple[str, ...] = ()
    grave: bool = False
    title: Words | None = None
    finish: Callable[[web.Request, Any], web.Response] | None = None


def form_routes(*forms: Form) -> list[web.RouteDef]:
    """Routes of forms: GET shows one, POST sends it."""
    return [route for form in forms for route in (web.get(form.path, _show(form)), web.post(form.path, _send(form)))]


@cache
def operation_named(name: str) -> Operation:
    """The entry of the table.

    Raises:
        KeyError: there is none.
    """
    return {one.name: one for one in OPERATIONS}[name]


def require_power(officer: Officer, power: Power) -> None:
    """Show a page to posts that have the power. Nothing that is kept rests on it: the ledger asks again in the act.

    Raises:
        Forbidden: `not-your-role`.
    """
    if not may(officer, power):
        raise not_your_role(power)


def _show(form: Form) -> Handler:
    operation = operation_named(form.operation)

    async def show(request: web.Request) -> web.Response:
        officer = await require_officer(request)
        require_power(officer, operation.power)
        return _page(request, form, await form.sheet(request, officer))

    return show


def _send(form: Form) -> Handler:
    operation = operation_named(form.operation)

    async def send(request: web.Request) -> web.Response:
        officer = await require_officer(request)
        entered = await read_form(request)
        check_same_site(request, entered.pop(TOKEN_PARAMETER, [""])[0])
        try:
            placed = {name: [request.match_info[name]] for name in form.placed}
            asked = Asked(dict(request.match_info), _read(form, operation, {**entered, **placed}))
            result = await operation.call(console_of(request), officer, asked)
        except (InputRefused, Conflict, CannotDecide) as error:
            require_power(officer, operation.power)
            return _page(request, form, await form.sheet(request, officer), error, entered)
        if form.finish is not None:
            return form.finish(request, result)
        return see_other(form.back.format_map(request.match_info), operation.name)

    return send


def _read(form: Form, operation: Operation, entered: Entered) -> Any:
    """The checked input; None where the operation takes none.

    Raises:
        InputRefused: with every problem, also that a grave step was not confirmed.
    """
    problems = [FieldProblem(_SURE, _TICK)] if form.grave and not any(entered.get(_SURE, ())) else []
    given = None
    if operation.input is not None:
        told = {name: values for name, values in entered.items() if name != _SURE}
        try:
            given = read_form_input(operation.input, told)
        except InputRefused as error:
            problems += error.problems
    if problems:
        raise InputRefused(*problems)
    return given


def _page(
    request: web.Request, form: Form, sheet: Sheet, error: GatewayError | None = None, entered: Entered | None = None
) -> web.Response:
    operation = operation_named(form.operation)
    problems = by_field(error.problems) if isinstance(error, InputRefused) else {}
    return page(
        request,
        "form",
        status=200 if error is None else error.status,
        title=form.title or operation.title,
        sheet=sheet,
        fields=[_filled(field, entered) for field in _fields(form, operation, sheet)],
        back=form.back.format_map(request.match_info),
        grave=form.grave,
        refusal=None if error is None or problems else error.title,
        problems=problems,
    )


def _fields(form: Form, operation: Operation, sheet: Sheet) -> list[Field]:
    if operation.input is None:
        return []
    return [field for field in fields_of(operation.input, sheet.values, sheet.options) if field.name not in form.placed]


def _filled(field: Field, entered: Entered | None) -> Field:
    """With what was entered, where somebody did; a version is always the one of what the page shows."""
    if entered is None or field.kind == "hidden":
        return field
    return msgspec.structs.replace(field, value=tuple(entered.get(field.name, ())))


_TICK = ("此操作不可撤销，请勾选确认。", "This cannot be undone. Please tick that you are sure.")
