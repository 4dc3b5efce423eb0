"""The closed-loop load: ``wrk`` with a fixed number of connections that ask again as soon as they are answered.

The open-loop counterpart, which asks at fixed times whatever the answers do, is ``paced.py``.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.processes import pinned
from bench.world import PATH, World

CONNECTIONS = 32
_ONE = """
wrk.headers["%s"] = "%s"
"""
_MANY = """
local turn, ready = 0, {}
init = function()
  for number, value in ipairs({%s}) do
    wrk.headers["%s"] = value
    ready[number] = wrk.format()
  end
end
request = function()
  turn = turn %% #ready + 1
  return ready[turn]
end
"""
_DONE = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\n{"requests":%d,"microseconds":%d,"bad_status":%d,"socket_errors":%d,"p50":%d,"p99":%d}\\n',
    summary.requests, summary.duration, e.status, e.connect + e.read + e.write + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True, slots=True)
class Burst:
    """What one run of wrk saw: rate in requests per second, latencies in milliseconds."""

    requests: int
    rate: float
    p50_ms: float
    p99_ms: float
    bad_status: int
    socket_errors: int

    @property
    def flaw(self) -> str | None:
        """Why these figures must not be used, if so."""
        if self.requests == 0:
            return "no request was answered"
        if self.bad_status:
            return f"{self.bad_status} answers were not 2xx"
        return f"{self.socket_errors} connections failed" if self.socket_errors else None


Credential = tuple[str, str]
"""Name and value of the header field that says who asks."""


def burst(
    world: World,
    port: int,
    seconds: int,
    workdir: Path,
    path: str = PATH,
    credentials: Sequence[Credential] = (),
) -> Burst:
    """Ask `path` on `port` for whole `seconds`, from the load core.

    Args:
        world: whose first token is used where no credentials are given.
        port: on 127.0.0.1.
        seconds: how long.
        workdir: for the script that wrk runs.
        path: what is asked for.
        credentials: used in turn, all in the same header field.

    Raises:
        RuntimeError: wrk itself failed.
    """
    script = workdir / "load.lua"
    script.write_text(_script(credentials or list(world.issuer.headers.items())))
    command = [*pinned(world.cores.load), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script)]
    command.append(f"http://127.0.0.1:{port}{path}")
    ended = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=False)
    if ended.returncode:
        raise RuntimeError(f"wrk ended with code {ended.returncode}: {(ended.stderr or ended.stdout)[-300:]}")
    return parse_report(ended.stdout)


def _script(credentials: Sequence[Credential]) -> str:
    """What wrk runs. Requests that are all the same are made once, which costs the load core less."""
    (name, first), *others = credentials
    if not others:
        return _ONE % (name, first) + _DONE
    values = ", ".join(f'"{value}"' for _, value in credentials)
    return _MANY % (values, name) + _DONE


def parse_report(printed: str) -> Burst:
    """Read the JSON line that our script makes wrk print last; raises ValueError when there is none."""
    lines = [line for line in printed.splitlines() if line.startswith("{")]
    if not lines:
        raise ValueError("wrk printed no report")
    told = json.loads(lines[-1])
    return Burst(
        requests=told["requests"],
        rate=told["requests"] / (told["microseconds"] / 1e6),
        p50_ms=told["p50"] / 1000,
        p99_ms=told["p99"] / 1000,
        bad_status=told["bad_status"],
        socket_errors=told["socket_errors"],
    )
