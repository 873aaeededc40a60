"""Admission's transactions: records and consumed positions become visible together, or not at all."""

from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka import TopicPartition

from headwater.clients.kafka.config import group_of
from headwater.clients.kafka.errors import FencedError
from headwater.clients.kafka.records import Offsets
from headwater.clients.kafka.transactions import TransactionalProducer
from headwater.errors import FatalError
from headwater.settings import Settings
from streams.admit.backlog import Place

# Adding positions takes milliseconds. Where its broker goes it may never end: the sooner it is given up, the sooner
# admission goes on (ADR 0109, ADR 0210).
_POSITIONS_S: Final = 3.0


class TransactionalWriter(TransactionalProducer):
    """The fenced producer of one worker slot.

    Two fences keep a worker that was frozen from writing: the slot's transactional id (a successor in the same slot
    makes this producer's epoch old) and the group's metadata (a successor in another slot makes its positions old).
    """

    def __init__(self, settings: Settings) -> None:
        self._slot = settings.stages.slot
        super().__init__(
            settings.kafka,
            transactional_id=f"{group_of(settings, 'admit')}-{self._slot}",
            client_id=f"headwater-admit-{self._slot}",
        )

    def begin(self) -> None:
        """Begin a transaction. Raises FatalError where all brokers were away since transactions were opened.

        The client then forgets the brokers that it knew, and would look for the group's one for good (ADR 0210).
        """
        if self.lost_brokers():
            raise FatalError("Kafka was away; start again")
        super().begin()

    def commit(self, positions: Mapping[tuple[str, int], Place], group: Any) -> Offsets:
        """Commit records and positions together. Return the next offset behind what was written, by partition.

        Raises TransactionAbortedError when the group has given the partitions to another worker, and FencedError when
        another process has taken this slot.
        """
        offsets = [
            TopicPartition(topic, partition, place.offset, metadata=place.note)
            for (topic, partition), place in positions.items()
        ]
        self._call(lambda: self._producer.send_offsets_to_transaction(offsets, group, _POSITIONS_S), "adding positions")
        return self.commit_records()

    def _fenced(self, what: str) -> FencedError:
        return FencedError(
            f"another admission worker has taken slot {self._slot} ({what}); "
            "give each worker its own HEADWATER_STAGES__SLOT"
        )
