"""One Kafka transaction at a time: its records become visible together, or not at all."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message

from headwater.clients.kafka.bounded import Producer
from headwater.clients.kafka.config import producer_config
from headwater.clients.kafka.errors import FencedError, translate
from headwater.clients.kafka.records import Headers, Offsets, position_of
from headwater.errors import FatalError, RetryableError
from headwater.settings import KafkaSettings

_QUEUE_FULL_WAIT_S: Final = 0.1
_BROKERS_CLOCK: Final = 0  # librdkafka: the record is stamped when it is produced


class TransactionAbortedError(RetryableError):
    """Nothing of the transaction will be seen. Begin again from the committed positions."""


class TransactionalProducer:
    """The only holder of a transactional id: who opens it fences whoever held it before."""

    def __init__(self, settings: KafkaSettings, *, transactional_id: str, client_id: str) -> None:
        self._timeout_s = float(settings.transaction_timeout_s)
        self.transactional_id = transactional_id
        config = producer_config(settings, client_id=client_id, transactional_id=transactional_id)
        self._producer = Producer(config | {"error_cb": self._on_error})
        self._lost_brokers = False
        self._delivered: Offsets = {}
        self._unconfirmed = ""  # the topic of a record that may be lost: see UnconfirmedError

    def open(self) -> None:
        """Fence predecessors and end what they left open. Raises FatalError when Kafka does not answer."""
        self._call(lambda: self._producer.init_transactions(self._timeout_s * 3), "opening transactions")
        self._producer.poll(0)
        self._lost_brokers = False  # those that were away before are there now

    def lost_brokers(self) -> bool:
        """Say whether all brokers were away at once, if only for a moment, since transactions were opened."""
        self._producer.poll(0)
        return self._lost_brokers

    def begin(self) -> None:
        """Begin a transaction."""
        self._delivered, self._unconfirmed = {}, ""
        self._call(self._producer.begin_transaction, "beginning a transaction")

    def produce(
        self,
        topic: str,
        *,
        key: bytes,
        value: bytes | None,
        partition: int = -1,
        headers: Headers = (),
        timestamp_ms: int | None = None,
    ) -> None:
        """Append to the transaction; without a partition, the key's. None is a tombstone."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                self._producer.produce(
                    topic,
                    value,
                    key=key,
                    partition=partition,
                    headers=list(headers),
                    timestamp=timestamp_ms or _BROKERS_CLOCK,
                    on_delivery=self._on_delivery,
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

    def commit_records(self) -> Offsets:
        """Commit. Return the next offset behind what was written, by partition.

        Raises TransactionAbortedError where a record was not confirmed by the broker itself, FencedError and others.
        """
        # Committing would, too; now the transaction can still be undone. A producer that was fenced ends this call by
        # confluent_kafka's SystemError: what has happened is said in words by the next one.
        with suppress(KafkaException, SystemError):
            self._producer.flush(self._timeout_s)
        if self._unconfirmed:
            raise TransactionAbortedError(f"the broker never said where records of {self._unconfirmed} are stored")
        self._call(lambda: self._producer.commit_transaction(self._timeout_s), "committing")
        return self._delivered

    def abort(self) -> None:
        """Undo the transaction. Raises FatalError when that is impossible: a fresh start undoes it."""
        try:
            self._call(lambda: self._producer.abort_transaction(self._timeout_s), "aborting")
        except RetryableError as error:
            raise FatalError(f"the transaction cannot be undone: {error}") from error

    def _on_error(self, error: KafkaError) -> None:
        self._lost_brokers |= error.code() == KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001 - a code of librdkafka's own

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:  # the transaction cannot be committed any more: committing says so
            return
        if message.offset() is None:
            self._unconfirmed = message.topic() or "an unknown topic"
            return
        position = position_of(message)
        by_partition = self._delivered.setdefault(position.topic, {})
        by_partition[position.partition] = max(by_partition.get(position.partition, 0), position.offset + 1)

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
            return self._fenced(f"{detail.name()} while {doing}")
        return translated

    def _fenced(self, what: str) -> FencedError:
        return FencedError(f"another process has opened the transactional id {self.transactional_id} ({what})")
