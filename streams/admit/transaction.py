"""One Kafka transaction at a time: records and consumed positions become visible together, or not at all."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from headwater.clients.kafka.config import group_of, producer_config
from headwater.clients.kafka.errors import FencedError, translate
from headwater.clients.kafka.records import Headers, Offsets
from headwater.errors import FatalError, RetryableError
from headwater.settings import Settings
from streams.admit.backlog import Place

_QUEUE_FULL_WAIT_S = 0.1


class TransactionAbortedError(RetryableError):
    """Nothing of the transaction will be seen. Begin again from the committed positions."""


class TransactionalWriter:
    """The fenced producer of one worker slot.

    Two fences keep a worker that was frozen from writing: the slot's transactional id (a successor in the same slot
    makes this producer's epoch old) and the group's metadata (a successor in another slot makes its positions old).
    """

    def __init__(self, settings: Settings) -> None:
        slot = settings.stages.slot
        self._timeout_s = float(settings.kafka.transaction_timeout_s)
        self.transactional_id = f"{group_of(settings, 'admit')}-{slot}"
        self._slot = slot
        config = producer_config(
            settings.kafka, client_id=f"headwater-admit-{slot}", transactional_id=self.transactional_id
        )
        self._producer = Producer(config)
        self._delivered: Offsets = {}

    def open(self) -> None:
        """Fence predecessors of this slot and end what they left open. Raises FatalError when Kafka does not answer."""
        self._call(lambda: self._producer.init_transactions(self._timeout_s * 3), "opening transactions")

    def begin(self) -> None:
        """Begin a transaction."""
        self._delivered = {}
        self._call(self._producer.begin_transaction, "beginning a transaction")

    def produce(self, topic: str, *, key: bytes, value: bytes, partition: int = -1, headers: Headers = ()) -> None:
        """Append to the transaction; without a partition, the key's."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                self._producer.produce(
                    topic, value, key=key, partition=partition, headers=list(headers), on_delivery=self._on_delivery
                )
            except BufferError as error:
                if time.monotonic() > deadline:
                    raise TransactionAbortedError(
                        "the producer's queue stays full: the broker takes nothing"
                    ) from error
                self._producer.poll(_QUEUE_FULL_WAIT_S)
            except KafkaException as error:
                raise self._translated(error, f"producing to {topic}") from error
            else:
                return

    def commit(self, positions: Mapping[tuple[str, int], Place], group: Any) -> Offsets:
        """Commit records and positions together. Return the next offset behind what was written, by partition.

        Raises TransactionAbortedError when the group has given the partitions to another worker, and FencedError when
        another process has taken this slot.
        """
        offsets = [
            TopicPartition(topic, partition, place.offset, metadata=place.note)
            for (topic, partition), place in positions.items()
        ]
        self._call(
            lambda: self._producer.send_offsets_to_transaction(offsets, group, self._timeout_s), "adding positions"
        )
        self._call(lambda: self._producer.commit_transaction(self._timeout_s), "committing")
        return self._delivered

    def abort(self) -> None:
        """Undo the transaction. Raises FatalError when that is impossible: a fresh start undoes it."""
        try:
            self._call(lambda: self._producer.abort_transaction(self._timeout_s), "aborting")
        except RetryableError as error:
            raise FatalError(f"the transaction cannot be undone: {error}") from error

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:  # the transaction cannot be committed any more: committing says so
            return
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        if topic is not None and partition is not None and offset is not None:
            by_partition = self._delivered.setdefault(topic, {})
            by_partition[partition] = max(by_partition.get(partition, 0), offset + 1)

    def _call(self, call: Callable[[], object], doing: str) -> None:
        """Repeat what librdkafka calls retriable: it goes on with the same operation, nothing is done twice."""
        deadline = time.monotonic() + self._timeout_s * 3
        while True:
            try:
                call()
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise self._translated(error, doing) from error
                if time.monotonic() > deadline:
                    # How the transaction ended is unknown; a fresh start asks the broker first.
                    raise FatalError(f"Kafka did not answer while {doing}; start again") from error
            else:
                return

    def _translated(self, error: KafkaException, doing: str) -> Exception:
        detail = error.args[0]
        if detail.txn_requires_abort():
            return TransactionAbortedError(f"{detail.name()} while {doing}")
        translated = translate(error, doing)
        if isinstance(translated, FencedError):
            return FencedError(
                f"another admission worker has taken slot {self._slot} ({detail.name()} while {doing}); "
                "give each worker its own HEADWATER_STAGES__SLOT"
            )
        return translated
