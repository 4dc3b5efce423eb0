"""What a session cookie costs against a bearer token, with sessions in the worker and in Redis."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench.contestants.launcher import SessionShape, Shape
from bench.context import Bench
from bench.load import Credential
from bench.measures.base import UNDER_LOAD, under_load
from bench.processes import Running, fetch
from bench.results import Comparison, Section
from bench.trials import Figures, FlawError, Trials, Variant
from bench.visitors import SignInError, sign_in
from bench.world import BODY, PATH, PERSONS, bearer, start_redis

_BEARER, _MEMORY, _REDIS = "bearer token", "session, memory", "session, redis"
_MEMORY_ALWAYS, _REDIS_ALWAYS = f"{_MEMORY}, looked at each time", f"{_REDIS}, looked at each time"
_NOTES = (
    f"{len(PERSONS)} persons ask in turn, each with a token or a session of her own, signed in at the desk.",
    "A worker believes a session for ten seconds (`sessions.remember`); the rows that are looked at each time set 0.",
    "Redis runs on the load core, as the back end does; its processor time is not counted.",
)
_NO_REDIS = "redis-server is not installed (Debian package redis-server): nothing is said of `state: redis`."


class Sessions:
    """The same direct item, asked with a token, with a session of this worker, and with one that Redis has."""

    name = "sessions"
    question = "What does a session cookie cost against a bearer token?"

    def run(self, bench: Bench) -> Section | None:
        """Put each way to say who one is under the same load in turn."""
        with _redis(bench) as redis:
            variants = bench.shapes(_shapes(redis))
            if not variants:
                return None
            trials = bench.interleave(variants, partial(_take, bench))
        notes = _NOTES if redis else (*_NOTES[:2], _NO_REDIS)
        return Section(self.name, self.question, UNDER_LOAD, trials.rows(UNDER_LOAD), _goals(trials), notes)


def _shapes(redis: str | None) -> dict[str, Shape]:
    """Shapes by name; those with Redis only where there is one."""
    kept = {_BEARER: SessionShape(), _MEMORY: SessionShape(), _MEMORY_ALWAYS: SessionShape(remember=0)}
    if redis is not None:
        kept |= {_REDIS: SessionShape(redis), _REDIS_ALWAYS: SessionShape(redis, remember=0)}
    return {name: Shape(sessions=shape) for name, shape in kept.items()}


def _goals(trials: Trials) -> list[Comparison]:
    goals = {_MEMORY: 0.8, _REDIS: 0.5, _MEMORY_ALWAYS: None, _REDIS_ALWAYS: None}
    return [
        comparison
        for name, reach in goals.items()
        for comparison in (
            *trials.ratio(f"{name} / {_BEARER}", "rate", name, _BEARER, at_least=reach),
            *trials.ratio(f"{_BEARER} / {name}, CPU per request", "cpu_us", _BEARER, name),
        )
    ]


@contextmanager
def _redis(bench: Bench) -> Iterator[str | None]:
    """Run a Redis as long as it is needed; None where it is not installed."""
    if not shutil.which("redis-server"):
        yield None
        return
    server, address = start_redis(bench.scratch / "redis", bench.world.cores.load)
    try:
        yield address
    finally:
        server.stop()


def _take(bench: Bench, variant: Variant, running: Running, workdir: Path) -> Figures:
    try:
        credentials = _credentials(bench, variant, running)
    except SignInError as error:
        raise FlawError(str(error)) from error
    status, body = fetch(running.port, PATH, dict(credentials[:1]))
    if (status, body) != (200, BODY):
        raise FlawError(f"answered {status} with {len(body)} bytes instead of the back end's answer")
    return under_load(bench, variant, running, workdir, credentials)


def _credentials(bench: Bench, variant: Variant, running: Running) -> list[Credential]:
    if variant.name == _BEARER:
        return [field for token in bench.world.issuer.tokens for field in bearer(token).items()]
    return sign_in(running.port, PERSONS)
