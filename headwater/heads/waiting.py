"""Read-your-writes: waits until a replica has applied what a token stands for, whatever admission made of it."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from headwater.clients.kafka.config import group_of, topic_of
from headwater.clients.kafka.records import Offsets
from headwater.errors import PoisonError, RetryableError
from headwater.heads.ends import ask_ends
from headwater.heads.topics import FollowedTopics
from headwater.ports.heads import Heads, Positions
from headwater.settings import Settings
from schemas.topics import Topic

_FIRST_DELAY_S = 0.005  # admission takes about 10 ms
_MAX_DELAY_S = 0.1
_REPLICA_DELAY_S = 0.003  # a look at memory-mapped pages, no request


class NotAppliedError(RetryableError):
    """The time ran out before this replica had applied the write."""


class AsksTheLog(Protocol):
    """The part of `KafkaAdmin` that is needed here."""

    async def committed_offsets(self, group: str, topics: Collection[str]) -> Offsets:
        """Return the next offset that a group will read, for each partition it has committed."""
        ...

    async def log_ends(self, partitions: Mapping[str, Collection[int]], *, committed: bool = True) -> Offsets:
        """Return the ends of the named partitions."""
        ...


class AppliedPositions:
    """Waits for tokens: `{topic: {partition: offset}}` of submissions.

    First until admission has committed past them: then its decision is in the log, or there is none because the
    submission was refused or changed nothing. Then until the replica has applied the ends of the partitions that it
    could have gone to, as of that moment. So every token ends, unless something is down.
    """

    def __init__(self, settings: Settings, admin: AsksTheLog, heads: Heads) -> None:
        self._admin = admin
        self._heads = heads
        self._group = group_of(settings, "admit")
        self._topics = FollowedTopics.of(settings)
        self._targets = {
            topic_of(settings, Topic.DOCUMENTS_SUBMITTED): self._topics.changed,
            topic_of(settings, Topic.DOCUMENTS_BACKFILL): self._topics.changed,
            topic_of(settings, Topic.DIRECTORY_SUBMITTED): self._topics.directory,
        }

    async def wait(self, positions: Positions, *, timeout_s: float) -> None:
        """Return when this replica shows what became of the submissions.

        Raises PoisonError for positions that are no submissions', NotAppliedError (retryable) after `timeout_s`.
        """
        unknown = positions.keys() - self._targets.keys()
        if unknown:
            raise PoisonError("after: not a token of this installation; pass it as a write returned it")
        waiting_for = "admission"
        try:
            async with asyncio.timeout(timeout_s):
                await self._until_settled(positions)
                waiting_for = "this replica"
                await self._until_applied(positions)
        except TimeoutError as error:
            raise NotAppliedError(f"after: {waiting_for} needed longer than {timeout_s:g} s; try again") from error

    async def _until_settled(self, positions: Positions) -> None:
        delay_s = _FIRST_DELAY_S
        while not _past(await self._admin.committed_offsets(self._group, tuple(positions)), positions):
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 1.5, _MAX_DELAY_S)

    async def _until_applied(self, positions: Positions) -> None:
        partitions: dict[str, set[int]] = {self._topics.directory: {0}}  # a document is judged by the directory, too
        for topic, by_partition in positions.items():
            partitions.setdefault(self._targets[topic], set()).update(by_partition)
        ends = await ask_ends(self._admin, partitions, transactional=self._topics.transactional, open_too=True)
        await _until(lambda: ends.reached(self._heads.applied()), _REPLICA_DELAY_S)


def _past(committed: Positions, positions: Positions) -> bool:
    return all(
        committed.get(topic, {}).get(partition, 0) > offset
        for topic, by_partition in positions.items()
        for partition, offset in by_partition.items()
    )


async def _until(condition: Callable[[], bool], delay_s: float) -> None:
    while not condition():  # noqa: ASYNC110 - another process changes it: there is no event to wait for
        await asyncio.sleep(delay_s)
