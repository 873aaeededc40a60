"""Brings every event to its end, then acknowledges it. The only code that acknowledges."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeVar

import structlog
from structlog.contextvars import bound_contextvars

from headwater.clients.kafka.partitions import check_partition
from headwater.errors import FatalError, HeadwaterError, PoisonError, RetryableError
from headwater.retry import RetryPolicy
from headwater.telemetry.management import Health
from headwater.telemetry.metrics import EVENTS_PARKED, EVENTS_SETTLED, RETRIES, SETTLE_SECONDS, STAGE_WAITING
from headwater.telemetry.tracing import span
from schemas.errors import ContractError
from schemas.ids import GenerationName
from schemas.topics import Topic
from streams.harness.attempts import DEATHS_ALLOWED, AttemptJournal
from streams.harness.breaker import Breaker
from streams.harness.delivery import Delivery, Outcome, routing_key
from streams.harness.errors import ReleasedError, UnexpectedError, WorkerKilledError
from streams.harness.parking import park
from streams.harness.publishing import Publisher
from streams.harness.stage import Failure, Stage

T = TypeVar("T")
log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class _Tries:
    """How often one event was tried: deaths of earlier workers and attempts of this one."""

    deaths: int
    count: int
    since_s: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settler:
    """Settles the deliveries of one stage."""

    name: str
    stage: Stage
    publisher: Publisher
    journal: AttemptJournal
    breaker: Breaker
    health: Health
    retry: RetryPolicy  # waits between attempts; when it is used up the stage turns unready and begins again
    generation: GenerationName
    keyed: frozenset[Topic]
    released: Callable[[], asyncio.Event]  # set when everything that only waits must be let go
    progressed: Callable[[], None]  # an attempt came to an end, well or not: the watchdog is told
    _waiting: set[int] = field(default_factory=set)  # deliveries past their budget

    async def settle(self, delivery: Delivery) -> None:
        """Return when the event is done, superseded or parked, and acknowledged.

        Raises ReleasedError when it must be let go first, FatalError when no event can succeed.
        """
        with (
            bound_contextvars(
                topic=delivery.topic.value, partition=delivery.origin.partition, offset=delivery.origin.offset
            ),
            span(self.name, headers=delivery.headers, stage=self.name, offset=delivery.origin.offset),
        ):
            deaths = self.journal.deaths(delivery.work)
            tries = _Tries(deaths=deaths, count=deaths)
            try:
                outcome = await self._end(delivery, tries)
            finally:
                self._no_longer_waiting(delivery)
            # A killer's count is kept: its position may not be committed before another one kills the worker, and it
            # would be tried three times more (ADR 0072).
            if 0 < deaths < DEATHS_ALLOWED:
                self.journal.forget(delivery.work)
            delivery.settle()
            EVENTS_SETTLED.labels(stage=self.name, outcome=outcome.value).inc()
            SETTLE_SECONDS.labels(stage=self.name).observe(time.monotonic() - delivery.received_s)

    async def _end(self, delivery: Delivery, tries: _Tries) -> Outcome:
        tenant = _tenant_of(delivery)
        try:
            outcome = await self._handle(delivery, tries)
        except (PoisonError, ContractError) as error:
            if isinstance(error, UnexpectedError):
                self.breaker.unexpected(tenant)
            else:
                self.breaker.expected(tenant)
            await self._park(delivery, error, tries)
            return Outcome.PARKED
        self.breaker.expected(tenant)
        return outcome

    async def _handle(self, delivery: Delivery, tries: _Tries) -> Outcome:
        if delivery.value is None:
            return Outcome.DONE  # a tombstone: compaction's business, no stage's
        if delivery.broken is not None:
            raise delivery.broken
        await self._refuse_wrong_partition(delivery)
        if tries.count >= DEATHS_ALLOWED:
            raise WorkerKilledError(
                f"the worker died {tries.count} times while this event alone was in work; look at the worker's log for "
                "that time (memory, a native library), then submit the document again"
            )
        return await self._until_done(lambda: self.stage.handle(delivery.event, delivery), delivery, tries)

    async def _refuse_wrong_partition(self, delivery: Delivery) -> None:
        if delivery.topic not in self.keyed:
            return
        count = await self.publisher.partition_count(delivery.topic)
        check_partition(routing_key(delivery.topic, delivery.key), delivery.origin.partition, count)

    async def _park(self, delivery: Delivery, error: Exception, tries: _Tries) -> None:
        cause = error.__cause__ if isinstance(error, UnexpectedError) else None
        failure = Failure(stage=self.name, error=type(cause or error).__name__, reason=str(error))
        attempts = max(tries.count, 1)
        await self._until_done(
            lambda: park(delivery, failure, attempts=attempts, generation=self.generation, publisher=self.publisher),
            delivery,
            tries,
        )
        if delivery.event is not None:
            await self._until_done(lambda: self.stage.give_up(delivery.event, delivery, failure), delivery, tries)
        EVENTS_PARKED.labels(stage=self.name, error=failure.error).inc()
        log.warning("event_parked", error=failure.error, attempts=attempts)

    async def _until_done(self, call: Callable[[], Awaitable[T]], delivery: Delivery, tries: _Tries) -> T:
        """Call until it returns, waiting out what is only busy. The mark of the attempt does not cover the waits."""
        while True:
            for delay_s in chain((0.0,), self.retry.delays()):
                await self._wait(delay_s)
                tries.count += 1
                try:
                    with self.journal.attempt(delivery.work, deaths=tries.deaths):
                        return await call()
                except RetryableError as error:
                    RETRIES.labels(stage=self.name, error=type(error).__name__).inc()
                    log.info("attempt_failed", error=type(error).__name__, attempt=tries.count)
                    self._note_outage(delivery, tries, error)
                except (FatalError, PoisonError, ContractError, asyncio.CancelledError):
                    raise
                except Exception as error:
                    log.exception("unexpected_error")
                    raise UnexpectedError(_reason(error)) from error
                finally:
                    self.progressed()

    async def _wait(self, delay_s: float) -> None:
        released = self.released()
        if delay_s == 0.0 and not released.is_set():
            return
        try:
            async with asyncio.timeout(delay_s):
                await released.wait()
        except TimeoutError:
            return
        raise ReleasedError("released while waiting")

    def _note_outage(self, delivery: Delivery, tries: _Tries, error: RetryableError) -> None:
        if time.monotonic() - tries.since_s < self.retry.budget_s:
            return
        self._waiting.add(id(delivery))
        self.health.unready("work", f"waits: {error}")
        STAGE_WAITING.labels(stage=self.name).set(1)

    def _no_longer_waiting(self, delivery: Delivery) -> None:
        if id(delivery) in self._waiting:
            self._waiting.discard(id(delivery))
        if not self._waiting:
            self.health.ready("work")
            STAGE_WAITING.labels(stage=self.name).set(0)


def _reason(error: Exception) -> str:
    """Describe an unexpected error; only our own texts are known not to quote documents."""
    return str(error) if isinstance(error, HeadwaterError) else f"{type(error).__name__}; see the stage's log"


def _tenant_of(delivery: Delivery) -> str:
    tenant = getattr(delivery.event, "tenant_id", None)
    return str(tenant) if tenant is not None else (delivery.key or b"").split(b"/")[0].decode(errors="replace")
