"""Signing in as pages: password, then second factor; at the first time a password and a factor of one's own.

api_session.py is the same for programs. The ledger (staff_sign_in.py) counts failures and locks accounts.
"""

from io import BytesIO
from typing import Any
from urllib.parse import quote_plus, urlencode

import segno
from aiohttp import web
from pydantic import Field

from gateway.console.console import console_of
from gateway.console.forms import SMALL, by_field, read_form
from gateway.console.rendering import PRIVATE, page, see_other
from gateway.console.session import (
    INBOUND,
    check_origin,
    check_same_site,
    give_cookie,
    open_session,
    read_token,
    require_session,
    take_cookie,
)
from gateway.contracts import Settings
from gateway.errors import FieldProblem, Forbidden, InputRefused, RequestMalformed, SignInRefused, TargetRefused
from gateway.identity.cross_site import TOKEN_PARAMETER
from gateway.inbound import check_target
from gateway.ledger.inputs.checking import check_input
from gateway.ledger.staff_sessions import Missing, StaffSession
from gateway.ledger.staff_sign_in import SignInStep
from gateway.throttle import client_key

ATTEMPTS = "30/minute"
"""Passwords that may be tried from one address, whoever's: guessing one password with many accounts locks none."""

HOME = "/"
_STEPS: dict[Missing | None, str] = {
    "second-factor": "/second-factor",
    "password-change": "/password",
    "second-factor-enrolment": "/second-factor/enrol",
}
_LONGEST_ADDRESS = 2048
"""Characters of an address to come back to as it stands in another one, escaped; see gateway/desk/addresses.py."""


class SignInInput(Settings):
    """The first step."""

    login: str = Field(min_length=1, max_length=64, description="登录名 · login")
    password: str = Field(min_length=1, max_length=512, repr=False, description="密码 · password")


class CodeInput(Settings):
    """The second step."""

    code: str = Field(min_length=6, max_length=32, repr=False, description="动态验证码 · code of the authenticator app")


class PasswordInput(Settings):
    """Another password."""

    old: str = Field(min_length=1, max_length=512, repr=False, description="当前密码 · current password")
    new: str = Field(min_length=1, max_length=512, repr=False, description="新密码 · new password")


def routes() -> list[web.RouteDef]:
    """The pages with which somebody signs in and out."""
    return [
        web.get("/sign-in", ask_password),
        web.post("/sign-in", take_password),
        web.get("/second-factor", ask_code),
        web.post("/second-factor", take_code),
        web.get("/second-factor/enrol", show_secret),
        web.post("/second-factor/enrol", take_first_code),
        web.get("/second-factor/code.svg", show_square),
        web.get("/password", ask_new_password),
        web.post("/password", take_new_password),
        web.post("/sign-out", sign_out),
    ]


# ── the first step ────────────────────────────────────────────────────────────────────────────────────────────────


async def ask_password(request: web.Request) -> web.Response:
    """Ask for login and password; whoever is on the way already is led on."""
    session = await open_session(request)
    if session is not None:
        return see_other(_next(request, session.missing))
    return _ask(request, "sign_in", login="")


async def take_password(request: web.Request) -> web.Response:
    """Check login and password."""
    check_origin(request)
    entered = _typed(await read_form(request, SMALL))
    try:
        return _went_on(request, await try_password(request, check_input(SignInInput, entered)))
    except _AGAIN as error:
        return _ask(request, "sign_in", error, login=entered.get("login", ""))


async def try_password(request: web.Request, given: SignInInput) -> SignInStep:
    """The first step, for pages and programs.

    Raises:
        RateLimited: too many attempts from this address.
        SignInRefused, Forbidden, CannotDecide: see StaffSignIn.password.
    """
    console, client = console_of(request), request[INBOUND].client
    console.rates.spend(ATTEMPTS, "sign-in", client_key(client))
    return await console.sign_in.password(given.login, given.password, client)


# ── the second factor ─────────────────────────────────────────────────────────────────────────────────────────────


async def ask_code(request: web.Request) -> web.Response:
    """Ask for a code of the authenticator app."""
    session = await require_session(request)
    if session.missing != "second-factor":
        return see_other(_next(request, session.missing))
    return _ask(request, "second_factor")


async def take_code(request: web.Request) -> web.Response:
    """Check a code."""
    session, entered = await _read_step(request)
    try:
        return _went_on(request, await try_code(request, session, check_input(CodeInput, entered)))
    except _AGAIN as error:
        return _ask(request, "second_factor", error)


async def show_secret(request: web.Request) -> web.Response:
    """Show the secret that an authenticator app needs, and ask for its first code."""
    session = await require_session(request)
    if session.missing != "second-factor-enrolment":
        return see_other(_next(request, session.missing))
    return await _show_secret(request, session)


async def take_first_code(request: web.Request) -> web.Response:
    """Check the first code of an app."""
    session, entered = await _read_step(request)
    try:
        return _went_on(request, await try_code(request, session, check_input(CodeInput, entered)))
    except _AGAIN as error:
        return await _show_secret(request, session, error)


async def show_square(request: web.Request) -> web.Response:
    """The secret as a QR code (ISO/IEC 18004), for whoever is just enrolling and nobody else."""
    enrolment = await console_of(request).sign_in.begin_second_factor(await require_session(request))
    image = BytesIO()
    segno.make(enrolment.uri, error="m").save(image, kind="svg", scale=6, border=4, light="white", xmldecl=False)
    return web.Response(body=image.getvalue(), content_type="image/svg+xml", headers=PRIVATE)


async def try_code(request: web.Request, session: StaffSession, given: CodeInput) -> SignInStep:
    """The second step, or the first code of a new second factor, for pages and programs.

    Raises:
        As StaffSignIn.second_factor and StaffSignIn.confirm_second_factor.
    """
    sign_in, client = console_of(request).sign_in, request[INBOUND].client
    if session.missing == "second-factor-enrolment":
        return await sign_in.confirm_second_factor(session, given.code, client)
    return await sign_in.second_factor(session, given.code, client)


# ── the password ──────────────────────────────────────────────────────────────────────────────────────────────────


async def ask_new_password(request: web.Request) -> web.Response:
    """Ask for another password; has to be done after a one-time password and after console.password_age."""
    session = await require_session(request)
    if session.missing not in (None, "password-change"):
        return see_other(_next(request, session.missing))
    return _ask_new_password(request)


async def take_new_password(request: web.Request) -> web.Response:
    """Change the password."""
    session, entered = await _read_step(request)
    again = entered.pop("again", "")
    try:
        given = check_input(PasswordInput, entered)
        if again != given.new:
            raise InputRefused(FieldProblem("again", _NOT_THE_SAME))
        return _went_on(request, await try_new_password(request, session, given))
    except _AGAIN as error:
        return _ask_new_password(request, error)


async def try_new_password(request: web.Request, session: StaffSession, given: PasswordInput) -> SignInStep:
    """Change the password, for pages and programs.

    Raises:
        As StaffSignIn.change_password.
    """
    sign_in = console_of(request).sign_in
    return await sign_in.change_password(session, given.old, given.new, request[INBOUND].client)


# ── out ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def sign_out(request: web.Request) -> web.Response:
    """End the session."""
    if await open_session(request) is not None:
        entered = await read_form(request, SMALL)
        check_same_site(request, entered.get(TOKEN_PARAMETER, [""])[0])
        await end_session(request)
    response = see_other("/sign-in")
    take_cookie(response)
    return response


async def end_session(request: web.Request) -> None:
    """End the session of the request's cookie, if there is one."""
    token = read_token(request)
    if token is not None:
        await console_of(request).sessions.end(token)


# ── between the steps ─────────────────────────────────────────────────────────────────────────────────────────────

_AGAIN = (InputRefused, SignInRefused, Forbidden)
"""After these the same page asks again."""


async def _read_step(request: web.Request) -> tuple[StaffSession, dict[str, str]]:
    session = await require_session(request)
    entered = await read_form(request, SMALL)
    check_same_site(request, entered.get(TOKEN_PARAMETER, [""])[0])
    return session, _typed(entered)


def _typed(entered: dict[str, list[str]]) -> dict[str, str]:
    """The fields, each once and as it was typed: blanks belong to a password."""
    if any(len(values) > 1 for values in entered.values()):
        raise RequestMalformed("a field twice in a form of the sign-in")
    return {name: values[0] for name, values in entered.items() if name != TOKEN_PARAMETER}


def _went_on(request: web.Request, step: SignInStep) -> web.Response:
    """Lead to what comes next, with the cookie under which the session goes on."""
    response = see_other(_next(request, step.missing))
    give_cookie(response, step.token)
    return response


def _next(request: web.Request, missing: Missing | None) -> str:
    back = _return_to(request)
    if missing is None:
        return back
    return _STEPS[missing] if back == HOME else f"{_STEPS[missing]}?{urlencode({'return_to': back})}"


def sign_in_address(target: str) -> str:
    """Address of the sign-in that leads back to what was asked for; to its path alone where the query is too long.

    Args:
        target: path and query.
    """
    back = next(filter(_is_short, (target, target.partition("?")[0])), HOME)
    return "/sign-in" if back == HOME else f"/sign-in?{urlencode({'return_to': back})}"


def _return_to(request: web.Request) -> str:
    """Where somebody wanted to go: a path here and nothing else, in one reading only."""
    address = request.query.get("return_to", HOME)
    path, _, query = address.partition("?")
    try:
        check_target(path, query)
    except TargetRefused:
        return HOME
    return address if _is_short(address) else HOME


def _is_short(address: str) -> bool:
    return len(quote_plus(address)) <= _LONGEST_ADDRESS


def _ask(request: web.Request, name: str, error: Any = None, **values: Any) -> web.Response:
    problems = by_field(error.problems) if isinstance(error, InputRefused) else {}
    refusal = None if error is None or problems else error.title
    status = 200 if error is None else error.status
    back = urlencode({"return_to": _return_to(request)})
    response = page(request, name, status=status, problems=problems, refusal=refusal, back=back, **values)
    if error is not None and error.retry_after is not None:
        response.headers["Retry-After"] = str(max(1, round(error.retry_after)))
    return response


async def _show_secret(request: web.Request, session: StaffSession, error: Any = None) -> web.Response:
    secret = (await console_of(request).sign_in.begin_second_factor(session)).secret
    groups = " ".join(secret[place : place + 4] for place in range(0, len(secret), 4))
    return _ask(request, "enrol", error, secret=groups)


def _ask_new_password(request: web.Request, error: Any = None) -> web.Response:
    return _ask(request, "password", error, length=console_of(request).settings.password_length)


_NOT_THE_SAME = ("两次输入的新密码不一致。", "The two new passwords are not the same.")
