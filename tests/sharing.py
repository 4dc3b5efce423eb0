"""Which test files one process runs one after the other, because they share something that takes long to start.

pytest-xdist hands out whole files; these go out together, so that there is one sandbox and not one per process.
"""

from xdist.scheduler import LoadFileScheduling

TOGETHER = {
    "the sandbox": (
        "test_docs", "browser/", "nginx/test_nginx_edge", "journeys/test_journey_departments",
        "journeys/test_journey_dialects", "journeys/test_journey_faults", "journeys/test_journey_isolation",
        "journeys/test_journey_launch", "journeys/test_journey_story",
    ),
    "the edges that have to reach something": ("reach/",),
}  # fmt: skip
"""What is shared, and how the paths of those who share it start."""
LONG = ("journeys/", "processes/", "ledger/", "console/", "state/", "sandbox/", "bench/", "ferry/")
"""Where files take long, the longest first: what is handed out last is short, so that all processes end together."""


class SharingScheduling(LoadFileScheduling):
    """As `--dist loadfile`, with the files of `TOGETHER` as if they were one."""

    def _split_scope(self, nodeid: str) -> str:
        return _shared_by(nodeid) or super()._split_scope(nodeid)


def _shared_by(nodeid: str) -> str | None:
    short = nodeid.removeprefix("tests/")
    return next((name for name, starts in TOGETHER.items() if short.startswith(starts)), None)


def turn(nodeid: str) -> int:
    """When a test is handed out: what is shared first, then what takes long, then the rest."""
    first = list(TOGETHER)
    shared = _shared_by(nodeid)
    if shared is not None:
        return first.index(shared)
    short = nodeid.removeprefix("tests/")
    long = next((number for number, start in enumerate(LONG) if short.startswith(start)), len(LONG))
    return len(first) + long
