"""Signing in for programs: the calls under `/api/session`. signing_in.py is the same as pages and does the work."""

import msgspec
from aiohttp import web

from gateway.codes import region_code
from gateway.console.console import console_of
from gateway.console.operations import SessionCall
from gateway.console.session import form_token, give_cookie, require_session, take_cookie, token_of
from gateway.console.signing_in import (
    CodeInput,
    PasswordInput,
    SignInInput,
    end_session,
    try_code,
    try_new_password,
    try_password,
)
from gateway.ledger.second_factors import Enrolment
from gateway.ledger.staff_sessions import Missing
from gateway.ledger.staff_sign_in import SignInStep


class StepAnswer(msgspec.Struct, frozen=True):
    """Where a sign-in stands; the cookie comes with it, a new one at each step.

    Attributes:
        missing: what comes next, `second-factor`, `password-change` or `second-factor-enrolment`; None: signed in.
        csrf_token: of the session, for the field `x-csrf-token` of everything that changes something.
    """

    missing: Missing | None
    csrf_token: str


class SessionAnswer(msgspec.Struct, frozen=True):
    """Who has signed in.

    Attributes:
        login: of the account.
        name: of the person.
        role: of her post; None while something is missing, or when she holds none.
        region: code of the region that the post covers, `000000` all of them; None as above.
        missing: see StepAnswer.
        csrf_token: see StepAnswer.
    """

    login: str
    name: str
    role: str | None
    region: str | None
    missing: Missing | None
    csrf_token: str


async def _begin(request: web.Request, response: web.Response, given: SignInInput) -> StepAnswer:
    return _went_on(response, await try_password(request, given))


async def _take_code(request: web.Request, response: web.Response, given: CodeInput) -> StepAnswer:
    return _went_on(response, await try_code(request, await require_session(request), given))


async def _enrol(request: web.Request, _: web.Response, __: None) -> Enrolment:
    return await console_of(request).sign_in.begin_second_factor(await require_session(request))


async def _change_password(request: web.Request, response: web.Response, given: PasswordInput) -> StepAnswer:
    return _went_on(response, await try_new_password(request, await require_session(request), given))


async def _tell(request: web.Request, _: web.Response, __: None) -> SessionAnswer:
    session = await require_session(request)
    post = session.officer
    role, region = (None, None) if post is None else (post.role.value, region_code(post.scope))
    return SessionAnswer(session.login, session.name, role, region, session.missing, form_token(request))


async def _end(request: web.Request, response: web.Response, _: None) -> dict[str, str]:
    await end_session(request)
    take_cookie(response)
    return {}


def _went_on(response: web.Response, step: SignInStep) -> StepAnswer:
    give_cookie(response, step.token)
    return StepAnswer(step.missing, token_of(step.token))


SESSION_CALLS = (
    SessionCall(
        "session.begin", "POST", "/session", ("登录：登录名和密码", "Sign in: login and password"), _begin,
        SignInInput, StepAnswer, token=False,
    ),
    SessionCall(
        "session.second_factor", "POST", "/session/second-factor",
        ("登录：动态验证码，或新绑定身份验证器的首个验证码", "Sign in: the code; or the first code of a new app"),
        _take_code,
        CodeInput, StepAnswer,
    ),
    SessionCall(
        "session.enrol", "POST", "/session/second-factor/enrolment",
        ("绑定身份验证器：取得密钥", "Enrol an authenticator app: get its secret"), _enrol, None, Enrolment,
    ),
    SessionCall(
        "session.password", "POST", "/session/password", ("修改密码", "Change the password"), _change_password,
        PasswordInput, StepAnswer,
    ),
    SessionCall("session.tell", "GET", "/session", ("当前登录", "Who has signed in"), _tell, None, SessionAnswer),
    SessionCall("session.end", "DELETE", "/session", ("退出登录", "Sign out"), _end),
)  # fmt: skip
"""How a session begins and ends."""
