"""The province's login pages: a department sends a browser here, and it goes back with a code (RFC 6749 §4.1).

No passwords: one of the sample people is chosen. The pages work without scripts. `sandbox.province.tokens_out`
exchanges the code.
"""

from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from aiohttp import web

from sandbox.accounts import Account, Register, SubjectType
from sandbox.pages import page, redirect
from sandbox.province.clients import Client, Clients
from sandbox.province.endings import Endings
from sandbox.province.sessions import Authorization, Session, Sessions
from sandbox.switchboard import InvalidRequestError, only

NAME = "省统一身份认证平台（演示） Province identity platform (simulated)"
COOKIES: Mapping[SubjectType, str] = {"natural": "province_person", "legal": "province_unit"}
LEVELS = frozenset("01234")


class LoginRefused(Exception):
    """The login cannot be had as asked for; `error` is the protocol's word for it (RFC 6749 §4.1.2.1)."""

    def __init__(self, error: str, why: str) -> None:
        super().__init__(why)
        self.error = error


class LoginPages:
    """From `/authorize` to the code."""

    def __init__(
        self,
        register: Register,
        clients: Clients,
        sessions: Sessions,
        endings: Endings,
        issuer: str,
        clock: Callable[[], float],
    ) -> None:
        self._register = register
        self._clients = clients
        self._sessions = sessions
        self._endings = endings
        self._issuer = issuer
        self._clock = clock

    async def authorize(self, request: web.Request) -> web.Response:
        """`GET /authorize`: begin a login, or go straight back when there is one that is good enough."""
        query = request.query
        client = self._clients.find(only(query, "client_id"))
        redirect_uri = only(query, "redirect_uri")
        if client is None or redirect_uri not in client.redirect_uris:
            # Nobody is sent to an address that was not registered (RFC 6749 §4.1.2.1).
            return _refusal("应用或返回地址未登记。", "The department or its address is not registered.")
        try:
            authorization = _read(query, client, redirect_uri)
            return self._continue(request, authorization, query)
        except LoginRefused as error:
            return self._send_back(
                redirect_uri, only(query, "state"), {"error": error.error, "error_description": str(error)}
            )

    def _continue(self, request: web.Request, authorization: Authorization, query: Mapping[str, str]) -> web.Response:
        session = self._sessions.of_cookie(request.cookies.get(COOKIES[authorization.kind]))
        prompt = only(query, "prompt")
        if session is None or prompt == "login" or self._is_too_old(session, authorization):
            if prompt == "none":
                raise LoginRefused("login_required", "nobody is logged in")
            return self._choose(authorization)
        if session.level >= authorization.level:
            return self._finish(authorization, session)
        if prompt == "none":
            raise LoginRefused("interaction_required", "a stronger login is needed")
        authorization.account = session.account
        return self._ask_more(self._sessions.begin(authorization), authorization)

    def _is_too_old(self, session: Session, authorization: Authorization) -> bool:
        age = self._clock() - session.auth_time
        return authorization.max_age is not None and age >= authorization.max_age

    def _choose(self, authorization: Authorization) -> web.Response:
        return page(
            "login",
            platform=NAME,
            department=authorization.client.id,
            action="/login",
            hidden={"request": self._sessions.begin(authorization)},
            accounts=self._register.choices(authorization.kind),
            levels=[],
        )

    async def choose(self, request: web.Request) -> web.Response:
        """`POST /login`: somebody was chosen."""
        form = await request.post()
        name = only(form, "request") or ""
        authorization = self._sessions.under_way(name)
        account = self._register.find(only(form, "user") or "")
        if authorization is None:
            return _refusal("登录已过期，请重新开始。", "This login is over; please start again.")
        if account is None or account.subject_type != authorization.kind:
            raise InvalidRequestError("user must be one of those on the page")
        if authorization.level > account.highest:
            return self._cannot(name, authorization)
        authorization.account = account
        if authorization.level > account.plain_level:
            return self._ask_more(name, authorization)
        return await self._log_in(request, name, authorization, account, account.plain_level)

    def _ask_more(self, name: str, authorization: Authorization) -> web.Response:
        account = authorization.account
        if account is None or authorization.level > account.highest:
            return self._cannot(name, authorization)
        level = authorization.level
        return page("factor", platform=NAME, account=account, level=level, action="/login/factor", request=name)

    async def confirm(self, request: web.Request) -> web.Response:
        """`POST /login/factor`: the second factor was shown."""
        name = only(await request.post(), "request") or ""
        authorization = self._sessions.under_way(name)
        if authorization is None or authorization.account is None:
            return _refusal("登录已过期，请重新开始。", "This login is over; please start again.")
        return await self._log_in(request, name, authorization, authorization.account, authorization.level)

    async def _log_in(
        self, request: web.Request, name: str, authorization: Authorization, account: Account, level: int
    ) -> web.Response:
        self._sessions.conclude(name)
        cookie = COOKIES[authorization.kind]
        session = self._sessions.of_cookie(request.cookies.get(cookie))
        if session is not None and session.account == account:
            session.level, session.auth_time = max(session.level, level), int(self._clock())
            return self._finish(authorization, session)
        if session is not None:
            await self._endings.end([session])  # another person, or another operator: what the first one began ends
        value, session = self._sessions.open(account, level)
        answer = self._finish(authorization, session)
        answer.set_cookie(cookie, value, httponly=True, samesite="Lax", path="/")
        return answer

    def _cannot(self, name: str, authorization: Authorization) -> web.Response:
        self._sessions.conclude(name)
        error = {
            "error": "unmet_authentication_requirements",  # OpenID Connect Core Unmet Authentication Requirements 1.0
            "error_description": "this account cannot log in that strongly",
        }
        return self._send_back(
            authorization.redirect_uri, authorization.state, error, form_post=authorization.form_post
        )

    def _finish(self, authorization: Authorization, session: Session) -> web.Response:
        code = self._sessions.grant(authorization, session)
        return self._send_back(
            authorization.redirect_uri, authorization.state, {"code": code}, form_post=authorization.form_post
        )

    def _send_back(
        self, redirect_uri: str, state: str | None, answer: dict[str, str], *, form_post: bool = False
    ) -> web.Response:
        fields = answer | {"iss": self._issuer} | ({} if state is None else {"state": state})  # iss: RFC 9207
        if form_post:
            return page("post_back", platform=NAME, action=redirect_uri, fields=fields)
        return redirect(f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode(fields)}")


def _refusal(chinese: str, english: str) -> web.Response:
    return page("notice", status=400, platform=NAME, chinese=chinese, english=english, action=None)


def _read(query: Mapping[str, str], client: Client, redirect_uri: str) -> Authorization:
    """Read what a department asks for.

    Raises:
        LoginRefused: it asks for something that there is not.
    """
    if only(query, "response_type") != "code":
        raise LoginRefused("unsupported_response_type", "response_type must be code")
    challenge = only(query, "code_challenge")
    if challenge is not None and only(query, "code_challenge_method") != "S256":
        raise LoginRefused("invalid_request", "code_challenge_method must be S256")
    mode = only(query, "response_mode") or "query"
    if mode not in ("query", "form_post"):
        raise LoginRefused("invalid_request", "response_mode must be query or form_post")
    return Authorization(
        client=client,
        redirect_uri=redirect_uri,
        state=only(query, "state"),
        kind=_kind(only(query, "subject_type") or "natural"),
        level=_level(only(query, "acr_values")),
        nonce=only(query, "nonce"),
        challenge=challenge,
        max_age=_max_age(only(query, "max_age")),
        form_post=mode == "form_post",
    )


def _kind(text: str) -> SubjectType:
    if text not in COOKIES:
        raise LoginRefused("invalid_request", "subject_type must be natural or legal")
    return "legal" if text == "legal" else "natural"


def _level(acr_values: str | None) -> int:
    """The weakest of the levels that would do; 0 when none is named."""
    return min((int(one) for one in (acr_values or "").split() if one in LEVELS), default=0)


def _max_age(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise LoginRefused("invalid_request", "max_age must be a number of seconds")
    return int(text)
