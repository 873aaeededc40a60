"""Fenced by Kafka: one transactional id a source, so a worker that was frozen writes nothing when it wakes."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from connectors.cursors import CursorStore
from connectors.worker.ports import Fence, Key, LostError
from headwater.clients.kafka.config import group_of
from headwater.clients.kafka.murmur2 import partition_of
from headwater.clients.kafka.producer import EventProducer
from headwater.clients.kafka.records import Outgoing
from headwater.clients.kafka.transactions import TransactionAbortedError, TransactionalProducer
from headwater.errors import FatalError, RetryableError
from headwater.settings import Settings
from schemas.ids import SourceId, TenantId


class KafkaFence:
    """Implements Fence. Its calls run one after the other in a thread, also those whose caller gave up waiting."""

    def __init__(self, producer: TransactionalProducer, counts: Mapping[str, int], thread: ThreadPoolExecutor) -> None:
        self._producer, self._counts, self._thread = producer, counts, thread

    @classmethod
    @asynccontextmanager
    async def take(cls, settings: Settings, key: Key, counts: Mapping[str, int]) -> AsyncIterator["KafkaFence"]:
        """Take it. `counts` are the partitions of the topics that are written."""
        name = f"{group_of(settings, 'connectors')}-{'/'.join(key)}"
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="connector-fence")
        try:
            producer = await asyncio.get_running_loop().run_in_executor(thread, _opened, settings, name)
            yield cls(producer, counts, thread)
        finally:
            thread.shutdown(wait=False)

    async def append(self, records: Sequence[Outgoing]) -> None:
        """See the port."""
        if records:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, records)

    def _transact(self, records: Sequence[Outgoing]) -> None:
        try:
            self._producer.begin()
            try:
                for record in records:
                    self._producer.produce(
                        record.topic,
                        key=record.key,
                        value=record.value,
                        partition=partition_of(record.partition_key or record.key, self._counts[record.topic]),
                        headers=record.headers,
                    )
                self._producer.commit_records()
            except TransactionAbortedError:
                self._producer.abort()
                raise
        except FatalError as error:  # fenced, or nobody knows how the transaction ended: the successor will
            raise LostError(str(error)) from error


def _opened(settings: Settings, name: str) -> TransactionalProducer:
    try:
        producer = TransactionalProducer(settings.kafka, transactional_id=name, client_id="headwater-connectors")
        producer.open()
    except (FatalError, RetryableError) as error:
        raise LostError(str(error)) from error
    return producer


class FencedCursors(CursorStore):
    """A cursor that only the worker that holds the source can move."""

    def __init__(
        self, settings: Settings, producer: EventProducer, fence: Fence, *, tenant: TenantId, source: SourceId
    ) -> None:
        super().__init__(settings, producer, tenant=tenant, source=source)
        self._fence = fence

    async def _send(self, records: Sequence[Outgoing]) -> None:
        await self._fence.append(records)
