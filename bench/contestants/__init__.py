"""Everything that can be measured, strongest claim first; a new peer is one module here and one line below."""

from __future__ import annotations

from collections.abc import Sequence

from bench.contestants.base import Contestant
from bench.contestants.caddy import Caddy
from bench.contestants.envoy import Envoy
from bench.contestants.haproxy import Haproxy, HaproxyJwt
from bench.contestants.launcher import Launcher
from bench.contestants.mitmproxy import Mitmproxy
from bench.contestants.nginx import Ceiling, Nginx
from bench.contestants.node import Express, Fastify, FastifyJwt
from bench.contestants.python_peers import RawAsyncio, UsualAiohttp
from bench.contestants.tongguan import Tongguan

PEERS: Sequence[Contestant] = (
    Envoy(),
    Nginx(),
    Haproxy(),
    HaproxyJwt(),
    Caddy(),
    UsualAiohttp(),
    Fastify(),
    FastifyJwt(),
    Express(),
    Mitmproxy(),
    RawAsyncio(),
    Ceiling(),
)
"""Who Tongguan is measured against."""

TONGGUAN: Launcher = Tongguan()

CONTESTANTS: Sequence[Contestant] = (TONGGUAN, *PEERS)
