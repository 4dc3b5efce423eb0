"""aiohttp-session over sign-in sessions: the desk reads who is signed in, and its answers carry the cookie.

The entries are sessions.py's, sealed and in the shared store; this only reads them and sets or takes away the cookie.
"""

import warnings

from aiohttp import web
from aiohttp_session import SESSION_KEY, AbstractStorage, Session, SessionData

from gateway.errors import RequestMalformed
from gateway.identity.sessions import SignedIn, SignInSessions
from gateway.tokens.bearer import cookie_values

# aiohttp would have a request's keys typed; aiohttp-session names its own by text.
warnings.filterwarnings("ignore", category=web.NotAppKeyWarning, module=r"aiohttp_session|gateway\.identity\.storage")

SIGNED_IN = "signed_in"
"""Where an aiohttp-session keeps the SignedIn; missing when nobody is signed in."""


class EncryptedStorage(AbstractStorage):
    """Storage for `aiohttp_session.setup`. `session.identity` is the session's id, `session[SIGNED_IN]` the session.

    Args:
        sessions: see SignInSessions.
    """

    def __init__(self, sessions: SignInSessions) -> None:
        super().__init__(cookie_name=sessions.cookie, secure=True, httponly=True, samesite="Lax", path="/")
        self._sessions = sessions

    async def load_session(self, request: web.Request) -> Session:
        """The browser's session; a new, empty one when it has none or it has ended.

        Raises:
            RequestMalformed: there are two session cookies, so somebody may have planted one.
            StateUnavailable: nobody can say now.
        """
        identity = self.load_cookie(request)
        signed_in = None if identity is None else await self._sessions.open(identity)
        if signed_in is None:
            return await self.new_session()
        held: SessionData = {"created": int(signed_in.began_at), "session": {SIGNED_IN: signed_in}}
        return Session(identity, data=held, new=False)

    def load_cookie(self, request: web.Request) -> str | None:
        """The cookie's value, read on bytes: text functions strip more than a browser does."""
        found = [
            value
            for _, line in (pair for pair in request.raw_headers if pair[0].lower() == b"cookie")
            for value in cookie_values(line, self.cookie_name.encode())
        ]
        if len(found) > 1:
            raise RequestMalformed(f"{len(found)} session cookies")
        return found[0].decode("latin-1") if found else None

    async def save_session(self, request: web.Request, response: web.StreamResponse, session: Session) -> None:
        """Set the cookie of a session that was begun or changed, or take it away; the store is not asked."""
        if session.empty:
            # aiohttp-session's own way leaves `Secure` out; browsers then keep a cookie with a `__Host-` name.
            response.del_cookie(self.cookie_name, path="/", secure=True, httponly=True, samesite="Lax")
        else:
            self.save_cookie(response, str(session.identity))


def remember(request: web.Request, identity: str, signed_in: SignedIn) -> None:
    """Have the answer to this request carry the cookie of a session that was begun or changed.

    Args:
        request: the request, in a handler behind aiohttp-session's middleware.
        identity: the id that SignInSessions.begin or change gave.
        signed_in: likewise.
    """
    session = request[SESSION_KEY] = Session(identity, data=None, new=True)
    session[SIGNED_IN] = signed_in
