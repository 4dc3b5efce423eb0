"""Asks other platforms over HTTP: the `Fetch` of contracts.py, on an aiohttp client with its traps closed.

No cookies, redirects, proxies or decompression, no connection kept, no request sent twice; every failure an OSError.
"""

from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from gateway.contracts import HttpAnswer

USER_AGENT = "tongguan"
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def check_platform_address(url: str, *, allow_http: bool = False) -> None:
    """Hold the address of a platform to https; plain http only on this machine or where it is allowed.

    Raises:
        ValueError: with what is wrong, for a settings model to pass on.
    """
    address = urlsplit(url)
    plain = address.scheme == "http" and (allow_http or address.hostname in _LOOPBACK)
    if not address.hostname or not (address.scheme == "https" or plain):
        raise ValueError(f"{url!r} must be an https address; http needs a loopback host, or allow_http: true")


class HttpFetch:
    """Fetches small answers. Made inside the running event loop; `close` it in the end.

    Args:
        connections: most connections at once, all platforms together; more calls wait within their own timeout.
    """

    def __init__(self, connections: int = 256) -> None:
        # A kept connection may be dead by the time it is used again, and aiohttp then silently sends the request anew.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            raise_for_status=False,
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
        )
        self._session._retry_connection = False  # noqa: SLF001 - the only switch there is; a test counts deliveries

    async def close(self) -> None:
        """Close every connection. Harmless when it is closed."""
        await self._session.close()

    async def __call__(
        self,
        method: str,
        url: str,
        *,
        fields: dict[str, str] | None = None,
        body: bytes | None = None,
        timeout: float = 3.0,
        limit: int = 65536,
    ) -> HttpAnswer:
        """Fetch one answer of at most `limit` bytes within `timeout` seconds, whatever its status.

        Raises:
            OSError: nothing usable came back: not reachable, too slow, too large, compressed, not HTTP.
        """
        try:
            async with self._session.request(
                method,
                URL(url, encoded=True),
                headers=fields,
                data=body,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout),
            ) as response:
                return await _read_answer(response, limit)
        except OSError:
            raise
        except (aiohttp.ClientError, ValueError, RuntimeError) as error:
            # ValueError: an address or a field that cannot be sent; RuntimeError: closed meanwhile.
            raise OSError(f"nothing usable came back: {type(error).__name__}") from error


async def _read_answer(response: aiohttp.ClientResponse, limit: int) -> HttpAnswer:
    if not 200 <= response.status <= 599:
        raise OSError(f"status {response.status}")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise OSError("the answer is compressed, which nobody asked for")
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > limit:
            raise OSError(f"the answer is larger than {limit} bytes")
    media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return HttpAnswer(response.status, media_type, bytes(body), _read_date(response.headers.get("Date", "")))


def _read_date(field: str) -> float | None:
    """Unix seconds of an HTTP date (RFC 9110 §5.6.7, which is always GMT); None when it is none."""
    try:
        told = parsedate_to_datetime(field)
        return told.replace(tzinfo=UTC).timestamp() if told.tzinfo is None else told.timestamp()
    except (ValueError, OverflowError):
        return None
