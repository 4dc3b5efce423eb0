"""All provincial dialects in one application, each under a path of its own, and the national platform of the line."""

import time
from collections.abc import Callable

from aiohttp import web

from sandbox.accounts import Register
from sandbox.dialects.common import Dialect
from sandbox.dialects.guangdong import Guangdong
from sandbox.dialects.jis import Jis
from sandbox.dialects.national import National
from sandbox.dialects.tif import TifGateway
from sandbox.dialects.zhejiang import Zhejiang
from sandbox.dialects.zhejiang_irs import ZhejiangIrs
from sandbox.serving import json_response


def create_dialects(edge: str, clock: Callable[[], float] = time.time) -> web.Application:
    """Build the provincial dialects and the TIF gateway.

    Args:
        edge: base address of the department that the TIF gateway hands requests on to.
        clock: seconds since the epoch.
    """
    register = Register()
    dialects: list[Dialect] = [
        Zhejiang("/zhejiang", register, clock),
        ZhejiangIrs("/zhejiang-irs", register, clock),
        Jis("/jis", register, clock),
        Guangdong("/guangdong", register, clock),
        TifGateway("/tif", register, clock, edge),
    ]
    app = web.Application()
    for dialect in dialects:
        app.add_subapp(dialect.prefix, dialect.application())

    async def index(request: web.Request) -> web.Response:
        return json_response({dialect.prefix: dialect.name for dialect in dialects})

    app.router.add_get("/", index)
    return app


def create_national(clock: Callable[[], float] = time.time) -> web.Application:
    """Build the national platform of the line."""
    return National("", Register(), clock).application()
