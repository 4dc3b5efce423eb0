"""Run the real supervisor with the fake edge: serve_fake.py FOLDER EDGE [PACE as JSON]. FOLDER has two JSON files."""

import hashlib
import json
import sys
from pathlib import Path

import msgspec
import structlog

from gateway.errors import ConfigurationError
from gateway.processes.serve import serve
from gateway.processes.worker_process import Pace
from gateway.records.metrics import exposition, merge
from gateway.settings import StaticSettings
from gateway.units import parse_address


class Configuration(msgspec.Struct, frozen=True):
    settings: StaticSettings
    static: bytes
    policy: bytes
    revision: str
    files: list[Path]


def load_from(folder):
    static, policy = folder / "gateway.yaml", folder / "policy.yaml"

    def load():
        try:
            given = json.loads(static.read_bytes())
            content = policy.read_bytes()
            json.loads(content)
        except ValueError as error:
            raise ConfigurationError([f"policy.yaml:1 {error}"]) from None
        listen, management = parse_address(given.pop("listen")), parse_address(given.pop("management"))
        settings = StaticSettings.model_construct(listen=listen, management=management, **given)
        revision = hashlib.sha256(static.read_bytes() + content).hexdigest()[:12]
        return Configuration(settings, static.read_bytes(), content, revision, [static, policy])

    return load


def expose(snapshots):
    return exposition(merge(snapshots)).decode()


if __name__ == "__main__":
    folder, edge, pace = sys.argv[1:]
    log = structlog.wrap_logger(structlog.PrintLogger(sys.stderr), processors=[structlog.processors.JSONRenderer()])
    sys.exit(serve(load_from(Path(folder)), expose, edge=edge, pace=Pace(**json.loads(pace)), log=log))
