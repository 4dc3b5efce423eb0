"""The web channel: pages and whoever else sends a bearer token (RFC 6750) or a session cookie.

It recognises every request, so it stands last among the channels. docs/channels.md describes it for callers.
"""

import re

from pydantic import Field

from gateway import (
    SAFE_METHODS,
    SESSION_MARK,
    Channel,
    Credential,
    CredentialRejected,
    CrossSite,
    Inbound,
    PartContext,
    RequestMalformed,
    Settings,
    check_page,
    check_request_token,
    cookie_values,
    read_bearer,
)

_SESSION_ID = re.compile(rb"[A-Za-z0-9_-]{16,256}")


class WebConfig(Settings):
    """What the web channel looks at."""

    session_cookie: str | None = Field(
        None,
        pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
        description="name of the cookie that holds a session's id; that of `sessions` in gateway.yaml when missing, "
        "and without `sessions` cookies are not read",
    )


class Web(Channel[WebConfig]):
    """Takes the token out of `Authorization`, or else the session out of its cookie."""

    Config = WebConfig
    for_browsers = True

    def __init__(self, config: WebConfig, context: PartContext) -> None:
        super().__init__(config, context)
        sessions = context.sessions
        cookie = config.session_cookie or (None if sessions is None else sessions.cookie)
        self._cookie = None if cookie is None else cookie.encode()

    async def identify(self, inbound: Inbound) -> Credential:
        """Recognise any request. A session becomes a token that begins with `SESSION_MARK`.

        Raises:
            CredentialRejected: there is a credential and it has not the form of one; 401.
            RequestMalformed: the session cookie is there twice, so somebody may have planted one; 400.
            CrossSite: another site's page may have sent it, with a session's cookie; 403.
        """
        token = read_bearer(inbound)
        if token is None and self._cookie is not None:
            session = _read_session(inbound, self._cookie)
            if session is not None:
                await self._check_page(inbound, session)
                token = SESSION_MARK + session
        return Credential(self.name, token)

    async def _check_page(self, inbound: Inbound, session: str) -> None:
        """A browser sends the cookie along whoever's page asks; what could change something needs to be our own's."""
        if inbound.upgrade is not None:
            check_page(inbound)  # browsers let any page open a WebSocket (RFC 6455 §10.2)
        elif inbound.method not in SAFE_METHODS:
            check_page(inbound)
            if self.context.sessions is None:
                raise CrossSite("nobody here can say what a session's synchronizer token is")
            await check_request_token(inbound, self.context.sessions.request_token(session))


def _read_session(inbound: Inbound, name: bytes) -> str | None:
    found = cookie_values(inbound.fields.get(b"cookie", b""), name)
    if len(found) > 1:
        raise RequestMalformed(f"{len(found)} session cookies")
    if not found:
        return None
    if _SESSION_ID.fullmatch(found[0]) is None:
        raise CredentialRejected("the session cookie holds no session id")
    return found[0].decode("ascii")
