"""All three platforms in one process, under their real paths, which do not meet."""

import argparse
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from sandbox.channel_platforms import alipay, unionpay, wechat
from sandbox.channel_platforms.scene import Scene
from sandbox.serving import add_listen_options, run

FAILURES: Mapping[str, Mapping[Any, Any]] = {
    "jscode2session": wechat.CODES,
    "access_token": wechat.CODES,
    "gateway": alipay.CODES,
    "backendToken": unionpay.CODES,
    "token": unionpay.CODES,
}
"""Documented codes of failure of each endpoint."""


def create_channel_platforms(keys: Path, clock: Callable[[], float] = time.time) -> web.Application:
    """Build them.

    Args:
        keys: folder of Alipay's keys, as alipay.make_keys writes them.
        clock: seconds since the epoch.
    """
    scene = Scene(FAILURES, clock)
    own, application = (alipay.read_key(keys / name) for name in (alipay.PLATFORM_KEY, alipay.APPLICATION_KEY))
    app = web.Application(client_max_size=256 * 1024)
    for platform in (wechat.WeChat(scene), alipay.Alipay(scene, own, application), unionpay.UnionPay(scene), scene):
        app.add_routes(platform.routes())
    return app


def main(arguments: list[str] | None = None) -> int:
    """Run them as a process; see `--help`."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.channel_platforms", description=__doc__)
    add_listen_options(parser)
    parser.add_argument("--keys", type=Path, required=True, metavar="FOLDER", help="where the sample keys are, or go")
    options = parser.parse_args(arguments)
    alipay.make_keys(options.keys)
    return run(create_channel_platforms(options.keys), "channel platforms", options)
