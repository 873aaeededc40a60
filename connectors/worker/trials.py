"""Tests of sources: a look at settings, credentials and rights, beside whatever runs of the same source.

A test reads nothing and writes no cursor, so it needs no fence; the newest answer of a source is the one that counts.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import uuid4

import structlog

from connectors.endings import Ending
from connectors.runner import RETRY
from connectors.tally import ending_of
from connectors.worker.desk import UNKNOWN_FOR
from connectors.worker.job import REMOVED
from connectors.worker.ports import Jobs, Key, Sources, SyncLog
from headwater.errors import FatalError, HeadwaterError, PoisonError, RetryableError
from headwater.retry import retry
from schemas.events.directory import Source
from schemas.events.syncs import SourceTested, SyncRequested

log = structlog.get_logger(__name__)

AT_ONCE: Final = 4  # a source that does not answer holds up no other's test
LIMIT_S: Final = 60.0  # whoever asked waits for it
IN_ORDER: Final = "Settings, credentials and rights are in order."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """Requests of one source that one test answers."""

    request: SyncRequested  # the newest
    first: int  # offset of the oldest: a worker that goes on after a crash must read it again


@dataclass(frozen=True, slots=True, kw_only=True)
class _Active:
    asked: _Asked
    task: "asyncio.Task[None]"


@dataclass(slots=True, kw_only=True)
class Trials:
    """Begins and buries tests. Belongs to the worker's task."""

    syncs: SyncLog
    sources: Sources
    jobs: Jobs
    now: Callable[[], datetime]
    _waiting: dict[Key, _Asked] = field(default_factory=dict)
    _active: dict[Key, _Active] = field(default_factory=dict)

    def take(self, request: SyncRequested, offset: int) -> None:
        """Take in a request; with those of its source that wait it is one test."""
        key = (request.tenant_id, request.source)
        waiting = self._waiting.get(key)
        self._waiting[key] = _Asked(request=request, first=offset if waiting is None else waiting.first)

    def step(self) -> None:
        """See which tests ended, and begin those that may begin."""
        for key, active in [each for each in self._active.items() if each[1].task.done()]:
            del self._active[key]
            _settled(active.task)
        for key, asked in list(self._waiting.items()):
            if len(self._active) >= AT_ONCE:
                return
            source = self.sources.get(key)
            # A request may overtake the record of its source, which takes the longer way through admission.
            is_known = source is not None or self.now() - asked.request.observed_at > UNKNOWN_FOR
            if key not in self._active and is_known:
                del self._waiting[key]
                task = asyncio.create_task(self._test(key, source, asked.request), name=f"test {key}")
                self._active[key] = _Active(asked=asked, task=task)

    def unsettled(self, partition: int) -> int | None:
        """Return the oldest request of a partition that has no answer; None where there is none."""
        asked = [*self._waiting.items(), *((key, active.asked) for key, active in self._active.items())]
        return min((each.first for key, each in asked if self.syncs.partition_of(key) == partition), default=None)

    def drop(self, partitions: Collection[int]) -> None:
        """Let go of what another worker holds by now."""
        for key in [each for each in self._waiting if self.syncs.partition_of(each) in partitions]:
            del self._waiting[key]
        for key in [each for each in self._active if self.syncs.partition_of(each) in partitions]:
            self._active.pop(key).task.cancel()

    async def stop(self) -> None:
        """Cancel what is under way; another worker reads its requests again."""
        tasks = [active.task for active in self._active.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _test(self, key: Key, source: Source | None, request: SyncRequested) -> None:
        started_at = self.now()
        ending, message = (Ending.CANCELLED, REMOVED) if source is None else await self._outcome(key, source)
        event = SourceTested(
            event_id=uuid4(),
            tenant_id=key[0],
            occurred_at=self.now(),
            observed_at=self.now(),
            source=key[1],
            test_id=request.event_id,
            started_at=started_at,
            ending=ending,
            message=message,
        )
        await retry(lambda: self.syncs.tell(event), policy=RETRY)
        log.info("source_tested", source=key[1], outcome=ending.value)

    async def _outcome(self, key: Key, source: Source) -> tuple[Ending, str]:
        checking = asyncio.ensure_future(self.jobs.check(key, source))
        try:
            await asyncio.wait({checking}, timeout=LIMIT_S)
            if not checking.done():
                return Ending.FAILED, f"the source has not answered within {LIMIT_S:g} s"
            error = checking.exception()
        finally:
            checking.cancel()
        match error:
            case None:
                return Ending.COMPLETED, IN_ORDER
            case FatalError() | PoisonError() | RetryableError():
                return ending_of(error), str(error)
            case Exception():
                # A defect of one connector must not end the worker, which reads others' sources too.
                log.error("connector_defect", error=type(error).__name__, exc_info=error)
                return Ending.FAILED, f"a defect of the connector ({type(error).__name__}); the worker's log has it"
            case _:
                raise error


def _settled(task: "asyncio.Task[None]") -> None:
    """Look at how a test ended. One whose answer the log did not take has none: whoever waits for it asks again."""
    error = None if task.cancelled() else task.exception()
    if isinstance(error, HeadwaterError):
        log.warning("test_lost", error=type(error).__name__)
    elif error is not None:
        raise error
