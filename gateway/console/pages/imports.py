"""Import of CSV files: tried first, then taken over whole or not at all. Errors can be taken away as a CSV file."""

import asyncio
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from typing import Any, cast

from aiohttp import web

from gateway.console.console import console_of
from gateway.console.forms import arriving, by_field, read_form
from gateway.console.inputs import ImportInput
from gateway.console.operations import Asked
from gateway.console.pages.forms import operation_named, require_power
from gateway.console.rendering import may, page
from gateway.console.session import check_same_site, require_officer
from gateway.errors import FieldProblem, InputRefused, RequestMalformed
from gateway.identity.cross_site import TOKEN_PARAMETER
from gateway.ledger.csv_reading import write_csv
from gateway.ledger.import_kinds import GrantRows, PostRows, StaffRows
from gateway.ledger.imports import ImportReport, write_passwords, write_problems
from gateway.ledger.values import Officer

_COLUMNS = {"staff": StaffRows.columns, "posts": PostRows.columns, "grants": GrantRows.columns}
"""What may be imported, and the columns of each."""
_PATIENCE = 60.0
"""Seconds for a whole file."""


async def ask_file(request: web.Request) -> web.Response:
    """Ask for a file."""
    return _ask(request, await require_officer(request))


async def try_file(request: web.Request) -> web.Response:
    """Try a file and save nothing; what would come of it, and the button that takes it over."""
    officer = await require_officer(request)
    kind, content = await _read_upload(request)
    try:
        report = await _run(request, officer, kind, content, "check")
    except InputRefused as error:
        return _ask(request, officer, error, kind)
    return _report(request, report, content)


async def take_file(request: web.Request) -> web.Response:
    """Take over what was tried: the same bytes, that the page before sent along."""
    officer = await require_officer(request)
    entered = await read_form(request)
    check_same_site(request, entered.get(TOKEN_PARAMETER, [""])[0])
    kind, content = entered.get("kind", [""])[0], _decoded(entered.get("content", [""])[0])
    try:
        report = await _run(request, officer, kind, content, "take")
    except InputRefused as error:
        return _ask(request, officer, error, kind)
    return _report(request, report, content)


async def _run(request: web.Request, officer: Officer, kind: str, content: bytes, step: str) -> ImportReport:
    """The same operation as that of the JSON API.

    Raises:
        InputRefused: there is no such kind, or no such file.
    """
    if kind not in _COLUMNS:
        raise InputRefused(FieldProblem("kind", _NO_KIND))
    if not content:
        raise InputRefused(FieldProblem("file", _NO_FILE))
    operation = operation_named(f"imports.{kind}.{step}")
    require_power(officer, operation.power)
    report = await operation.call(console_of(request), officer, Asked({}, ImportInput(file=content)))
    return cast("ImportReport", report)


async def _read_upload(request: web.Request) -> tuple[str, bytes]:
    """Kind and file of a form with a file (RFC 7578), after the check that a page of ours sent it.

    Raises:
        RequestMalformed: it is no such form.
        RequestTimeout: it did not arrive in time.
        CrossSite: another site's page may have sent it.
    """
    if request.content_type != "multipart/form-data":
        raise RequestMalformed("a body that is no multipart/form-data")
    async with arriving(_PATIENCE):
        posted = await request.post()
    token, kind, file = posted.get(TOKEN_PARAMETER), posted.get("kind"), posted.get("file")
    check_same_site(request, token if isinstance(token, str) else "")
    content = await asyncio.to_thread(file.file.read) if isinstance(file, web.FileField) else b""
    return kind if isinstance(kind, str) else "", content


def _decoded(text: str) -> bytes:
    try:
        return urlsafe_b64decode(text.encode("ascii"))
    except ValueError:
        raise RequestMalformed("a file that was not sent along as it was") from None


def _ask(request: web.Request, officer: Officer, error: InputRefused | None = None, chosen: str = "") -> web.Response:
    kinds = [kind for kind in _COLUMNS if may(officer, operation_named(f"imports.{kind}.check").power)]
    if not kinds:
        require_power(officer, operation_named("imports.grants.check").power)
    problems = {} if error is None else by_field(error.problems)
    forms = [
        (kind, _COLUMNS[kind], _download(write_csv([one.chinese for one in _COLUMNS[kind]], ()))) for kind in kinds
    ]
    return page(request, "import", status=422 if error else 200, forms=forms, problems=problems, chosen=chosen)


def _report(request: web.Request, report: ImportReport, content: bytes) -> web.Response:
    values: dict[str, Any] = {
        "report": report,
        "errors": _download(write_problems(report)) if report.problems else None,
        "passwords": _download(write_passwords(report)) if report.passwords else None,
        "content": urlsafe_b64encode(content).decode() if report.dry_run and not report.problems else None,
    }
    return page(request, "import_report", status=422 if report.problems else 200, **values)


def _download(content: bytes) -> str:
    """A file within the page itself (RFC 2397): nothing of it is kept here until somebody fetches it."""
    return f"data:text/csv;charset=utf-8;base64,{b64encode(content).decode()}"


_NO_KIND = ("请选择文件内容。", "Choose what the file holds.")
_NO_FILE = ("请选择文件，且文件不能为空。", "Choose a file that is not empty.")
