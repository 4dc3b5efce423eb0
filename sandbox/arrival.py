"""Tell what arrived at a business system, so that anyone can see what crossed the gatekeeper (`sandbox.business`)."""

import hashlib
from typing import Any

from aiohttp import BodyPartReader, MultipartReader, StreamReader, web

LONGEST_TEXT = 64 * 1024


async def describe_request(request: web.Request, system: str) -> dict[str, Any]:
    """Describe a request as it arrived.

    Args:
        request: its body may be up to the application's `client_max_size`.
        system: who describes it.

    Returns:
        Members `system`, `method`, `path` and `query` (as sent, not decoded), `headers` (lower-case; values of a
        repeated one joined by ", ") and `body` (`length` in bytes, `sha256` in hex, `content_type`, and `parts` for
        multipart/form-data or `text` for short JSON and text).

    Raises:
        ValueError: the body calls itself multipart/form-data and is not (RFC 7578).
    """
    path, _, query = request.raw_path.partition("?")
    return {
        "system": system,
        "method": request.method,
        "path": path,
        "query": query,
        "headers": {name.lower(): ", ".join(request.headers.getall(name)) for name in request.headers},
        "body": await _describe_body(request),
    }


async def _describe_body(request: web.Request) -> dict[str, Any]:
    body = await request.read()
    described: dict[str, Any] = measure(body) | {"content_type": request.headers.get("Content-Type")}
    if request.content_type == "multipart/form-data":
        described["parts"] = await _describe_parts(request, body)
    elif len(body) <= LONGEST_TEXT and request.content_type.startswith(("text/", "application/json")):
        described["text"] = body.decode("utf-8", "backslashreplace")
    return described


async def _describe_parts(request: web.Request, body: bytes) -> list[dict[str, Any]]:
    stream = StreamReader(request.protocol, limit=max(len(body), 1))
    stream.feed_data(body)
    stream.feed_eof()
    described = []
    async for part in MultipartReader(request.headers, stream):
        if not isinstance(part, BodyPartReader):
            raise ValueError("a part of multipart/form-data may not be multipart itself")
        content_type = part.headers.get("Content-Type", "text/plain")
        named = {"name": part.name, "filename": part.filename, "content_type": content_type}
        described.append(named | measure(bytes(await part.read())))
    if not described:
        raise ValueError("multipart/form-data without parts")
    return described


def measure(data: bytes) -> dict[str, Any]:
    """Length in bytes and SHA-256 in hex."""
    return {"length": len(data), "sha256": hashlib.sha256(data).hexdigest()}
