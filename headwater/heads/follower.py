"""One follower a host: applies the log to LMDB and says as of when that is current.

`as_of` is an instant taken before the ends of the log were asked for, written once everything below those ends is
applied. If the follower dies or the broker goes away, it stands still, and readers in all processes see it grow old.
"""

import asyncio
from collections.abc import Callable

import structlog

from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.consumer import RecordStream
from headwater.clients.kafka.errors import OffsetExpiredError
from headwater.clients.kafka.records import Offsets
from headwater.errors import RetryableError
from headwater.heads.applying import Applier
from headwater.heads.clocks import steady_ms, wall_ms
from headwater.heads.ends import Ends, ask_ends
from headwater.heads.environment import WritableEnvironment, writing
from headwater.heads.replica import Replica
from headwater.heads.topics import FollowedTopics
from headwater.settings import Settings
from headwater.telemetry.management import Health
from headwater.telemetry.metrics import HEADS_STALENESS_SECONDS

log = structlog.get_logger(__name__)

# How often the ends are asked for: what `as_of` lags by on an idle system. Two small requests a round.
ENDS_INTERVAL_S = 0.5
_READ_WAIT_S = 0.25
_RETRY_S = 1.0
_MAX_RECORDS = 1_000
# A null tombstone, the only thing that compaction may remove without a successor, is kept for `delete.retention.ms`,
# a day by default. A checkpoint half as old can have missed none.
MAX_CHECKPOINT_AGE_S = 12 * 3600.0


class Follower:
    """Applies documents.changed, directory.changed and documents.progressed until it is cancelled."""

    def __init__(
        self,
        settings: Settings,
        environment: WritableEnvironment,
        health: Health,
        *,
        now_ms: Callable[[], int] = wall_ms,
        steady_ms: Callable[[], int] = steady_ms,
    ) -> None:
        self._settings = settings
        self._environment = environment
        self._health = health
        self._now_ms = now_ms
        self._steady_ms = steady_ms
        self._topics = FollowedTopics.of(settings)
        self._replica = Replica(environment.lmdb, create=True)
        self._applier = Applier(self._replica, self._topics)
        self._admin = KafkaAdmin(settings.kafka, client_id="headwater-heads")
        self._pending: tuple[int, int, Ends] | None = None  # asked at, by the wall and the steady clock; ends

    async def run(self) -> None:
        """Follow for ever. Waits for a broker that is away; raises FatalError for what no waiting mends."""
        while True:
            try:
                await self._follow()
            except OffsetExpiredError:
                log.warning("heads_rebuild", reason="the checkpoint is older than what the log kept")
                self._replica.clear()
            except RetryableError as error:
                self._health.beat()
                self._health.unready("log", type(error).__name__)
                log.warning("heads_waiting", error=type(error).__name__, retry_in_s=_RETRY_S)
                await asyncio.sleep(_RETRY_S)

    async def _follow(self) -> None:
        start = await self._start()
        async with RecordStream.assign_all(self._settings.kafka, start, client_id="headwater-heads") as stream:
            asking = asyncio.create_task(self._ask_for_ends(start))
            try:
                while not asking.done():
                    await self._advance(stream)
                await asking  # it ends by failing only
            finally:
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)

    async def _advance(self, stream: RecordStream) -> None:
        self._health.beat()
        items = await stream.read(max_records=_MAX_RECORDS, wait_s=_READ_WAIT_S)
        if items:
            self._applier.apply(items)
        self._settle_ends()

    def _settle_ends(self) -> None:
        with self._replica.environment.begin() as txn:
            steady = self._replica.checkpoints.steady_ms(txn)
            applied = self._replica.checkpoints.positions(txn) if self._pending else {}
        if self._pending is not None and self._pending[2].reached(applied):
            as_of, steady, _ = self._pending
            self._pending = None
            self._environment.check()
            with writing(self._replica.environment) as txn:
                self._replica.checkpoints.set_current(txn, as_of_ms=as_of, steady_ms=steady)
        self._report((self._steady_ms() - steady) / 1000)

    def _report(self, age_s: float) -> None:
        HEADS_STALENESS_SECONDS.set(age_s)
        if age_s <= self._settings.heads.staleness_budget_s:
            self._health.ready("log")
        else:
            self._health.unready("log", "not caught up with the log")

    async def _ask_for_ends(self, partitions: Offsets) -> None:
        """Ask for the ends again and again, one question at a time: an unsettled one must not be put off for ever."""
        numbers = {topic: tuple(offsets) for topic, offsets in partitions.items()}
        while True:
            if self._pending is None:
                asked_at, asked_steady = self._now_ms(), self._steady_ms()
                try:
                    ends = await ask_ends(self._admin, numbers, transactional=self._topics.transactional)
                except RetryableError as error:  # as_of stands still: that is the signal
                    log.warning("ends_unknown", error=type(error).__name__)
                else:
                    self._pending = (asked_at, asked_steady, ends)
            await asyncio.sleep(ENDS_INTERVAL_S)

    async def _start(self) -> Offsets:
        """Return where to go on, after throwing away what cannot be gone on from."""
        ids = await self._admin.topic_ids(self._topics.names)
        counts = {topic: range(await self._admin.partition_count(topic)) for topic in self._topics.names}
        ends = await self._admin.log_ends(counts)
        with self._replica.environment.begin() as txn:
            known = self._replica.checkpoints.topic_ids(txn)
            positions = self._replica.checkpoints.positions(txn)
            age_s = (self._now_ms() - self._replica.checkpoints.as_of_ms(txn)) / 1000
        if known and (reason := _unusable(known=known, ids=ids, positions=positions, ends=ends, age_s=age_s)):
            log.warning("heads_rebuild", reason=reason)
            self._replica.clear()
            positions = {}
        oldest = await self._admin.start_offsets(self._topics.names)
        start = {
            topic: {number: positions.get(topic, {}).get(number, oldest[topic][number]) for number in numbers}
            for topic, numbers in counts.items()
        }
        with writing(self._replica.environment) as txn:
            self._replica.checkpoints.set_topic_ids(txn, ids)
            self._replica.checkpoints.set_positions(txn, start)
        self._pending = None
        return start


def _unusable(*, known: dict[str, str], ids: dict[str, str], positions: Offsets, ends: Offsets, age_s: float) -> str:
    if known != ids:
        return "a topic was created anew"
    if age_s > MAX_CHECKPOINT_AGE_S:
        return "the checkpoint is too old: tombstones may have been compacted away"
    for topic, by_partition in positions.items():
        if any(offset > ends.get(topic, {}).get(number, 0) for number, offset in by_partition.items()):
            return "the log is shorter than what was applied"
    return ""
