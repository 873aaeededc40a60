"""A source that a test owns, and one who follows it as the runner and admission do."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, runtime_checkable

from connectors.cursors import noted, without_marks
from connectors.doubts import doubt_of
from connectors.in_flight import InFlight
from connectors.passes import Pass, looks_of, passes_of
from connectors.protocol import (
    Connector,
    CursorMoved,
    Deleted,
    GroupMirrored,
    ItemFailed,
    Left,
    Observed,
    Patched,
    SourceChange,
    Upserted,
)
from connectors.work import CHANGES, Work
from headwater.errors import HeadwaterError, PoisonError
from headwater.settings import ConnectorSettings
from schemas.events.documents import Access, AttributeValue, Link
from schemas.ids import Principal


class Followed(Protocol):
    """A source that somebody follows."""

    def connector(self) -> Connector:
        """Return a connector that knows nothing of earlier ones."""
        ...

    def name_of(self, external_id: str) -> str:
        """Return the name that a test gave an item."""
        ...


class SourceHarness(Followed, Protocol):
    """What a test does to a source. Items have a name, a text and readers of their own; a name is `folder/name.md`."""

    @property
    def downloads(self) -> int:
        """How many contents were opened so far."""
        ...

    @property
    def lacks(self) -> Mapping[str, str]:
        """Which of `troubles` mean nothing for this source, and why. For all others there are the hooks."""
        ...

    def put(self, name: str, text: str) -> None:
        """Make or edit an item."""
        ...

    def rename(self, old: str, new: str) -> None: ...

    def delete(self, name: str) -> None: ...

    def share(self, name: str, readers: Sequence[str]) -> None:
        """Say who may read an item; it may have to be made afterwards."""
        ...

    def before_read(self, name: str, act: Callable[[], None]) -> None:
        """Do something once, when this item's content is about to be read."""
        ...

    def break_listing(self) -> None:
        """Let every listing from now on fail after some items."""
        ...

    def empty_listing(self) -> None:
        """Let every listing from now on show nothing, without an error."""
        ...

    def mend(self) -> None:
        """End what the last two began."""
        ...

    def truth(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Return, by name, text and readers as they are."""
        ...


@runtime_checkable
class SharesByGroup(Protocol):
    """A source whose documents name one group of their readers, where its `truth` names the readers themselves."""

    shares_by_group: Literal[True]


@runtime_checkable
class SharesWithin(Protocol):
    """A source whose documents have a clause of what they lie in, before that of their own which `truth` names."""

    @property
    def outer(self) -> Sequence[str]:
        """The readers that this clause names."""
        ...


@dataclass(slots=True)
class Document:
    """What is known of one document."""

    text: str
    access: Access
    version: int
    title: str = ""
    url: str | None = None
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    links: Sequence[Link] = ()


class KilledError(Exception):
    """Who follows is dead."""


@dataclass(slots=True)
class Follower:
    """Submits as the runner does and admits as admission does; a `batch` of changes is read before any is noted.

    `notes_left`: after so many notes in the cursor it is killed in place of the next one. What that note is about was
    submitted. None: it lives.
    """

    source: Followed
    batch: int = 1
    cursor: dict[str, bytes] = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)
    failed: dict[str, HeadwaterError] = field(default_factory=dict)
    groups: dict[str, tuple[Principal, ...]] = field(default_factory=dict)  # members by the source's own id
    deleted: list[str] = field(default_factory=list)
    waiting: set[str] = field(default_factory=set)  # for an administrator
    stale: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)  # submitted, though it was known already
    notes_left: int | None = None
    in_flight: InFlight = field(default_factory=lambda: InFlight({}))

    async def follow(self, at_most: int | None = None) -> list[SourceChange]:
        """Look at what changed, or at what of it is yielded first; return the changes that were submitted."""
        return await self._work(CHANGES, at_most)

    async def follow_all(self) -> list[SourceChange]:
        """Look at everything; return the changes that were submitted."""
        return await self._work(Work(full=True))

    async def _work(self, work: Work, at_most: int | None = None) -> list[SourceChange]:
        self.failed.clear()
        connector = self.source.connector()
        self.in_flight = flight = InFlight(self.cursor)
        self._save(connector.unknown(flight.left, without_marks(self.cursor)))
        submitted = await self._run(passes_of(connector, work), at_most)
        if at_most is not None and len(submitted) >= at_most:
            return submitted
        submitted += await self._run(looks_of(connector, work, flight.left.external_ids))
        self._save(flight.ended())
        return submitted

    async def _run(self, passes: Sequence[Pass], at_most: int | None = None) -> list[SourceChange]:
        (each,) = passes or (None,)
        return await self.submit(each.of(without_marks(self.cursor)), at_most) if each is not None else []

    async def submit(self, changes: AsyncIterator[Observed], at_most: int | None = None) -> list[SourceChange]:
        submitted: list[SourceChange] = []
        waiting: list[SourceChange] = []
        async with aclosing(changes):  # type: ignore[type-var]  # an iterator by its protocol, a generator in fact
            async for change in changes:
                if isinstance(change, Left):
                    continue
                if isinstance(change, ItemFailed):
                    self.failed[change.external_id] = change.error
                    continue
                if isinstance(change, GroupMirrored):
                    self._mirror(change)
                    continue
                if isinstance(change, CursorMoved):
                    submitted += await self._submit(waiting)
                    waiting = []
                    self._note(change.cursor)
                    continue
                waiting.append(change)
                if len(waiting) >= self.batch or len(submitted) + len(waiting) == at_most:
                    submitted += await self._submit(waiting)
                    waiting = []
                if at_most is not None and len(submitted) >= at_most:
                    return submitted
        return submitted + await self._submit(waiting)

    def _mirror(self, group: GroupMirrored) -> None:
        self._save(self.in_flight.begun([group]))
        before = self.groups.pop(group.group_id, None)
        if group.group is not None:
            self.groups[group.group_id] = group.group.members
        if before == self.groups.get(group.group_id):
            self.repeated.append(group.group_id)
        self._note({**group.cursor, **self.in_flight.noted([group])})

    def _note(self, parts: Mapping[str, bytes | None]) -> None:
        if self.notes_left is not None:
            if not self.notes_left:
                raise KilledError
            self.notes_left -= 1
        self._save(parts)

    def _save(self, parts: Mapping[str, bytes | None]) -> None:
        for part, state in parts.items():
            if state is None:
                self.cursor.pop(part, None)
            else:
                self.cursor[part] = state

    async def _submit(self, changes: Sequence[SourceChange]) -> list[SourceChange]:
        read = [(change, text) for change in changes if (text := await self._text(change)) is not None]
        good = [change for change, _ in read]
        if good:
            self._save(self.in_flight.begun(good))
            for change, text in read:
                self._admitted(change, text)
            self._note({**noted(good), **self.in_flight.noted(good)})
        return good

    async def _text(self, change: SourceChange) -> str | None:
        """Return a change's content; None where it cannot be read."""
        if not isinstance(change.what, Upserted) or change.what.content is None:
            return ""
        try:
            return b"".join([piece async for piece in change.what.content()]).decode()
        except PoisonError as error:
            self.failed[change.external_id] = error
            return None

    def _admitted(self, change: SourceChange, text: str) -> None:
        known = self.documents.get(change.external_id)
        if known is not None and change.source_version is not None and change.source_version < known.version:
            self.stale.append(change.external_id)
            return
        self._admit(change, text, known)
        if known is not None and self._is_as_before(change.external_id, known):
            self.repeated.append(change.external_id)

    def _is_as_before(self, external_id: str, known: Document) -> bool:
        now = self.documents.get(external_id)
        return now is not None and replace(now, version=known.version) == known

    def _admit(self, change: SourceChange, text: str, known: Document | None) -> None:
        match change.what:
            case Upserted():
                state = change.what.state
                self.waiting.discard(change.external_id)
                self.documents[change.external_id] = Document(
                    text,
                    state.access,
                    change.source_version or 0,
                    state.title,
                    state.url,
                    state.attributes,
                    state.links,
                )
            case Patched():
                assert known is not None, "a patch of a document that was never submitted"
                patch = change.what.patch
                assert patch.access is not None
                self.documents[change.external_id] = Document(
                    known.text,
                    patch.access,
                    change.source_version or 0,
                    patch.title or known.title,
                    patch.url or known.url,
                    {**known.attributes, **patch.attributes},
                    known.links if patch.links is None else patch.links,
                )
            case Deleted(listing=listing) if listing is not None and doubt_of(listing, ConnectorSettings()):
                self.waiting.add(change.external_id)
            case Deleted():
                if change.external_id not in self.documents:
                    self.repeated.append(change.external_id)
                self.deleted.append(change.external_id)
                self.documents.pop(change.external_id, None)

    def view(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Return what is known, as the source's `truth`."""
        return {
            self.source.name_of(external_id): (document.text, self._readers(document))
            for external_id, document in self.documents.items()
        }

    def _readers(self, document: Document) -> tuple[str, ...]:
        readers = readers_of(document.access, self.source.outer if isinstance(self.source, SharesWithin) else None)
        return resolved(readers, self.groups) if isinstance(self.source, SharesByGroup) else readers


def readers_of(access: Access, outer: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the readers that the last clause names; none where it is for nobody.

    Where there is any other clause than `outer` before it, or somebody is denied, return all of it: no `truth` says so.
    """
    clauses = [tuple(each.principals) for each in access.clauses]
    before = [] if outer is None else [tuple(outer)]
    is_plain = clauses == before or clauses[:-1] == before
    return clauses[-1] if clauses and is_plain and not access.deny else tuple(map(str, (*clauses, *access.deny)))


def resolved(readers: Sequence[str], groups: Mapping[str, Sequence[Principal]]) -> tuple[str, ...]:
    """Put members in place of groups that were mirrored, as the directory does; in order if there were any."""
    found: set[str] = set()
    frontier, seen = list(readers), set[str]()
    while frontier:
        reader = frontier.pop()
        group_id = reader.split(":", 2)[-1] if reader.startswith("group:") else ""
        if group_id not in groups:
            found.add(reader)
        elif group_id not in seen:
            seen.add(group_id)
            frontier += groups[group_id]
    return tuple(sorted(found)) if seen else tuple(readers)
