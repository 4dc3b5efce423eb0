"""nginx as a pass-through with a JSON access log, and nginx answering by itself as the ceiling of this machine."""

from __future__ import annotations

from pathlib import Path

from bench.contestants.base import needs_program, version_from
from bench.processes import Process
from bench.world import World, nginx_main, nginx_scratch, start_backend

_LOG = """log_format json escape=json '{"time":"$time_iso8601","client":"$remote_addr","method":"$request_method",'
        '"path":"$uri","status":$status,"bytes":$body_bytes_sent,"seconds":$request_time}';"""


class Nginx:
    """Keep-alive to the back end, bodies streamed both ways, one line of JSON for each request."""

    name = "nginx"
    work = "forwards, records"
    checks_token = False

    def missing(self) -> str | None:
        """Need the nginx program."""
        return needs_program("nginx", "nginx-light")

    def version(self) -> str:
        """Ask the program."""
        return version_from(["nginx", "-v"])

    def start(self, world: World, workdir: Path, port: int) -> Process:
        """Write its configuration and start it; raises StartError."""
        config = workdir / "nginx.conf"
        config.write_text(nginx_main(workdir) + _http(world, workdir, port))
        command = ["nginx", "-c", str(config), "-p", str(workdir)]
        return Process(command, world.cores.contestant, port, workdir / "nginx.log").start()


def _http(world: World, workdir: Path, port: int) -> str:
    return f"""http {{
    {nginx_scratch(workdir)}
    {_LOG}
    access_log {workdir}/access.log json buffer=64k flush=1s;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    client_max_body_size 0;
    upstream backend {{ server 127.0.0.1:{world.upstream_port}; keepalive 128; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=16384;
        location / {{
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_request_buffering off;
            proxy_max_temp_file_size 0;
        }}
    }}
}}
"""


class Ceiling(Nginx):
    """No proxy at all: the back end itself, moved to the contestant's core."""

    name = "nginx-answering"
    work = "answers"

    def start(self, world: World, workdir: Path, port: int) -> Process:
        """Start a second back end; raises StartError."""
        return start_backend(workdir, world.cores.contestant, port)
