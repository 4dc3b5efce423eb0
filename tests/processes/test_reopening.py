"""Reopening record files: the parent has a log of its own, so it takes part (serve.py hands it over)."""

from types import SimpleNamespace

from gateway.processes.supervisor import Supervisor
from gateway.processes.worker_process import Pace, Snapshot


class TwoWorkers:
    """Implements what reopening needs of gateway.processes.workers.Workers."""

    def __init__(self, told):
        self.current = Snapshot(1, b"{}", "revision")
        self.told = told

    async def command(self, name, arguments):
        self.told.append(("workers", name, arguments))
        return {0: None, 1: "it does not answer"}


async def test_reopening_counts_for_the_parents_own_log_as_well():
    """Ours first: also when a worker cannot do it."""
    told = []
    loaded = SimpleNamespace(settings=SimpleNamespace(drain=1.0), files=[])
    supervisor = Supervisor(
        *(loaded, lambda: loaded, TwoWorkers(told), lambda _: ""),
        pace=Pace(),
        log=None,
        on_stop=lambda: None,
        on_reopen=lambda: told.append("parent"),
    )
    assert await supervisor.reopen_records() == {0: None, 1: "it does not answer"}
    assert told == ["parent", ("workers", "reopen", {})]
