"""Notices a consumer that reads nothing although records wait for it.

After an outage of the broker a client has been seen to keep its partitions, answer its group and read nothing more
(alike: https://github.com/confluentinc/confluent-kafka-python/issues/970). Every other sign of life was there; to start
again was the remedy.
"""

from collections.abc import Collection, Mapping
from typing import Final

Partition = tuple[str, int]

LOOK_S: Final = 15.0  # between two looks; what is in a live broker's log is read within milliseconds
LEAST_READS: Final = 5  # empty ones between two looks: one may end early, for a rebalance


class Standstill:
    """Compares what was reached in each partition with where its log ends, twice.

    Not having read to an end proves nothing by itself: records may have come just now. A partition stands still when
    two looks find that records of it wait, and none was read in between.
    """

    def __init__(self, *, look_s: float = LOOK_S) -> None:
        self._look_s = look_s
        self._reached: dict[Partition, int] = {}
        self._again: set[Partition] = set()
        self._waiting: dict[Partition, int] = {}
        self._next_look_s, self._empty_reads = 0.0, 0

    def lost(self, partitions: Collection[Partition]) -> None:
        """Forget these partitions: whoever has them next begins at what is committed."""
        for partition in partitions:
            self._reached.pop(partition, None)
            self._waiting.pop(partition, None)
            self._again.discard(partition)

    def reached(self, partition: Partition, offset: int) -> None:
        """Note that nothing before this offset is left to read: it is committed, was read, or the client says so."""
        self._reached[partition] = max(offset, self._reached.get(partition, 0))
        self._again.discard(partition)
        self._waiting.pop(partition, None)

    def went_back(self, partition: Partition) -> None:
        """Note that records of this partition have been asked for again."""
        self._again.add(partition)

    def excused(self, partitions: Collection[Partition]) -> None:
        """Note that these partitions are paused, or were until now."""
        for partition in partitions:
            self._waiting.pop(partition, None)

    def is_due(self, now_s: float) -> bool:
        """Count a read that brought nothing, and say whether it is time to look where the logs end."""
        self._empty_reads += 1
        return now_s >= self._next_look_s and self._empty_reads >= LEAST_READS

    def look(self, ends: Mapping[Partition, int], now_s: float) -> frozenset[Partition]:
        """Return the partitions that stand still. `ends` holds those that are being read: each one's next offset."""
        waiting = {
            partition: reached
            for partition, end in ends.items()
            if (reached := self._reached.get(partition, 0)) < end or partition in self._again
        }
        still = frozenset(each for each, reached in waiting.items() if self._waiting.get(each) == reached)
        self._waiting, self._next_look_s, self._empty_reads = waiting, now_s + self._look_s, 0
        return still
