"""A form that was sent and needed a (stronger) login first: offered again, sent once. guidance.py keeps it.

One button, no script: the person sees what is sent, and sends it herself.
"""

from aiohttp import web

from gateway.desk.acting import who_is
from gateway.desk.addresses import CONTINUE, login_address
from gateway.desk.browser import Session, check_same_site, find_session, require_session
from gateway.desk.desk import desk_of
from gateway.desk.pages import PRIVATE, page, see_other
from gateway.desk.parameters import MOST_FIELDS, once, parse, read_body
from gateway.errors import SignInMalformed
from gateway.identity.cross_site import TOKEN_PARAMETER
from gateway.identity.logins import KeptForm

_LIMIT = 192 << 10
"""Bytes: a kept form of the largest size, with every character escaped."""


async def offer(request: web.Request) -> web.Response:
    """The page with the form; sends to the login whoever is not signed in."""
    desk = desk_of(request)
    id = request.match_info["id"]  # noqa: A001
    session = await find_session(request)
    if session is None:
        return see_other(login_address(f"{CONTINUE}{id}"))
    form = _own(await desk.logins.read_form(id), session)
    fields = [pair for pair in parse(form.body.decode("ascii"), MOST_FIELDS) if pair[0] != TOKEN_PARAMETER]
    return page(
        "continue",
        action=f"{CONTINUE}{id}",
        path=form.path,
        fields=fields,
        csrf_token=desk.sessions.request_token(session.id),
    )


async def send(request: web.Request) -> web.Response:
    """Have the browser send the form to where it was meant for (RFC 9110 §15.4.8). Of two clicks one does."""
    desk = desk_of(request)
    session = await require_session(request)
    body = await read_body(request, _LIMIT)
    try:
        fields = parse(body.decode("ascii"), MOST_FIELDS + 1)
    except UnicodeDecodeError:
        raise SignInMalformed("a form that is not ASCII") from None
    check_same_site(request, session, once([pair for pair in fields if pair[0] == TOKEN_PARAMETER]))
    id = request.match_info["id"]  # noqa: A001
    _own(await desk.logins.read_form(id), session)
    form = _own(await desk.logins.take_form(id), session)
    address = f"{form.path}?{form.query}" if form.query else form.path
    return web.Response(status=307, headers=PRIVATE | {"Location": address})


def _own(form: KeptForm | None, session: Session) -> KeptForm:
    """The form, for whoever sent it.

    Raises:
        SignInMalformed: it is gone, or another person's.
    """
    if form is None:
        raise SignInMalformed("the form is not kept any more, or was sent", title=_GONE)
    if form.sender != who_is(session.signed_in.principal):
        raise SignInMalformed("the form is another person's", title=_GONE)
    return form


_GONE = (
    "该表单已提交或已过期，请返回原页面重新填写。",
    "This form has been sent or has expired. Please go back and fill it in again.",
)
