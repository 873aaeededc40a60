"""Where a backup lies, and the two logs that it goes between."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from headwater.clients.kafka.records import Headers, Record
from headwater.ports.blobs import BlobInventory, BlobStore
from schemas.topics import Topic


class ArchiveStore(Protocol):
    """Named objects of a few MiB: segments and manifests, and the blobs beside them.

    Raises RetryableError when it is away or full, FatalError when access is refused, PoisonError for what is missing.
    """

    @property
    def blobs(self) -> BlobStore:
        """Contents, content-addressed like those of the installation."""
        ...

    @property
    def inventory(self) -> BlobInventory:
        """The same contents, for who removes those that no run needs."""
        ...

    async def put(self, name: str, data: bytes) -> None:
        """Store an object whole, or not at all; return once it is durable."""
        ...

    async def get(self, name: str) -> bytes:
        """Return an object."""
        ...

    async def names(self, folder: str) -> Sequence[str]:
        """Return the names of the objects below a folder, without it, ascending."""
        ...

    async def remove(self, names: Collection[str]) -> None:
        """Remove objects; what is not there is no error."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicFacts:
    """A topic at one moment. Positions are next offsets, by partition."""

    topic_id: str
    starts: Mapping[int, int]
    ends: Mapping[int, int]  # with what open transactions have appended so far
    tombstones_kept_s: float  # how long compaction leaves a tombstone where a reader can find it


class SourceLog(Protocol):
    """The log that a backup reads. Raises RetryableError when the broker is away."""

    async def facts(self, topic: Topic) -> TopicFacts:
        """Look at a topic."""
        ...

    def records(self, topic: Topic, start: Mapping[int, int], ends: Mapping[int, int]) -> AsyncIterator[Record]:
        """Yield the committed records between these positions, in order within each partition."""
        ...

    def unsettled(self) -> AsyncIterator[Record]:
        """Yield the submissions that admission has not settled yet, and all dead letters that are kept."""
        ...

    async def submissions_settled(self) -> bool:
        """Wait a while for admission to settle what was submitted up to now; say whether it has."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredRecord:
    """A record to write. Keys decide the partition, `partition_key` where the key does not."""

    key: bytes
    value: bytes
    headers: Headers
    timestamp_ms: int | None
    partition_key: bytes | None = None


class TargetLog(Protocol):
    """The empty log that a restore writes to, in transactions, as admission would."""

    async def require_empty(self) -> None:
        """Raise FatalError, in one sentence, unless nothing was ever written and no admission worker runs."""
        ...

    async def partition_of(self, topic: Topic, key: bytes) -> int:
        """Return the partition that a key belongs to."""
        ...

    async def append(self, topic: Topic, records: Sequence[RestoredRecord]) -> Sequence[int]:
        """Append in one transaction; return each record's offset. Raises FatalError when admission runs after all."""
        ...
