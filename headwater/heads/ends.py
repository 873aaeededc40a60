"""Has everything been applied that was in the log at some moment?

The end of a partition that is written in transactions lies behind a control record, which no reader is given: a
consumer learns that it has passed one only when its next fetch comes back empty, up to half a second later. Two facts
make the answer come sooner, without guessing: where the stable end equals the end, no transaction is open; and then
the last record of a partition that has transactional writers only is the marker of one.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from headwater.clients.kafka.records import Offsets
from headwater.ports.heads import Positions


class AsksForEnds(Protocol):
    """The part of `KafkaAdmin` that is needed here."""

    async def log_ends(self, partitions: Mapping[str, Collection[int]], *, committed: bool = True) -> Offsets:
        """Return the ends of the named partitions."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """Where a reader of committed records has seen all that was there when it was asked."""

    offsets: Positions

    def reached(self, applied: Positions) -> bool:
        """Say whether these positions lie at the ends or behind them."""
        return all(
            applied.get(topic, {}).get(partition, 0) >= end
            for topic, by_partition in self.offsets.items()
            for partition, end in by_partition.items()
        )


async def ask_ends(
    admin: AsksForEnds,
    partitions: Mapping[str, Collection[int]],
    *,
    transactional: Collection[str],
    open_too: bool = False,
) -> Ends:
    """Return the ends as of a moment after the call. Raises RetryableError when the broker does not answer.

    `open_too` counts what open transactions have appended so far. A commit that its producer knows of may still look
    open in one partition while another shows it: who waits for a certain write needs this.
    """
    # Stable ends first: if the end that is asked for later is the same, then nothing was open in between.
    stable = await admin.log_ends(partitions, committed=True)
    marked = {topic: numbers for topic, numbers in partitions.items() if topic in transactional}
    ends = await admin.log_ends(marked, committed=False)

    def target(topic: str, partition: int, stable_end: int) -> int:
        end = ends.get(topic, {}).get(partition)
        if end is None:
            return stable_end
        if end == stable_end:
            return max(0, end - 1)
        return end if open_too else stable_end

    return Ends(
        offsets={
            topic: {partition: target(topic, partition, offset) for partition, offset in by_partition.items()}
            for topic, by_partition in stable.items()
        }
    )
