"""Requests of one source on their way: one run at a time, and one that waits, however many ask. Pure.

Positions are offsets in the one partition that a source's requests share. A run settles every request up to its
`last`; what arrives while it runs may have been too late for it, so it becomes part of exactly one more run.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from connectors.work import Work, work_of
from schemas.events.syncs import SyncRequested

NOTHING_SETTLED: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Requests that are one run."""

    work: Work
    first: int  # the oldest request of it: a worker that goes on after a crash must read it again
    last: int  # the newest
    asked_at: datetime  # of the oldest
    cancelled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceQueue:
    """One source's requests."""

    settled: int = NOTHING_SETTLED  # every request up to here has its ending recorded
    running: Run | None = None
    waiting: Run | None = None

    def take(self, request: SyncRequested, offset: int) -> "SourceQueue":
        """Take in the next request. One that is known already (it was read again) changes nothing."""
        if offset <= self._newest():
            return self
        if request.cancels:
            return self._cancel(request, offset)
        waiting = self.waiting
        if waiting is None or waiting.cancelled:
            first = offset if waiting is None else waiting.first
            asked_at = request.observed_at if waiting is None else waiting.asked_at
            return replace(self, waiting=Run(work=work_of(request), first=first, last=offset, asked_at=asked_at))
        return replace(self, waiting=replace(waiting, work=waiting.work | work_of(request), last=offset))

    def begin(self) -> "SourceQueue":
        """Run what waits. Raises ValueError where nothing waits, or something runs."""
        if self.running is not None or self.waiting is None:
            raise ValueError("begin: nothing waits, or something runs")
        return replace(self, running=self.waiting, waiting=None)

    def end(self) -> "SourceQueue":
        """Settle what runs; its ending is recorded. Raises ValueError where nothing runs."""
        if self.running is None:
            raise ValueError("end: nothing runs")
        return replace(self, settled=self.running.last, running=None)

    def again(self) -> "SourceQueue":
        """Put what runs back: it ended without a recorded ending. One run does it together with what waits."""
        if self.running is None:
            raise ValueError("again: nothing runs")
        run, waiting = self.running, self.waiting
        if waiting is None:
            return replace(self, running=None, waiting=run)
        work = waiting.work if run.cancelled else run.work | waiting.work
        return replace(self, running=None, waiting=replace(waiting, work=work, first=run.first, asked_at=run.asked_at))

    @property
    def may_begin(self) -> bool:
        """Whether something waits and nothing runs."""
        return self.waiting is not None and self.running is None

    @property
    def unsettled(self) -> int | None:
        """The oldest request whose ending is not recorded."""
        oldest = self.running or self.waiting
        return None if oldest is None else oldest.first

    def _newest(self) -> int:
        return max([self.settled, *(run.last for run in (self.running, self.waiting) if run is not None)])

    def _cancel(self, request: SyncRequested, offset: int) -> "SourceQueue":
        """Stop what runs; what waits is not begun. Both are settled, and so is the request, by the ending of it."""
        if self.running is not None:
            return replace(self, running=replace(self.running, last=offset, cancelled=True), waiting=None)
        before = self.waiting
        cancelled = Run(
            work=Work() if before is None else before.work,
            first=offset if before is None else before.first,
            last=offset,
            asked_at=request.observed_at if before is None else before.asked_at,
            cancelled=True,
        )
        return replace(self, waiting=cancelled)


def to_commit(queues: Iterable[SourceQueue], read_up_to: int) -> int:
    """Return where a successor may begin to read a partition: at the oldest request that is not settled.

    `read_up_to` is the next offset to be read. What a successor reads again and finds settled, it passes over.
    """
    return min([read_up_to, *(queue.unsettled for queue in queues if queue.unsettled is not None)])
