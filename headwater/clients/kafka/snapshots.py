"""Reads topics from one set of positions to another: what a backup and the collection of blobs look at."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Final

from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.config import group_of, topic_of
from headwater.clients.kafka.consumer import RecordStream, next_offsets
from headwater.clients.kafka.errors import KafkaUnavailableError
from headwater.clients.kafka.records import Offsets, Record
from headwater.heads.ends import ask_ends
from headwater.ports.archive import TopicFacts
from headwater.settings import Settings
from schemas.topics import Topic

_TRANSACTIONAL: Final = frozenset({Topic.DOCUMENTS_CHANGED, Topic.DELETIONS_QUARANTINED, Topic.DIRECTORY_CHANGED})
_SUBMITTED: Final = (Topic.DOCUMENTS_SUBMITTED, Topic.DOCUMENTS_BACKFILL)
_ASK_AGAIN_S: Final = 0.2
_WAIT_S: Final = 0.25


class KafkaSourceLog:
    """Implements the port SourceLog."""

    def __init__(self, settings: Settings, *, settle_wait_s: float) -> None:
        self._settings = settings
        self._settle_wait_s = settle_wait_s
        self._admin = KafkaAdmin(settings.kafka, client_id="headwater-backup")

    async def facts(self, topic: Topic) -> TopicFacts:
        """See the port."""
        name = topic_of(self._settings, topic)
        partitions = {name: range(await self._admin.partition_count(name))}
        transactional = {name} if topic in _TRANSACTIONAL else set()
        starts = (await self._admin.start_offsets((name,)))[name]
        ends = await ask_ends(self._admin, partitions, transactional=transactional, open_too=True)
        described = (await self._admin.describe((name,)))[name]
        return TopicFacts(
            topic_id=(await self._admin.topic_ids((name,)))[name],
            starts=starts,
            # The marker behind the last record is not counted: where nothing was left, it may lie below the start.
            ends={each: max(end, starts[each]) for each, end in ends.offsets[name].items()},
            tombstones_kept_s=int(described.config["delete.retention.ms"]) / 1000,
        )

    async def records(self, topic: Topic, start: Mapping[int, int], ends: Mapping[int, int]) -> AsyncIterator[Record]:
        """See the port. Raises KafkaUnavailableError when nothing comes for the length of a request."""
        name = topic_of(self._settings, topic)
        left: dict[int, int] = {each: offset for each, offset in start.items() if offset < ends[each]}
        if not left:
            return
        patience_s = self._settings.kafka.request_timeout_s
        deadline = time.monotonic() + patience_s
        async with RecordStream.assign_all(self._settings.kafka, {name: left}, client_id="headwater-backup") as stream:
            while left:
                items = await stream.read(max_records=2_000, wait_s=_WAIT_S)
                if items:
                    deadline = time.monotonic() + patience_s
                elif time.monotonic() > deadline:
                    raise KafkaUnavailableError(f"{name} could not be read to its end: nothing came in {patience_s} s")
                for item in items:
                    if isinstance(item, Record) and item.position.offset < ends[item.position.partition]:
                        yield item
                for partition, offset in next_offsets(items).get(name, {}).items():
                    if offset >= ends[partition]:
                        left.pop(partition, None)

    async def unsettled(self) -> AsyncIterator[Record]:
        """See the port."""
        committed = await self._settled_positions()
        for topic in _SUBMITTED:
            name = topic_of(self._settings, topic)
            facts = await self.facts(topic)
            start = {each: max(oldest, committed[name].get(each, 0)) for each, oldest in facts.starts.items()}
            async for record in self.records(topic, start, facts.ends):
                yield record
        facts = await self.facts(Topic.EVENTS_PARKED)
        async for record in self.records(Topic.EVENTS_PARKED, facts.starts, facts.ends):
            yield record

    async def submissions_settled(self) -> bool:
        """See the port. Waits as long as the backup's settings say."""
        names = [topic_of(self._settings, topic) for topic in _SUBMITTED]
        counts = {name: range(await self._admin.partition_count(name)) for name in names}
        ends = await self._admin.log_ends(counts)
        starts = await self._admin.start_offsets(names)
        deadline = time.monotonic() + self._settle_wait_s
        while not _past(await self._settled_positions(), starts, ends):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_ASK_AGAIN_S)
        return True

    async def _settled_positions(self) -> Offsets:
        names = [topic_of(self._settings, topic) for topic in _SUBMITTED]
        return await self._admin.committed_offsets(group_of(self._settings, "admit"), names)


def _past(committed: Offsets, starts: Offsets, ends: Offsets) -> bool:
    return all(
        committed.get(topic, {}).get(partition, 0) >= end
        for topic, by_partition in ends.items()
        for partition, end in by_partition.items()
        if end > starts[topic][partition]
    )
