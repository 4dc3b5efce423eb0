"""The back office's listener, as long as process.py runs it; application.py answers what can be read as a request."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, cast

from aiohttp import web

from gateway.answers import render
from gateway.errors import InternalError, RequestMalformed
from gateway.processes.listening import bind
from gateway.units import Address

KEEPALIVE = 20.0
"""Seconds that a connection without a whole request stays open."""

_NO_LOG: Any = None


@contextlib.asynccontextmanager
async def listening(application: web.Application, address: Address, drain: float) -> AsyncIterator[Address]:
    """Serve an application; afterwards what is under way may finish.

    Args:
        application: see make_console.
        address: `console.listen`.
        drain: seconds.

    Returns:
        The address, with the port that the system chose for port 0.

    Raises:
        ConfigurationError: the address cannot be used.
    """
    listener, loop = bind("console.listen", address), asyncio.get_running_loop()
    runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=drain)
    try:
        await runner.setup()
        connection = partial(
            _Connection,
            cast("web.Server", runner.server),  # there is one after setup
            loop=loop,
            access_log=_NO_LOG,
            auto_decompress=False,  # no form of ours is compressed, and nobody makes us unpack one
            keepalive_timeout=KEEPALIVE,
        )
        serving = await loop.create_server(connection, sock=listener.socket)
        try:
            yield listener.address
        finally:
            serving.close()
    finally:
        await runner.cleanup()
        listener.release()


class _Connection(web.RequestHandler):
    """Answers what cannot be read as a request without repeating it, and without saying what runs here."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("part of an answer was sent already")
        error = RequestMalformed("cannot be read") if status < 500 else InternalError("the connection broke")
        id = secrets.token_hex(16)  # noqa: A001 - as in model.Inbound
        if status >= 500:
            self.log_exception("a connection of the back office broke", exc_info=exc)
        fields, body = render(error, id, b"", b"")
        answer = web.Response(status=error.status, body=body)
        answer.headers.update({name.decode(): value.decode("latin-1") for name, value in fields})
        answer.headers.update({"X-Request-Id": id, "Server": "tongguan"})
        answer.force_close()
        return answer
