"""What a reader's messages become: documents, places to resume from, and deletions only where a listing is whole."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from connectors.airbyte.connector import AirbyteConnector, ListingError, ListingIncompleteError
from connectors.airbyte.cursor import MAX_STATE_BYTES, part_of
from connectors.airbyte.messages import Catalog, Message, MessageError, Record, State, StreamComplete
from connectors.airbyte.reader import Reader
from connectors.protocol import (
    Cursor,
    CursorMoved,
    Deleted,
    ItemFailed,
    Left,
    Listing,
    Observed,
    Patched,
    SourceChange,
    Upserted,
)
from headwater.errors import FatalError, RetryableError
from headwater.settings import ReaderProgram
from headwater.sources.airbyte import AirbyteSettings
from schemas.ids import KnowledgeBaseId

PAGES, NOTES = StreamComplete(stream="pages"), StreamComplete(stream="notes")
BOTH = (PAGES, NOTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripted(Reader):
    """Says what it is told to, and remembers what it was given."""

    says: Sequence[Message | MessageError | Exception] = ()
    asked: list[tuple[Any, Any]] = field(default_factory=list)

    async def catalog(self) -> Catalog:
        modes = ["full_refresh", "incremental"]
        return Catalog(streams=tuple({"name": name, "supported_sync_modes": modes} for name in ("pages", "notes", "x")))

    async def read(self, catalog: Any, state: Any) -> AsyncGenerator[Message | MessageError, None]:
        self.asked.append((catalog, state))
        for each in self.says:
            if isinstance(each, Exception) and not isinstance(each, MessageError):
                raise each
            yield each


def record(page: str | None, text: str | None = "text", *, stream: str = "pages", at: float = 0, **more: Any) -> Record:
    data = {"id": page, "body": text, **more}
    return Record(stream=stream, data=data, emitted_at=datetime.fromtimestamp(at, tz=UTC))


def state(stream: str | None, number: int) -> State:
    return State(stream=stream, message={"number": number})


def connector(
    *says: Message | MessageError | Exception, modes: Sequence[str] = ("full", "full"), **settings: Any
) -> AirbyteConnector:
    wanted = {"id": "id", "text": "body", "deleted": "gone"}
    streams = {name: {**wanted, "mode": mode} for name, mode in zip(("pages", "notes"), modes, strict=False)}
    given = {"reader": "wiki", "streams": streams, "access": {"readers": ["everyone"]}, **settings}
    return AirbyteConnector(
        reader=Scripted(name="wiki", program=ReaderProgram(command=("x",)), config={}, secrets=(), says=says),
        settings=AirbyteSettings.model_validate(given),
        knowledge_base=KnowledgeBaseId("wiki"),
    )


async def all_of(changes: AsyncIterator[Observed], cursor: dict[str, bytes] | None = None) -> list[Observed]:
    """Return what is yielded; with a cursor, note in it what is."""
    found = []
    async for change in changes:
        found.append(change)
        if cursor is not None and not isinstance(change, ItemFailed | Left):
            for part, value in change.cursor.items():
                cursor.pop(part, None) if value is None else cursor.__setitem__(part, value)
    return found


async def held(*says: Message, **given: Any) -> dict[str, bytes]:
    cursor: dict[str, bytes] = {}
    await all_of(connector(*says, **given).changes({}), cursor)
    return cursor


def told(changes: Sequence[Observed]) -> list[tuple[str, str]]:
    """Return kind and id of each."""
    return [
        (type(each.what).__name__, each.external_id)
        if isinstance(each, SourceChange)
        else ("failed", each.external_id)
        if isinstance(each, ItemFailed)
        else (type(each).__name__, ",".join(each.cursor) if isinstance(each, CursorMoved) else "")
        for each in changes
    ]


async def deleted(cursor: Cursor, *says: Message | MessageError, **given: Any) -> list[str]:
    changes = await all_of(connector(*says, **given).changes(cursor))
    return [each.external_id for each in changes if isinstance(each, SourceChange) and isinstance(each.what, Deleted)]


def listings(found: Sequence[Observed]) -> list[tuple[str, Listing | None]]:
    """Return each deletion with the listing that it follows from."""
    changes = [each for each in found if isinstance(each, SourceChange)]
    return [(each.external_id, each.what.listing) for each in changes if isinstance(each.what, Deleted)]


async def test_only_a_complete_listing_deletes() -> None:
    cursor = await held(record("a"), record("b"), record("n", stream="notes"), *BOTH)
    assert await deleted(cursor, record("a"), record("n", stream="notes"), *BOTH) == ["pages/b"]
    with pytest.raises(ListingIncompleteError, match="listed all of pages; nothing is deleted"):
        await deleted(cursor, record("a"), record("n", stream="notes"), NOTES)
    with pytest.raises(ListingError, match="lists nothing of notes"):
        await deleted(cursor, record("a"), *BOTH)
    with pytest.raises(RetryableError, match="away"):
        await deleted(cursor, record("a"), *BOTH, RetryableError("away"))  # type: ignore[arg-type]


async def test_what_could_not_be_read_is_not_taken_for_gone() -> None:
    cursor = await held(record("a"), record("b"), record("n", stream="notes"), record("m", stream="notes"), *BOTH)
    rest = record("a"), record("n", stream="notes"), *BOTH
    assert await deleted(cursor, *rest) == ["notes/m", "pages/b"]
    assert await deleted(cursor, MessageError("half a line"), *rest) == []
    assert await deleted(cursor, record(None), *rest) == ["notes/m"]
    assert await deleted(cursor, record("b", None), *rest) == ["notes/m"]
    assert await deleted(cursor, MessageError("all of it"), *BOTH) == []


async def test_bad_records_are_parked_with_their_reason() -> None:
    found = await all_of(connector(record("a"), record("b", None), record(None), record("c"), *BOTH).changes({}))
    assert told(found) == [
        ("Upserted", "pages/a"),
        ("failed", "pages/b"),
        ("failed", "pages: a record"),
        ("Upserted", "pages/c"),
    ]
    assert [str(each.error) for each in found if isinstance(each, ItemFailed)] == [
        "pages: no text in body",
        "pages: a record without id, its id",
    ]


async def test_states_are_places_behind_what_came_before_them() -> None:
    says = (
        record("a"),
        state("pages", 1),
        record("b"),
        state("pages", 2),
        state("notes", 3),
        state("x", 4),
        state(None, 5),
    )
    found = await all_of(connector(*says, *BOTH, modes=("incremental", "full")).changes({}))
    assert told(found) == [
        ("Upserted", "pages/a"),
        ("CursorMoved", "s:pages"),
        ("Upserted", "pages/b"),
        ("CursorMoved", "s:pages"),
        ("CursorMoved", "s:"),
    ]


async def test_a_state_goes_back_to_the_reader_that_said_it() -> None:
    modes = "incremental", "incremental"
    cursor = await held(record("a"), state("pages", 2), state("notes", 3), *BOTH, modes=modes)
    one = connector(modes=("incremental", "full"))
    with pytest.raises(ListingIncompleteError):
        await all_of(one.changes(cursor))
    assert isinstance(one.reader, Scripted)
    ((catalog, states),) = one.reader.asked
    assert states == [{"number": 2}]
    assert [each["sync_mode"] for each in catalog["streams"]] == ["incremental", "full_refresh"]


async def test_everything_is_listed_whole_and_leaves_states_alone() -> None:
    modes = "incremental", "incremental"
    cursor = await held(record("a"), record("b"), state("pages", 2), *BOTH, modes=modes)
    assert await deleted(cursor, record("a"), *BOTH, modes=modes) == []
    whole = connector(record("a"), state("pages", 9), state(None, 9), *BOTH, modes=modes)
    found = await all_of(whole.everything(cursor))
    assert told(found) == [("Deleted", "pages/b")]
    assert isinstance(whole.reader, Scripted)
    ((catalog, states),) = whole.reader.asked
    assert states is None
    assert {each["sync_mode"] for each in catalog["streams"]} == {"full_refresh"}


async def test_no_state_is_kept_past_what_could_not_be_read() -> None:
    modes = "incremental", "incremental"
    says = record("a"), state("pages", 1), record("b", None), state("pages", 2), state("notes", 3), state(None, 4)
    found = await all_of(connector(*says, *BOTH, modes=modes).changes({}))
    assert [each for each in told(found) if each[0] == "CursorMoved"] == [
        ("CursorMoved", "s:pages"),
        ("CursorMoved", "s:notes"),
    ]


async def test_a_marker_deletes_what_is_held_alone() -> None:
    cursor = await held(record("a"), PAGES, modes=("incremental",))
    says = record("a", gone=True), record("a", gone=True), record("z", gone=True), record("a", "back")
    found = await all_of(connector(*says, modes=("incremental",)).changes(cursor))
    assert told(found) == [("Deleted", "pages/a"), ("Upserted", "pages/a")]


async def test_what_is_said_twice_is_one_change() -> None:
    found = await all_of(connector(record("a"), record("a"), record("a", "new"), PAGES, modes=("full",)).changes({}))
    assert told(found) == [("Upserted", "pages/a")] * 2


async def test_each_stream_is_a_listing_of_its_own() -> None:
    notes = [record(name, stream="notes") for name in "xyz"]
    cursor = await held(record("a"), record("b"), *notes, *BOTH)
    found = await all_of(connector(record("b"), record("c"), notes[0], *BOTH).changes(cursor))
    pages, rest = Listing(name="pages", known=2, shown=2), Listing(name="notes", known=3, shown=1)
    assert listings(found) == [("notes/y", rest), ("notes/z", rest), ("pages/a", pages)]


async def test_a_deletion_that_is_told_or_set_is_no_listings_word() -> None:
    cursor = await held(record("a"), record("n", stream="notes"), *BOTH)
    found = await all_of(connector(record("a", gone=True), PAGES, modes=("full",)).changes(cursor))
    assert listings(found) == [("pages/a", None), ("notes/n", None)]


async def test_a_stream_that_is_not_named_any_more_is_deleted() -> None:
    cursor = await held(record("a"), record("n", stream="notes"), *BOTH)
    assert await deleted(cursor, record("a"), PAGES, modes=("full",)) == ["notes/n"]
    assert await deleted(cursor, record("a"), record(None), PAGES, modes=("full",)) == []


async def test_a_look_has_its_time_within_the_pass() -> None:
    before = datetime.now(UTC).timestamp() * 1e9
    found = await all_of(connector(record("a", at=0), record("b", at=9e9), *BOTH).changes({}))
    after = datetime.now(UTC).timestamp() * 1e9
    versions = [each.source_version for each in found if isinstance(each, SourceChange)]
    assert all(version is not None and before - 1e6 <= version <= after + 1e6 for version in versions)


async def test_rules_that_changed_are_told_without_reading() -> None:
    cursor = await held(record("a"), record("b"), *BOTH)
    rules = {"readers": ["everyone"], "prefixes": {"pages/b": {"readers": ["user:ann"]}}}
    changed = connector(access=rules)
    found = await all_of(changed.permissions(cursor), cursor)
    assert told(found) == [("Patched", "pages/b")]
    assert isinstance(found[0], SourceChange)
    assert isinstance(found[0].what, Patched)
    assert found[0].what.patch.access is not None
    assert [each.principals for each in found[0].what.patch.access.clauses] == [("everyone",), ("user:ann",)]
    assert isinstance(changed.reader, Scripted)
    assert changed.reader.asked == []
    assert await all_of(changed.permissions(cursor)) == []


async def test_a_rule_that_is_none_closes_and_is_reported() -> None:
    found = await all_of(connector(record("a"), PAGES, modes=("full",), access={"readers": ["ann"]}).changes({}))
    assert told(found) == [("Upserted", "pages/a"), ("failed", "access")]
    assert isinstance(found[0], SourceChange)
    assert isinstance(found[0].what, Upserted)
    assert found[0].what.state.access.clauses == ()
    cursor = await held(record("a"), PAGES, modes=("full",))
    again = await all_of(connector(record("a"), PAGES, modes=("full",), access={"readers": ["ann"]}).changes(cursor))
    assert told(again) == [("Patched", "pages/a"), ("failed", "access")]


def test_a_state_that_the_log_cannot_take_is_named() -> None:
    noise = Random(7).randbytes(MAX_STATE_BYTES).hex()
    with pytest.raises(FatalError, match="state takes"):
        part_of(State(stream="pages", message={"seen": noise}))
