"""What a source is to the runner. A connector reads one source and knows nothing about Kafka."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from headwater.errors import HeadwaterError
from schemas.events.documents import DocumentPatch, DocumentState

# Where a source resumes: small parts by name, each the connector's own format. A source with one opaque position has
# one part; a listing that is compared has one part an item.
Cursor: TypeAlias = Mapping[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upserted:
    """A document that exists: its full state; the runner puts the blob of `content` into it, opened on demand."""

    state: DocumentState
    content: Callable[[], AsyncIterator[bytes]] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Patched:
    """A document of which only some fields changed: its content is neither read nor sent again."""

    patch: DocumentPatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """A document that is gone from the source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceChange:
    """One changed document, and the parts of the cursor that are true once it is submitted."""

    external_id: str
    what: Upserted | Patched | Deleted
    source_version: int | None  # grows with the document's states at the source; None: the order of arrival decides
    occurred_at: datetime
    cursor: Mapping[str, bytes | None]  # None: the part is gone


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFailed:
    """One item that could not be read. The others go on; it is tried again on the next pass."""

    external_id: str
    error: HeadwaterError


class Connector(Protocol):
    """Reads one external source; blobs, events, cursors and endings belong to the runner."""

    async def check(self) -> None:
        """Raise FatalError with a message that names the setting to correct."""
        ...

    def changes(self, since: Cursor) -> AsyncIterator[SourceChange | ItemFailed]:
        """Yield each changed document whole, or what changed of it; end when the source is as the cursor says.

        An empty cursor asks for everything. Memory is bounded by the cursor, never by the content. Raises
        RetryableError when the source is away, FatalError when it refuses the credentials.
        """
        ...


class LiveConnector(Connector, Protocol):
    """A source that tells of its changes as they happen."""

    def live(self, since: Cursor) -> AsyncIterator[SourceChange | ItemFailed]:
        """Go on where `changes` ended and yield what changes, until cancelled. Nothing in between is missed."""
        ...
