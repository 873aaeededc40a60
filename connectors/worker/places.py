"""How many runs a worker has room for, and which of them. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from connectors.worker.queue import Run


@dataclass(slots=True, kw_only=True)
class Places:
    """Room for runs. Of more than one place, one is never given to a wide run: it may hold its place for hours."""

    free: int
    free_for_wide: int

    @classmethod
    def beside(cls, running: Iterable[Run], *, at_most: int) -> "Places":
        """Return what room there is beside what runs, `at_most` together."""
        places = cls(free=at_most, free_for_wide=max(at_most - 1, 1))
        for run in running:
            places.take(run)
        return places

    def admit(self, run: Run) -> bool:
        """Say whether a run may begin."""
        return self.free > 0 and (not is_wide(run) or self.free_for_wide > 0)

    def take(self, run: Run) -> None:
        """Give a place to a run."""
        self.free -= 1
        self.free_for_wide -= is_wide(run)


def is_wide(run: Run) -> bool:
    """Say whether a run reads what nobody named: all, or all that changed. A cancellation reads nothing."""
    return not run.cancelled and (run.work.full or run.work.changes)
