"""What the workers have counted, those that ended or are silent included: a counter must not fall (Prometheus).

records/metrics.py says what is counted; supervisor.py keeps one tally and asks the workers at every scrape.
"""

from collections.abc import Collection, Mapping

from gateway.records.metrics import Snapshot, merge, retire


class Tally:
    """Remembers each worker's latest counts, and the sum of those that are gone.

    What a worker counted between its last scrape and its death is not known to anybody.
    """

    def __init__(self) -> None:
        self._latest: dict[int, Snapshot] = {}
        self._past: Snapshot = {}

    def take(self, told: Mapping[int, Snapshot], alive: Collection[int]) -> Snapshot:
        """Add up everything known now.

        Args:
            told: what workers answered just now, by process id.
            alive: process ids of all workers that have not ended.

        Returns:
            One snapshot; gauges only of those that answered.
        """
        self._latest.update(told)
        for pid in self._latest.keys() - set(alive):
            self._past = merge([self._past, retire(self._latest.pop(pid))])
        silent = [retire(snapshot) for pid, snapshot in self._latest.items() if pid not in told]
        return merge([*told.values(), *silent, self._past])
