"""Faust's consumer with the commit ledger, committed reads and an orderly way to let go of partitions."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Protocol

import aiokafka
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP, Message

from headwater.clients.kafka.errors import OffsetExpiredError
from headwater.settings import KafkaSettings
from streams.harness.connection import connection_options
from streams.harness.ledger import Ledger

# Records of one partition that a fetch returns. With the dispatcher's own bound this limits what lies in memory.
_FETCH_BYTES = 1024 * 1024
# A fetch waits this long at the broker for data. It does not delay a record (one ends the wait), and 100 ms instead
# of 500 doubles the broker's idle CPU.
_FETCH_WAIT_MS = 500


class PartitionKeeper(Protocol):
    """What the consumer tells the rest of the harness. All methods are called in the main loop."""

    async def release(self) -> None:
        """Partitions are about to be taken away: finish or let go of everything in hand."""

    def resume(self) -> None:
        """Partitions were assigned and positioned: work may begin."""

    def fail(self, error: Exception) -> None:
        """Nothing can go on: stop the stage with this error."""


class GuardedConsumer(Consumer):
    """Commits what the ledger says, and nothing else.

    Faust's own acknowledgements (it makes them for events that it skips around a rebalance) move no position: only
    `settle` does.
    """

    def __init__(
        self, transport: "GuardedTransport", callback: Callable[[Message], Coroutine[Any, Any, None]], **options: Any
    ) -> None:
        self._keeper = transport.keeper
        self._dense_topics = transport.dense_topics
        self._ledgers: dict[TP, Ledger] = {}

        def deliver(message: Message) -> Awaitable[None]:
            # Recorded at once: the coroutine may be cancelled before it runs, and the offset must stay open then.
            self._record(message)
            return callback(message)

        super().__init__(transport, deliver, **options)

    def settle(self, message: Message) -> None:
        """Count a message as done. The next commit may pass it."""
        ledger = self._ledgers.get(message.tp)
        if ledger is not None:
            ledger.settle(message.offset, message)
        message.ack(self)

    def let_go(self, message: Message) -> None:
        """Stop waiting for a message without settling it: commits stay below it, so that it is delivered again."""
        self._unacked_messages.discard(message)

    async def seek(self, partition: TP, offset: int) -> None:
        self._ledgers.pop(partition, None)
        await super().seek(partition, offset)

    async def perform_seek(self) -> None:
        self._ledgers.clear()
        await super().perform_seek()
        await self._check_retention()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        await self._keeper.release()
        await super().on_partitions_revoked(revoked)  # waits for what is unsettled and commits
        for tp in revoked:
            self._ledgers.pop(tp, None)

    def resume_flow(self) -> None:
        self._keeper.resume()
        super().resume_flow()

    def _record(self, message: Message) -> None:
        ledger = self._ledgers.setdefault(message.tp, Ledger())
        if message.topic in self._dense_topics and ledger.end is not None and message.offset > ledger.end:
            self._keeper.fail(_expired(message.tp, first_missing=ledger.end, first_there=message.offset))
        ledger.deliver(message.offset, message)

    def _new_offset(self, tp: TP) -> int | None:
        ledger = self._ledgers.get(tp)
        position = None if ledger is None else ledger.position()
        if position is not None:  # Faust's own lists would grow for ever: they keep what lies above the position
            self._acked[tp][:] = [offset for offset in self._acked[tp] if offset >= position]
            self._acked_index[tp].difference_update({each for each in self._acked_index[tp] if each < position})
            self._gap.pop(tp, None)
        return position

    async def _check_retention(self) -> None:
        """Fail where the first offset to read is gone. A group without a position is taken to be at 0."""
        dense = [tp for tp in self.assignment() if tp.topic in self._dense_topics]
        if not dense:
            return
        earliest: Mapping[TP, int] = await self.earliest_offsets(*dense)
        for tp in dense:
            position = self._read_offset[tp] or 0
            if earliest[tp] > position:
                self._keeper.fail(_expired(tp, first_missing=position, first_there=earliest[tp]))
            self._ledgers[tp] = Ledger(end=max(position, earliest[tp]))

    def _new_consumer_thread(self) -> "GuardedConsumerThread":
        return GuardedConsumerThread(self, loop=self.loop, beacon=self.beacon)


class GuardedConsumerThread(AIOKafkaConsumerThread):
    """Reads committed records only: Faust does so only with its own transactions, which the stages do not use."""

    def _create_worker_consumer(self, transport: Transport) -> aiokafka.AIOKafkaConsumer:
        if not isinstance(transport, GuardedTransport):
            raise TypeError("the guarded consumer needs the guarded transport: build the app with build_app()")
        conf = self.app.conf
        self._assignor = RoundRobinPartitionAssignor
        return aiokafka.AIOKafkaConsumer(
            **connection_options(transport.kafka),
            client_id=conf.broker_client_id,
            group_id=conf.id,
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            max_poll_records=conf.broker_max_poll_records,
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            max_partition_fetch_bytes=_FETCH_BYTES,
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
        )


class GuardedTransport(Transport):
    """Hands Faust the guarded consumer, and the consumer what it needs."""

    Consumer = GuardedConsumer

    def __init__(
        self, *args: Any, kafka: KafkaSettings, keeper: PartitionKeeper, dense_topics: frozenset[str], **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self.kafka = kafka
        self.keeper = keeper
        self.dense_topics = dense_topics  # topics whose offsets have no holes: neither compaction nor transactions


def _expired(tp: TP, *, first_missing: int, first_there: int) -> OffsetExpiredError:
    return OffsetExpiredError(
        f"{tp.topic}[{tp.partition}]: offsets {first_missing} to {first_there - 1} were removed by retention before "
        "this stage had read them, so its store would stay incomplete; build another generation, which is made from "
        "rag.documents.changed (`headwater generations create NAME`, then `headwater generations switch NAME`)"
    )
