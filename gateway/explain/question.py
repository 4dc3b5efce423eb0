"""What `tongguan explain` is asked, and how it becomes a request as the public listener would have read it.

paper.py follows that request down the path.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import msgspec
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage

from gateway.errors import BodyTooLarge
from gateway.model import Kind, Principal


class Question(msgspec.Struct, frozen=True):
    """What would happen to this request?

    Attributes:
        method: for example GET.
        url: a path, or a whole address whose host is then used.
        headers: name and value.
        token: sent as a bearer token; None sends none.
        body: the whole body; announced by Content-Length where there is one.
        principal: believed instead of asking the verifiers; None asks them.
        client: address of the client.
        certificate: fingerprint of the client's certificate, as in `gateway.model.Inbound`; None shows none.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    token: str | None = None
    body: bytes = b""
    principal: Principal | None = None
    client: str = "127.0.0.1"
    certificate: str | None = None


class GivenBody:
    """A body that is there already (gateway.model.Body)."""

    def __init__(self, content: bytes) -> None:
        self.length: int | None = len(content)
        self._content = content

    def admit(self, limit: int) -> None:
        """Allow a body of so many bytes.

        Raises:
            BodyTooLarge: it is larger.
        """
        if len(self._content) > limit:
            raise BodyTooLarge(f"{len(self._content)} bytes, at most {limit}")

    async def whole(self) -> bytes:
        """All of it."""
        return self._content

    async def chunks(self) -> AsyncIterator[bytes]:
        """The one piece there is."""
        if self._content:
            yield self._content


class _Transport(BaseProtocol):
    """aiohttp's parser wants a protocol to pause."""


def message_of(question: Question, host: str) -> RawRequestMessage:
    """Have the question parsed by the parser of the public listener.

    Raises:
        ValueError: it would not have read it.
    """
    parts = urlsplit(question.url)
    target = question.url if not parts.netloc else question.url.partition(parts.netloc)[2] or "/"
    lines = [f"{question.method} {target} HTTP/1.1", f"Host: {parts.netloc or host}"]
    lines += [f"{name}: {value}" for name, value in question.headers]
    if question.token is not None:
        lines.append(f"Authorization: Bearer {question.token}")
    if question.body:
        lines.append(f"Content-Length: {len(question.body)}")
    loop = asyncio.get_running_loop()
    parser = HttpRequestParser(_Transport(loop), loop, 65536, auto_decompress=False)
    try:
        messages, _, _ = parser.feed_data(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    except (HttpProcessingError, UnicodeEncodeError) as exc:
        raise ValueError(f"no HTTP request can look like this: {exc}") from exc
    if len(messages) != 1:
        raise ValueError("the question is not exactly one HTTP request")
    message: RawRequestMessage = messages[0][0]
    return message


def parse_principal(text: str) -> Principal:
    """Read `subject=…,kind=natural,assurance=3[,operator=…][,issuer=…][,device=…]`.

    Raises:
        ValueError: a key is unknown, or subject or kind is missing.
    """
    given = dict(pair.strip().partition("=")[::2] for pair in text.split(","))
    if unknown := set(given) - {"subject", "kind", "assurance", "operator", "issuer", "device"}:
        raise ValueError(
            f"{', '.join(sorted(unknown))}: only subject, kind, assurance, operator, issuer and device can be asserted"
        )
    if not given.get("subject") or given.get("kind") not in {"natural", "legal"}:
        raise ValueError("an asserted principal needs subject=… and kind=natural or kind=legal")
    return Principal(
        issuer=given.get("issuer", "asserted"),
        subject=given["subject"],
        kind=Kind(given["kind"]),
        assurance=int(given.get("assurance", "0")),
        operator=given.get("operator"),
        expires_at=float("inf"),
        authenticated_at=time.time(),
        verifier="asserted",
        device=given.get("device"),
    )
