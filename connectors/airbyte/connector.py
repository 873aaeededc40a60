"""A reader's streams as documents: whole listings compared with the cursor, or what came since the reader's state."""

import hashlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from connectors.airbyte.cursor import ITEM, Held, held_in, part_of, states_for
from connectors.airbyte.mapping import RecordError, external_id_of, is_deleted, mapped, stream_prefix
from connectors.airbyte.messages import Message, MessageError, Record, State, StreamComplete
from connectors.airbyte.reader import Reader
from connectors.airbyte.selection import chosen, configured
from connectors.parts import Parts
from connectors.prefixes import PrefixAccess
from connectors.protocol import (
    Cursor,
    CursorMoved,
    Deleted,
    ItemFailed,
    Listing,
    Observed,
    Patched,
    SourceChange,
    Unnoted,
    Upserted,
)
from headwater.errors import FatalError, RetryableError
from headwater.sources.airbyte import AirbyteSettings, StreamSettings
from schemas.events.documents import Access, DocumentPatch, DocumentState
from schemas.ids import KnowledgeBaseId


class ListingError(FatalError):
    """A listing that cannot be believed. Nothing is deleted on its word."""


class ListingIncompleteError(RetryableError):
    """A listing that its reader did not call complete. Nothing is deleted on its word."""


@dataclass(slots=True, kw_only=True)
class Pass:
    """What one reading has seen so far. `full`: the streams of which all is listed."""

    held: Parts
    known: Counter[str]  # documents that were held when it began, by their stream's prefix
    full: frozenset[str]
    began_ns: int
    seen: Parts = field(default_factory=Parts)
    complete: set[str] = field(default_factory=set)
    unsure: set[str | None] = field(default_factory=set)  # streams with something unread, None: any may have

    def is_sure_of(self, stream: str | None) -> bool:
        """Say whether everything of a stream (None: of all) that was said could be read."""
        return not self.unsure if stream is None else not self.unsure & {stream, None}


@dataclass(frozen=True, slots=True, kw_only=True)
class AirbyteConnector:
    """Implements Connector, FullConnector and PermissionsConnector; one pass at a time."""

    reader: Reader
    settings: AirbyteSettings
    knowledge_base: KnowledgeBaseId
    _catalog: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # asked for once

    async def check(self) -> None:
        """See the protocol."""
        await self.reader.check()
        await self._streams()

    def changes(self, since: Cursor) -> AsyncIterator[Observed]:
        """Yield what differs from the cursor: of streams with mode `full` all is listed, and deletions come last.

        Raises, having deleted nothing: ListingIncompleteError where the reader does not call a stream complete,
        ListingError where one lists nothing that listed something; what `Reader.read` raises.
        """
        full = frozenset(name for name, stream in self.settings.streams.items() if stream.mode == "full")
        return self._read(since, full)

    def everything(self, since: Cursor) -> AsyncIterator[Observed]:
        """See the protocol. The reader's states stay as they are: an incremental pass goes on from them."""
        return self._read(since, frozenset(self.settings.streams))

    async def permissions(self, since: Cursor) -> AsyncIterator[Observed]:
        """See the protocol. Rules are of the settings, so nothing is read."""
        rules = self._rules()
        for change in self._reshared(held_in(since), rules):
            yield change
        for broken in _broken(rules):
            yield broken

    def unknown(self, unnoted: Unnoted, since: Cursor) -> Mapping[str, bytes | None]:
        """See the protocol. Records are told again, for no state was kept past them; changed rules are not."""
        held = {each: Held.of(since.get(ITEM + each, b"")) for each in unnoted.patched}
        patched = {ITEM + each: replace(was, access="").to_bytes() for each, was in held.items()}
        return {**dict.fromkeys((ITEM + each for each in unnoted.documents), b""), **patched}

    async def _read(self, since: Cursor, full: frozenset[str]) -> AsyncIterator[Observed]:
        rules, held = self._rules(), held_in(since)
        for shared in self._reshared(held, rules):  # first: it never waits for a reader that is away
            yield shared
        # No record is older than what was said of its document just now, however far the reader's clock is behind.
        seen = Pass(held=held, known=_by_stream(held), full=full, began_ns=time.time_ns())
        since_states = states_for(since, set(self.settings.streams) - full)
        catalog = configured(await self._streams(), self.settings, full=full)
        async with aclosing(self.reader.read(catalog, since_states)) as messages:  # lest it live on, unheard
            async for message in messages:
                for change in self._observed(message, seen, rules):
                    yield change
        for broken in _broken(rules):
            yield broken
        for missing in self._missing(seen):
            yield missing

    def _observed(self, message: Message | MessageError, seen: Pass, rules: PrefixAccess) -> Iterator[Observed]:
        match message:
            case Record() if message.stream in self.settings.streams:
                yield from self._of_record(message, self.settings.streams[message.stream], seen, rules)
            case MessageError():
                seen.unsure.add(None)
                yield ItemFailed(external_id=f"{self.reader.name}: a message", error=message)
            case StreamComplete():
                seen.complete.add(message.stream)
            case State() if self._resumes(message, seen) and seen.is_sure_of(message.stream):
                # Past what could not be read no state is kept: the next pass reads it again.
                yield CursorMoved(cursor=part_of(message))
            case _:
                pass

    def _of_record(
        self, record: Record, wanted: StreamSettings, seen: Pass, rules: PrefixAccess
    ) -> Iterator[SourceChange | ItemFailed]:
        external_id = f"{record.stream}: a record"
        try:
            external_id = external_id_of(record, wanted)
            seen.seen[external_id] = b""
            change = self._difference(external_id, record, wanted, seen, rules)
        except RecordError as error:
            # Without an id it could be any of them; with one it was seen, and only its state is not known.
            if external_id not in seen.seen or record.stream not in seen.full:
                seen.unsure.add(record.stream)
            yield ItemFailed(external_id=external_id, error=error)
            return
        if change is not None:
            yield change

    def _difference(
        self, external_id: str, record: Record, wanted: StreamSettings, seen: Pass, rules: PrefixAccess
    ) -> SourceChange | None:
        held = seen.held.get(external_id)
        looked_ns = _looked_ns(record, seen.began_ns)
        if is_deleted(record, wanted):
            return None if seen.held.pop(external_id, None) is None else _deletion(external_id, looked_ns, None)
        document = mapped(record, wanted, name=external_id.removeprefix(stream_prefix(record.stream)))
        access = rules.access(external_id)
        now = Held(content=document.token, access=_token(access)).to_bytes()
        if held == now:
            return None
        seen.held[external_id] = now

        async def content() -> AsyncIterator[bytes]:
            yield document.text

        state = DocumentState(
            knowledge_base=self.knowledge_base,
            title=document.title,
            url=document.url,
            media_type=document.media_type,
            access=access,
            attributes=document.attributes,
        )
        return SourceChange(
            external_id=external_id,
            what=Upserted(state=state, content=content),
            source_version=looked_ns,
            occurred_at=document.occurred_at,
            cursor={ITEM + external_id: now},
        )

    def _missing(self, seen: Pass) -> Iterator[SourceChange]:
        """Yield the deletions. The reader ended well; see `changes` for what is raised instead."""
        silent = sorted(seen.full - seen.complete)
        if silent:
            raise ListingIncompleteError(
                f"reader {self.reader.name}: did not say that it listed all of {', '.join(silent)}; nothing is "
                "deleted. If it never says so, set `mode: incremental` for them"
            )
        prefixes = {stream: stream_prefix(stream) for stream in self.settings.streams}
        empty = [
            stream
            for stream in sorted(seen.full)
            if any(seen.held.below(prefixes[stream])) and not any(seen.seen.below(prefixes[stream]))
        ]
        if empty and seen.is_sure_of(None):
            raise ListingError(
                f"reader {self.reader.name}: lists nothing of {', '.join(empty)} where there was something; nothing is "
                "deleted. If it is really gone, remove the source; else check the rights of its credentials"
            )
        shown = _by_stream(seen.seen)
        listings = {
            stream: Listing(name=stream, known=seen.known[prefix], shown=shown[prefix])
            for stream, prefix in prefixes.items()
        }
        kept = tuple(prefix for stream, prefix in prefixes.items() if stream not in seen.full)
        now_ns = time.time_ns()
        for external_id in (each for each in seen.held if each not in seen.seen):
            stream = next((name for name, prefix in prefixes.items() if external_id.startswith(prefix)), None)
            if not external_id.startswith(kept) and seen.is_sure_of(stream):
                # Of a stream that is not named any more the settings tell, not a listing.
                yield _deletion(external_id, now_ns, None if stream is None else listings[stream])

    def _reshared(self, held: Parts, rules: PrefixAccess) -> Iterator[SourceChange]:
        """Yield a Patched for each document whose access is another by now, and note it in `held`."""
        for external_id, was in held.below(""):
            access = rules.access(external_id)
            now = Held(content=Held.of(was).content, access=_token(access)).to_bytes()
            if was and now != was:  # empty: nobody knows what was submitted, so its record is submitted whole
                held[external_id] = now
                yield SourceChange(
                    external_id=external_id,
                    what=Patched(patch=DocumentPatch(access=access)),
                    source_version=time.time_ns(),
                    occurred_at=datetime.now(UTC),
                    cursor={ITEM + external_id: now},
                )

    def _resumes(self, state: State, seen: Pass) -> bool:
        """Say whether a later pass goes on from a state: one of a whole listing leads nowhere."""
        incremental = self.settings.streams.keys() - seen.full
        return bool(incremental) if state.stream is None else state.stream in incremental

    async def _streams(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the streams that the settings name. Raise FatalError for one that there is not."""
        if not self._catalog:
            self._catalog.update(chosen(await self.reader.catalog(), self.settings))
        return self._catalog

    def _rules(self) -> PrefixAccess:
        return PrefixAccess(rules=self.settings.access, name="settings.access")


def _broken(rules: PrefixAccess) -> Iterator[ItemFailed]:
    for place, error in sorted(rules.broken.items()):
        yield ItemFailed(external_id=f"access: {place}" if place else "access", error=error)


def _looked_ns(record: Record, began_ns: int) -> int:
    """Return when the reader saw a record; a clock that is off does not lead out of the pass."""
    return max(began_ns, min(int(record.emitted_at.timestamp() * 1e9), time.time_ns()))


def _by_stream(external_ids: Iterable[str]) -> Counter[str]:
    """Count documents by their stream's prefix, which holds no slash but its last."""
    return Counter(external_id[: external_id.find("/") + 1] for external_id in external_ids)


def _deletion(external_id: str, looked_ns: int, listing: Listing | None) -> SourceChange:
    return SourceChange(
        external_id=external_id,
        what=Deleted(listing=listing),
        source_version=looked_ns,
        occurred_at=datetime.now(UTC),
        cursor={ITEM + external_id: None},
    )


def _token(access: Access) -> str:
    return hashlib.sha256(repr(access).encode()).hexdigest()[:16]
