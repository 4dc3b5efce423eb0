"""haproxy as a pass-through, and with its own token check, which remembers nothing between requests."""

from __future__ import annotations

from pathlib import Path

from bench.contestants.base import needs_program, version_from
from bench.processes import Process
from bench.world import World


class Haproxy:
    """One thread, connections to the back end reused, no log."""

    name = "haproxy"
    work = "forwards"
    checks_token = False

    def missing(self) -> str | None:
        """Need the haproxy program."""
        return needs_program("haproxy", "haproxy")

    def version(self) -> str:
        """Ask the program."""
        return version_from(["haproxy", "-v"])

    def start(self, world: World, workdir: Path, port: int) -> Process:
        """Write its configuration and start it; raises StartError."""
        config = workdir / "haproxy.cfg"
        config.write_text(_config(world, port, self.rules(world)))
        return Process(["haproxy", "-db", "-f", str(config)], world.cores.contestant, port, workdir / "log").start()

    def rules(self, world: World) -> str:
        """Tell what is asked of a request before it is forwarded: nothing."""
        del world
        return ""


class HaproxyJwt(Haproxy):
    """The same with `jwt_verify` (haproxy configuration manual, section 7.3.1)."""

    name = "haproxy-jwt"
    work = "forwards, verifies"
    checks_token = True

    def rules(self, world: World) -> str:
        """Refuse what is not an RS256 token of our issuer, for us, and not expired."""
        issuer = world.issuer
        return f"""
    http-request set-var(txn.bearer) http_auth_bearer
    http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
    http-request set-var(txn.iss) var(txn.bearer),jwt_payload_query('$.iss')
    http-request set-var(txn.aud) var(txn.bearer),jwt_payload_query('$.aud')
    http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')
    http-request set-var(txn.now) date()
    http-request deny deny_status 401 unless {{ var(txn.alg) -m str RS256 }}
    http-request deny deny_status 401 unless {{ var(txn.iss) -m str {issuer.issuer} }}
    http-request deny deny_status 401 unless {{ var(txn.aud) -m str {issuer.audience} }}
    http-request deny deny_status 401 if {{ var(txn.exp),sub(txn.now) -m int lt 0 }}
    http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_verify(txn.alg,"{issuer.public_key}") 1 }}"""


def _config(world: World, port: int, rules: str) -> str:
    return f"""global
    nbthread 1
    maxconn 4000
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
frontend edge
    bind 127.0.0.1:{port}{rules}
    default_backend backend
backend backend
    http-reuse always
    server one 127.0.0.1:{world.upstream_port}
"""
