"""What a connector worker needs of the outside: requests, the sources, the log of syncs, and somebody who reads."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from connectors.endings import SyncReport
from connectors.work import Work
from headwater.clients.kafka.consumer import Partitions
from headwater.clients.kafka.records import Item, Offsets, Outgoing
from headwater.errors import HeadwaterError
from schemas.events.directory import Source
from schemas.events.syncs import SourceTested, SyncProgressed, SyncRequested
from schemas.ids import Revision, SourceId, TenantId

Key: TypeAlias = tuple[TenantId, SourceId]
Tell: TypeAlias = Callable[[SyncReport], Awaitable[None]]


class LostError(HeadwaterError):
    """This worker does not hold the source, or cannot be sure to. Whoever does goes on from the cursor.

    Neither retryable nor fatal: it says nothing of the source, so no ending may be made of it.
    """


class Requests(Protocol):
    """A member of the connector workers' group. `headwater.clients.kafka.consumer.RecordStream` is one."""

    @property
    def assigned(self) -> Partitions:
        """The partitions that this member reads; changes during `read` alone."""
        ...

    async def read(self, *, max_records: int = 500, wait_s: float = 1.0) -> tuple[Item, ...]:
        """Return what came, nothing after `wait_s`; RetryableError when the broker does not answer."""
        ...

    async def commit(self, offsets: Offsets) -> None:
        """Store where a successor begins; RetryableError, also when these partitions may be another's by now."""
        ...


class Fence(Protocol):
    """The right to write for one source. Whoever takes it later ends it."""

    async def append(self, records: Sequence[Outgoing]) -> None:
        """Return when all of the records are in the log, together.

        Raises RetryableError when none of them is, LostError when another worker holds the source.
        """
        ...


class SyncLog(Protocol):
    """How syncs stand, as the log has it."""

    def take(self, key: Key) -> AbstractAsyncContextManager[Fence]:
        """Fence everybody else who writes for this source. Entering raises LostError where that is not possible."""
        ...

    async def newest(self, partitions: Collection[int]) -> Mapping[Key, SyncProgressed]:
        """Return the newest record of each source whose requests lie in these partitions, or RetryableError."""
        ...

    async def ask(self, request: SyncRequested) -> None:
        """Append a request, or RetryableError."""
        ...

    async def tell(self, tested: SourceTested) -> None:
        """Append what a test has found, or RetryableError."""
        ...

    def partition_of(self, key: Key) -> int:
        """Return the partition of a source's requests."""
        ...


class Sources(Protocol):
    """Sources of the directory, of every tenant."""

    def get(self, key: Key) -> Source | None:
        """Return a source as of now."""
        ...

    def created(self, key: Key) -> Revision | None:
        """Return what tells this life of a source from an earlier one of the same name; None: there is no telling."""
        ...

    def items(self) -> Iterable[tuple[Key, Source]]:
        """Return all of them."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A source that this worker holds. `may_write` raises LostError as soon as it may not hold it any more."""

    key: Key
    source: Source
    fence: Fence
    may_write: Callable[[], None]
    tell: Tell
    created: Revision | None = None  # see `Sources`


class Jobs(Protocol):
    """Who reads sources."""

    def reads(self, source: Source) -> bool:
        """Whether there is a connector of its kind."""
        ...

    def follows(self, source: Source) -> bool:
        """Whether the source wants to be followed as it changes."""
        ...

    async def check(self, key: Key, source: Source) -> None:
        """Return where the source can be read from here; raise the FatalError or RetryableError that says why not."""
        ...

    def waits_until(self, key: Key) -> datetime | None:
        """Return until when a source that is being read asks to send nothing; None where it does not."""
        ...

    async def sync(self, held: Held, work: Work) -> SyncReport:
        """Do the work and say how it ended. Raises LostError."""
        ...

    async def follow(self, held: Held) -> SyncReport:
        """Follow the source until it fails or this is cancelled. Raises LostError."""
        ...
