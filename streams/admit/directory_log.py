"""Control data of one admission worker: `rag.directory.changed` from its beginning, in memory."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from headwater.clients.kafka.config import consumer_config
from headwater.clients.kafka.errors import KafkaUnavailableError, translate
from headwater.clients.kafka.records import Record, position_of, record_of
from headwater.errors import FatalError
from headwater.heads.directory_table import DirectoryTable
from headwater.heads.ends import Ends
from headwater.settings import Settings
from schemas.codec import decode
from schemas.errors import ContractError
from schemas.events.directory import DirectoryChanged, DirectoryKind, DirectoryOp
from schemas.ids import TenantId

_BATCH = 1_000
_WAIT_S = 0.05
_PARTITION_EOF = KafkaError._PARTITION_EOF  # noqa: SLF001 - librdkafka's own codes have underscored names
_HIDES_DOCUMENTS = frozenset({DirectoryKind.TENANT, DirectoryKind.KNOWLEDGE_BASE})


def deletes_documents(change: DirectoryChanged) -> bool:
    """Say whether documents are to be deleted because of this change."""
    return change.op is DirectoryOp.DELETE and (change.kind in _HIDES_DOCUMENTS or change.with_documents)


class DirectoryLog:
    """Follows the directory. `table` is what has been read, `position` the next offset behind its last record.

    `deletions` are the newest deletions that documents follow, with their offsets, recreated ones included:
    what was in them before is to be deleted all the same.
    """

    def __init__(self, settings: Settings, topic: str) -> None:
        name = "headwater-admit-directory"  # a group is named but never joined
        config = consumer_config(settings.kafka, client_id=name, group=name, on_expired="error")
        self._topic = topic
        self._timeout_s = settings.kafka.request_timeout_s
        self._consumer = Consumer(config)
        self._consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        self._seen = 0  # behind control records, too
        self._deletions: dict[tuple[TenantId, DirectoryKind, str], tuple[int, DirectoryChanged]] = {}
        self.table = DirectoryTable()
        self.position = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._consumer.close()

    @property
    def deletions(self) -> Mapping[tuple[TenantId, DirectoryKind, str], tuple[int, DirectoryChanged]]:
        """Deleted knowledge bases, tenants, and sources deleted with their documents: offset and newest deletion."""
        return self._deletions

    def read_ready(self) -> None:
        """Take in what has arrived, without waiting."""
        self._take(wait_s=0)

    def read_to(self, ends: Ends) -> None:
        """Take in everything up to these ends. Raises RetryableError when they are not reached in time."""
        deadline = time.monotonic() + self._timeout_s
        while not ends.reached({self._topic: {0: self._seen}}):
            if time.monotonic() > deadline:
                raise KafkaUnavailableError(f"{self._topic} could not be read to its end in {self._timeout_s:g} s")
            self._take(wait_s=_WAIT_S)

    def _take(self, *, wait_s: float) -> None:
        try:
            first = self._consumer.poll(wait_s)
            messages = [] if first is None else [first, *self._consumer.consume(_BATCH, 0)]
        except KafkaException as error:
            raise translate(error, f"reading {self._topic}") from error
        for message in messages:
            failure = message.error()
            if failure is None:
                self._apply(record_of(message))
            elif failure.code() == _PARTITION_EOF:
                self._seen = max(self._seen, position_of(message).offset)
            else:
                raise translate(failure, f"reading {self._topic}")

    def _apply(self, record: Record) -> None:
        offset = record.position.offset
        self.position = offset + 1
        self._seen = max(self._seen, offset + 1)
        if record.value is None:  # erased long after its deletion: nothing is left to change
            return
        try:
            change = decode(record.value, DirectoryChanged)
        except ContractError as error:
            raise FatalError(f"{record.position}: this build cannot read it; roll out readers first") from error
        self.table.apply(change)
        if deletes_documents(change):
            self._deletions[change.tenant_id, change.kind, change.record_id] = (offset, change)
