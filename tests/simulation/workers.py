"""Stands for Faust around a stage: membership, delivery, commits; ledger, dispatcher and settler are real."""

import asyncio
import time
from contextlib import AsyncExitStack

from headwater.clients.kafka.errors import OffsetExpiredError
from headwater.clients.kafka.records import Record
from headwater.errors import RetryableError
from headwater.settings import Settings
from headwater.telemetry.management import Health
from schemas.codec import decode
from schemas.errors import ContractError
from schemas.events.base import Lane
from schemas.topics import Topic
from streams.harness.app import names_of
from streams.harness.attempts import AttemptJournal
from streams.harness.delivery import Delivery, routing_key
from streams.harness.dispatcher import Dispatcher
from streams.harness.ledger import Ledger
from streams.harness.runner import Keeper, assemble
from streams.harness.stage import Resources, StageSpec
from tests.simulation.groups import Member, Partition
from tests.simulation.kafka_clients import SimPublisher, broker_call
from tests.simulation.memory_lmdb import MemoryEnvironment
from tests.simulation.process import CURRENT, WORLD, Process

_FETCH = 20
_COMMIT_S = 1.0
_IDLE_S = 5.0


async def run_stage(spec: StageSpec, settings: Settings, journal: MemoryEnvironment) -> None:
    """Run a stage in the current process until it is killed. Raises what made it end."""
    process = CURRENT.get()
    own = journal.opened_by(lambda: process.dead)
    async with AsyncExitStack() as stack:
        publisher = SimPublisher(settings)
        resources = Resources(settings=settings, publisher=publisher, health=Health())
        stage = await stack.enter_async_context(spec.open(resources))
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        keeper = Keeper(health=Health(), ended=ended)
        dispatcher, _ = assemble(spec, resources, stage, AttemptJournal(SimMarks(own)), keeper)
        consumer = StageConsumer(spec, settings, keeper, process)
        work = [asyncio.create_task(consumer.consume(dispatcher)), asyncio.create_task(consumer.commit_regularly())]
        try:
            await asyncio.wait([ended, *work], return_when=asyncio.FIRST_COMPLETED)
            for each in (ended, *work):
                if each.done():
                    each.result()
        finally:
            if not ended.cancel() and not ended.cancelled():
                ended.exception()  # seen: a kill cancels the work without a release, and nobody is left to be told
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            if not process.dead:
                consumer.leave()


class SimMarks:
    """Implements the port on a folder that outlives processes."""

    def __init__(self, environment: MemoryEnvironment) -> None:
        self._environment = environment

    def get(self, name: str) -> bytes | None:
        return self._environment.open_db(None).values.get(name.encode())

    def put(self, name: str, value: bytes) -> None:
        with self._environment.begin(write=True) as transaction:
            transaction.put(name.encode(), value)

    def delete(self, name: str) -> None:
        with self._environment.begin(write=True) as transaction:
            transaction.delete(name.encode())


class StageConsumer:
    """Delivers records to the dispatcher and commits what the ledger says."""

    def __init__(self, spec: StageSpec, settings: Settings, keeper: Keeper, process: Process) -> None:
        self._world = WORLD.get()
        self._broker = self._world.broker
        self._keeper, self._process = keeper, process
        self._types = dict(spec.topics)
        self._topics: dict[str, Topic] = dict(zip(names_of(spec.topics, settings), spec.topics, strict=True))
        self._dense = frozenset(names_of(spec.dense, settings))
        self._group = self._broker.group(spec.group(settings))
        self._group.session_s = float(settings.kafka.session_timeout_s)
        self._member: Member = self._group.enter(process, tuple(self._topics))
        self._positions: dict[Partition, int] = {}
        self._ledgers: dict[Partition, Ledger] = {}

    def leave(self) -> None:
        """Leave the group in an orderly way."""
        self._group.leave(self._member)

    async def consume(self, dispatcher: Dispatcher) -> None:
        """Deliver for ever."""
        while True:
            await self._process.alive()
            if self._member.name not in self._group.members or self._member.must_rejoin:
                await self._rebalance()
                continue
            try:
                records = await broker_call(self._take)
            except RetryableError:
                continue
            if not records:
                await self._broker.news(self._positions, self._member.news, _IDLE_S)
                continue
            for record in records:
                await self._process.alive()
                await dispatcher.offer(self._delivery(record))

    async def commit_regularly(self) -> None:
        """Commit what is settled, once a second."""
        while True:
            await asyncio.sleep(_COMMIT_S)
            await self._commit()

    async def _commit(self) -> None:
        offsets = {
            partition: position
            for partition, ledger in self._ledgers.items()
            if (position := ledger.position()) is not None and position > self._group.committed.get(partition, 0)
        }
        if offsets:
            try:
                await broker_call(lambda: self._group.commit(self._member, offsets))
            except RetryableError:
                return

    async def _rebalance(self) -> None:
        await self._keeper.release()
        await self._commit()
        self._ledgers, self._positions = {}, {}
        if self._member.name not in self._group.members:
            self._member = self._group.enter(self._process, self._member.topics)
        member = self._member
        member.news = asyncio.get_running_loop().create_future()
        try:
            await broker_call(lambda: self._group.join(member))
        except RetryableError:
            return
        while member.must_rejoin and member.name in self._group.members:
            await self._broker.news((), member.news, _IDLE_S)
            await self._process.alive()
            if member.news.done():
                member.news = asyncio.get_running_loop().create_future()
                if member.must_rejoin and not member.joined:
                    return
        member.news = asyncio.get_running_loop().create_future()
        for partition in sorted(member.assigned):
            position = self._group.committed.get(partition, 0)
            start = self._broker.logs[partition].start
            if partition[0] in self._dense and start > position:
                self._keeper.fail(OffsetExpiredError(f"{partition}: offsets below {start} were removed"))
            self._positions[partition] = max(position, start)
            if partition[0] in self._dense:
                self._ledgers[partition] = Ledger(end=self._positions[partition])
        self._keeper.resume()

    def _take(self) -> list[Record]:
        found: list[Record] = []
        for partition in sorted(self._positions):
            if self._positions[partition] < self._broker.logs[partition].start and partition[0] in self._dense:
                self._keeper.fail(OffsetExpiredError(f"{partition}: removed before it was read"))
                return []
            records, following = self._broker.read(
                partition, self._positions[partition], committed=True, limit=_FETCH - len(found)
            )
            found += records
            self._positions[partition] = following
        return found

    def _delivery(self, record: Record) -> Delivery:
        partition = (record.position.topic, record.position.partition)
        topic = self._topics[record.position.topic]
        event, broken = _decoded(record.value, self._types[topic])
        ledger = self._ledgers.setdefault(partition, Ledger())
        ledger.deliver(record.position.offset, record)
        self._world.deliveries += 1
        return Delivery(
            origin=record.position,
            topic=topic,
            key=record.key,
            order=(topic, routing_key(topic, record.key)),
            value=record.value,
            headers=record.headers,
            event=event,
            broken=broken,
            lane=getattr(event, "lane", Lane.LIVE),
            size_bytes=len(record.value or b"") + len(record.key or b""),
            received_s=time.monotonic(),
            settle=lambda: ledger.settle(record.position.offset, record),
            abandon=lambda: None,
        )


def _decoded(value: bytes | None, event_type: type) -> "tuple[object | None, ContractError | None]":
    if value is None:
        return None, None
    try:
        return decode(value, event_type), None
    except ContractError as error:
        return None, error
