"""How far consumer groups are on their way to an end of the log that was asked for once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.consumer import RecordStream
from headwater.clients.kafka.records import Offsets, Record
from headwater.heads.ends import Ends, ask_ends
from headwater.heads.topics import FollowedTopics
from headwater.settings import Settings

_CLIENT: Final = "headwater-positions"
# So few offsets may be what no consumer is given: markers of transactions, or a whole one that was aborted.
_MARKERS: Final = 1_000
_LOOK_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What a group has read of a topic, in offsets, since the oldest that is there."""

    done: int
    total: int

    @property
    def left(self) -> int:
        """Offsets to go."""
        return self.total - self.done


class Positions:
    """Asks the broker where groups are. Raises RetryableError when it does not answer."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin = KafkaAdmin(settings.kafka, client_id=_CLIENT)
        self._transactional = FollowedTopics.of(settings).transactional

    async def ends(self, topic: str) -> Ends:
        """Return the ends of a topic as of now: what a reader of committed records must have passed."""
        partitions = {topic: range(await self._admin.partition_count(topic))}
        transactional = self._transactional & partitions.keys()
        return await ask_ends(self._admin, partitions, transactional=transactional, open_too=True)

    async def way(self, group: str, ends: Ends) -> Way:
        """Return how far a group is from ends that were asked for before."""
        (topic,) = ends.offsets
        targets = ends.offsets[topic]
        starts = (await self._admin.start_offsets((topic,)))[topic]
        committed = (await self._admin.committed_offsets(group, (topic,)))[topic]
        reached = {each: max(committed.get(each, 0), starts[each]) for each in targets}
        short = {each: reached[each] for each, end in targets.items() if 0 < end - reached[each] <= _MARKERS}
        reached |= {each: targets[each] for each in await self._without_records(topic, short, targets)}
        return Way(
            done=sum(min(reached[each], end) - min(starts[each], end) for each, end in targets.items()),
            total=sum(end - min(starts[each], end) for each, end in targets.items()),
        )

    async def _without_records(
        self, topic: str, positions: Mapping[int, int], targets: Mapping[int, int]
    ) -> frozenset[int]:
        """Return the partitions that have no committed record between a position and its target."""
        if not positions:
            return frozenset()
        waiting = dict(positions)
        offsets: Offsets = {topic: dict(positions)}
        empty = set()
        async with RecordStream.assign_all(self._settings.kafka, offsets, client_id=_CLIENT) as stream:
            while waiting and (items := await stream.read(wait_s=_LOOK_S)):
                for item in items:
                    partition, offset = item.position.partition, item.position.offset
                    if partition in waiting:
                        del waiting[partition]
                        if not isinstance(item, Record) or offset >= targets[partition]:
                            empty.add(partition)
        return frozenset(empty)
