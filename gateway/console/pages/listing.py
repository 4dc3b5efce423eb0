"""Lists with a search form above and pages below: units, staff, history."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

from aiohttp import web

from gateway.console.forms import by_field, read_form_input
from gateway.console.pages.fields import Option, fields_of
from gateway.console.rendering import page
from gateway.contracts import Settings
from gateway.errors import InputRefused
from gateway.ledger.values import Page

S = TypeVar("S", bound=Settings)


async def listing(
    request: web.Request,
    name: str,
    model: type[S],
    read: Callable[[S], Awaitable[Page[Any]]],
    options: Mapping[str, tuple[Option, ...]] | None = None,
    **values: Any,
) -> web.Response:
    """A page of a list. A search that cannot be taken is shown again, with nothing found.

    Args:
        request: its query is the search.
        name: of the template.
        model: of the search.
        read: finds.
        options: what there is to choose in the search form, by field, where the model does not say.
        values: what the template asks for besides.

    Raises:
        Whatever `read` raises.
    """
    asked = {field: request.query.getall(field) for field in request.query if field in model.model_fields}
    problems: dict[str, list[tuple[str, str]]] = {}
    found: Page[Any] = Page([], 1, more=False, total=0)
    try:
        found = await read(read_form_input(model, asked))
    except InputRefused as error:
        problems = by_field(error.problems)
    fields = fields_of(model, {field: tuple(told) for field, told in asked.items()}, options or {})
    return page(
        request,
        name,
        status=422 if problems else 200,
        fields=[field for field in fields if field.name != "page"],
        problems=problems,
        found=found,
        turn=turning(request, found),
        **values,
    )


def turning(request: web.Request, found: Page[Any], name: str = "page", place: str = "") -> dict[str, str | None]:
    """Addresses of the page before and of the page behind; None where there is none.

    Args:
        request: of the page that the list is on.
        found: the page of the list.
        name: of the query's field that says which page it is.
        place: where the list stands, with its `#`; empty where it begins the page.
    """

    def address(number: int) -> str:
        rest = [(key, value) for key, value in request.query.items() if key not in (name, "done")]
        return f"{request.path}?{urlencode([*rest, (name, str(number))])}{place}"

    return {
        "before": address(found.page - 1) if found.page > 1 else None,
        "behind": address(found.page + 1) if found.more else None,
    }
