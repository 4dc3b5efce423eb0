"""A real redis-server of the test's own, in the test's folder: started, killed, restarted, paused and flushed at will.

Tests that use it are marked `needs("redis-server")`; the fixture `redis_server` is in tests/conftest.py.
"""

import random
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import redis

from gateway.signin_settings import RedisSettings

DEADLINE = 30.0


class RedisServer:
    """One redis-server on a Unix socket, and on a loopback port where one is given.

    Args:
        folder: for its socket and, when durable, its data; a short path (unix(7): 107 bytes).
        port: 0 for none.
        durable: every write is on disk before it is answered, so that a kill loses nothing; else nothing is kept.
    """

    ready = b"eady to accept connections"

    def __init__(self, folder: Path, *, port: int = 0, durable: bool = False, options: tuple[str, ...] = ()):
        self.socket = folder / "redis.sock"
        self.port = port
        self._options = (*options, *(("--appendonly", "yes", "--appendfsync", "always") if durable else ()))
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its Unix socket, as `redis.url` wants it."""
        return f"unix://{self.socket}"

    def settings(self, **further) -> RedisSettings:
        """Settings of a gateway that uses it, with time for a machine that is busy; further keys as in gateway.yaml."""
        return RedisSettings.model_validate({"url": self.url, "timeout": "2s"} | further)

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        self._process = subprocess.Popen(
            self._command(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        said = []
        for line in self._process.stdout:
            said.append(line)
            if self.ready in line:
                return
        raise AssertionError(b"".join(said).decode())

    def _command(self) -> list[str]:
        where = ["--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", str(self.socket)]
        return ["redis-server", *where, "--dir", str(self._folder), "--save", "", "--daemonize", "no", *self._options]

    def kill(self) -> None:
        """End it as a power failure would (SIGKILL)."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in good order, if it runs."""
        if self._process is not None:
            self.resume()
            self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """Let it hang: connections stay and nothing answers (SIGSTOP)."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """End `freeze`."""
        self._process.send_signal(signal.SIGCONT)

    def pause(self, milliseconds: int) -> None:
        """Let no client have an answer for so long (CLIENT PAUSE); nothing ends it early."""
        self.ask("CLIENT", "PAUSE", milliseconds, "ALL")

    def flush(self) -> None:
        """Lose everything (FLUSHALL)."""
        self.ask("FLUSHALL")

    def ask(self, *command):
        """Give it one command; gives the answer."""
        with redis.Redis(unix_socket_path=str(self.socket), socket_timeout=DEADLINE) as client:
            return client.execute_command(*command)

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        process.send_signal(number)
        process.communicate(timeout=DEADLINE)


class RedisSentinel(RedisServer):
    """One Sentinel; it writes what it finds into its file."""

    ready = b"+monitor master"

    def _command(self) -> list[str]:
        conf = str(self._folder / "sentinel.conf")
        return ["redis-server", conf, "--sentinel", "--port", str(self.port), "--bind", "127.0.0.1", *self._options]


@contextmanager
def running_redis(folder: Path, **options):
    """A server that runs until the end of the block, whatever was done to it meanwhile."""
    server = RedisServer(folder, **options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def running_pair(folder: Path):
    """A primary, its replica, and a Sentinel that makes the replica the primary within seconds of the other's death.

    Gives the primary and the settings of a gateway that asks the Sentinel.
    """
    ports = [free_port() for _ in range(3)]
    folders = [folder / name for name in ("primary", "replica", "sentinel")]
    for one in folders:
        one.mkdir()
    of = ("--replicaof", "127.0.0.1", str(ports[0]))
    monitor = ("--sentinel", "monitor", "pair", "127.0.0.1", str(ports[0]), "1")
    tuning = ("--sentinel", "down-after-milliseconds", "pair", "300", "--sentinel", "failover-timeout", "pair", "2000")
    (folders[2] / "sentinel.conf").write_text("")
    with (
        running_redis(folders[0], port=ports[0], options=("--repl-diskless-sync-delay", "0")) as primary,
        running_redis(folders[1], port=ports[1], options=of) as replica,
    ):
        while replica.ask("INFO", "replication")["master_link_status"] != "up":
            time.sleep(0.02)
        sentinel = RedisSentinel(folders[2], port=ports[2], options=(*monitor, *tuning))
        sentinel.start()
        try:
            yield primary, primary.settings(url="redis://x", sentinels=[f"127.0.0.1:{ports[2]}"], service="pair")
        finally:
            sentinel.stop()


def free_port() -> int:
    """A loopback port that nobody listens on, below those that the system gives to connections in the meantime."""
    while True:
        with suppress(OSError), socket.create_server(("127.0.0.1", random.randrange(10_000, 32_000))) as listener:
            return listener.getsockname()[1]
