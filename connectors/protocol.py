"""What a source is to the runner. A connector reads one source and knows nothing about Kafka."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias, runtime_checkable

from headwater.errors import HeadwaterError
from schemas.events.directory import Group
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
class Listing:
    """One complete listing, and what was held before it: the runner judges by it whether it showed suspiciously little.

    All deletions that follow from it carry the very same object.
    """

    name: str  # tells it from the source's other listings; empty where there is but one
    known: int  # documents that were held of it when it began
    shown: int  # documents that it showed, new ones too


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """A document that is gone from the source.

    `listing`: the one that did not show it. None where somebody told of this deletion, or its settings leave it out.
    """

    listing: Listing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What a pass over everything has still to look at: of what was known before it, for what is new is met unawares.

    Said with a change, or by itself where nothing has changed for a while.
    """

    items: int
    of: int  # held when the pass began, or in the last complete listing


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceChange:
    """One changed document, and the parts of the cursor that are true once it is submitted."""

    external_id: str
    what: Upserted | Patched | Deleted
    source_version: int | None  # grows with the document's states at the source; None: the order of arrival decides
    occurred_at: datetime
    cursor: Mapping[str, bytes | None]  # None: the part is gone; of a part that several name the last one counts
    left: Left | None = None  # after it; None where nobody can tell


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFailed:
    """One item that could not be read. The others go on.

    It is tried again by each pass that meets it; where it is one of an ItemConnector, also by looks of its own
    (ADR 0156), so a connector may let an incremental pass end though an item failed.
    """

    external_id: str
    error: HeadwaterError


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMirrored:
    """A group of the source as it is now: a team, or the readers of a space. No document is touched by it.

    `group_id` is the source's own; the directory's record is `SOURCE:group_id`, the principal `group:SOURCE:group_id`.
    """

    group_id: str
    group: Group | None  # None: it is gone, and nobody is in it
    cursor: Mapping[str, bytes | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CursorMoved:
    """Parts of the cursor that are true once all that was yielded before is submitted, though nothing new was seen.

    They are saved before anything that is yielded after it is submitted. For a source that says where it resumes
    between its items, or when there are none: such a place may expire unused.
    """

    cursor: Mapping[str, bytes | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unnoted:
    """What a sync had begun to submit when it was killed: nobody knows whether it was. By their ids."""

    documents: frozenset[str] = frozenset()
    patched: frozenset[str] = frozenset()  # other documents: they exist, and their content is as the cursor says
    groups: frozenset[str] = frozenset()

    @property
    def external_ids(self) -> frozenset[str]:
        """Return those of all documents."""
        return self.documents | self.patched

    def __bool__(self) -> bool:
        return bool(self.external_ids or self.groups)


Observed: TypeAlias = SourceChange | GroupMirrored | ItemFailed | CursorMoved | Left


class Connector(Protocol):
    """Reads one external source; blobs, events, cursors and endings belong to the runner."""

    async def check(self) -> None:
        """Raise FatalError with a message that names the setting to correct, and all that is missing at once.

        UnauthorisedError where a credential or a right is missing, SourceGoneError where there is nothing to read.
        """
        ...

    def changes(self, since: Cursor) -> AsyncIterator[Observed]:
        """Yield each changed document whole, or what changed of it; end when the source is as the cursor says.

        Groups that the access of documents names are yielded before those documents.

        An empty cursor asks for everything. Memory is bounded by the cursor, never by the content. Raises
        RetryableError when the source is away, FatalError when it refuses the credentials.
        """
        ...

    def unknown(self, unnoted: Unnoted, since: Cursor, /) -> Mapping[str, bytes | None]:
        """Return the parts of the cursor in which these are held, but as nobody knows what (ADR 0207). Pure.

        Who meets one of the documents then yields it whole, never as Patched; one that is missing is Deleted; a group
        is mirrored again.
        """
        ...


@runtime_checkable
class ReadyConnector(Connector, Protocol):
    """A source whose `check` asks for more than a sync must know to begin: what a part lacks, that part says."""

    async def ready(self) -> None:
        """Raise as `check` does, where a sync had better not begin. Every sync begins with it in place of `check`."""
        ...


@runtime_checkable
class FullConnector(Connector, Protocol):
    """A source whose `changes` trust the cursor. One that compares a listing needs no more than `changes`."""

    def everything(self, since: Cursor) -> AsyncIterator[Observed]:
        """Yield what `changes` would with an empty cursor, less what the cursor proves to be unchanged."""
        ...


@runtime_checkable
class ItemConnector(Connector, Protocol):
    """A source of which single items can be looked at: what a webhook names."""

    def items(self, external_ids: Collection[str], since: Cursor) -> AsyncIterator[Observed]:
        """Yield what differs from the cursor of these items alone. One that is gone is Deleted.

        An id that is none of a document, as one that was reported as failed may be, is passed over.
        """
        ...


@runtime_checkable
class PermissionsConnector(Connector, Protocol):
    """A source of which permissions can be read without contents, and change without `changes` seeing it."""

    def permissions(self, since: Cursor) -> AsyncIterator[Observed]:
        """Yield a Patched for each document whose readers differ from what the cursor says."""
        ...


@runtime_checkable
class LiveConnector(Connector, Protocol):
    """A source that tells of its changes as they happen."""

    def live(self, since: Cursor) -> AsyncIterator[Observed]:
        """Go on where `changes` ended and yield what changes, until cancelled. Nothing in between is missed."""
        ...
