"""The web channel: pages and whoever else sends a bearer token (RFC 6750) or a session cookie.

It recognises every request, so it stands last among the channels. docs/channels.md describes it for callers.
"""

import re

from pydantic import Field

from gateway import (
    SESSION_MARK,
    Channel,
    Credential,
    CredentialRejected,
    Inbound,
    RequestMalformed,
    Settings,
    read_bearer,
)

_SESSION_ID = re.compile(rb"[A-Za-z0-9_-]{16,256}")


class WebConfig(Settings):
    """What the web channel looks at."""

    session_cookie: str | None = Field(
        None,
        pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
        description="name of the cookie that holds a session's id, `__Host-sid`; cookies are not read when missing",
    )


class Web(Channel[WebConfig]):
    """Takes the token out of `Authorization`, or else the session out of its cookie."""

    Config = WebConfig

    async def identify(self, inbound: Inbound) -> Credential:
        """Recognise any request. A session becomes a token that begins with `SESSION_MARK`.

        Raises:
            CredentialRejected: there is a credential and it has not the form of one; 401.
            RequestMalformed: the session cookie is there twice, so somebody may have planted one; 400.
        """
        token = read_bearer(inbound)
        if token is None and self.config.session_cookie is not None:
            token = _read_session(inbound, self.config.session_cookie.encode())
        return Credential(self.name, token)


def _read_session(inbound: Inbound, name: bytes) -> str | None:
    found = _cookies(inbound.fields.get(b"cookie", b""), name)
    if len(found) > 1:
        raise RequestMalformed(f"{len(found)} session cookies")
    if not found:
        return None
    if _SESSION_ID.fullmatch(found[0]) is None:
        raise CredentialRejected("the session cookie holds no session id")
    return SESSION_MARK + found[0].decode("ascii")


def _cookies(value: bytes, name: bytes) -> list[bytes]:
    """Values of the cookies of this very name. Bytes, because text functions strip more than a browser does."""
    pairs = (pair.strip(b" \t").partition(b"=") for pair in value.split(b";"))
    return [content.strip(b" \t") for given, _, content in pairs if given.rstrip(b" \t") == name]
