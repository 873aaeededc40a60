"""A cursor belongs to one life of its source: under the same name another one begins at the beginning."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.endings import Ending
from connectors.protocol import Cursor, SourceChange, Upserted
from connectors.runner import CREATED_MARK, SYNCED_MARK, Runner
from headwater.settings import Settings
from schemas.events.base import Lane
from schemas.ids import Revision
from tests.support.blobs import FakeBlobStore
from tests.support.heads import ACME, FILES, NOON, state
from tests.support.running import FakeCursors, FakeProducer, Forgetful


class OnePage(Forgetful):
    """A source of one page, which is told of once."""

    async def check(self) -> None:
        """Nothing can be wrong."""

    async def changes(self, since: Cursor) -> AsyncIterator[SourceChange]:
        if "page" not in since:
            yield SourceChange(
                source_version=None,
                external_id="page.md",
                what=Upserted(state=state(content=None), content=None),
                occurred_at=datetime.now(UTC),
                cursor={"page": b"seen"},
            )


async def sync(cursors: FakeCursors, created: int | None) -> tuple[Ending, list[Lane]]:
    producer: Any = FakeProducer()
    runner = Runner(
        settings=Settings(),
        connector=OnePage(),
        cursors=cursors,
        blobs=FakeBlobStore(),
        producer=producer,
        tenant=ACME,
        source=FILES,
        created=None if created is None else Revision(created),
    )
    report = await runner.sync()
    return report.ending, [each.lane for each in producer.sent]


async def test_another_source_of_the_same_name_is_read_from_the_beginning() -> None:
    cursors = FakeCursors()
    assert await sync(cursors, 7) == (Ending.COMPLETED, [Lane.BACKFILL])
    assert await sync(cursors, 7) == (Ending.NOTHING_NEW, [])
    assert await sync(cursors, 9) == (Ending.COMPLETED, [Lane.BACKFILL])
    assert cursors.parts[CREATED_MARK] == b"9"
    assert cursors.parts.keys() == {CREATED_MARK, SYNCED_MARK, "page"}


async def test_a_cursor_of_before_sources_were_told_apart_is_of_another_life() -> None:
    cursors = FakeCursors()
    cursors.parts = {SYNCED_MARK: NOON.isoformat().encode(), "page": b"seen", "other": b"gone"}
    assert await sync(cursors, 9) == (Ending.COMPLETED, [Lane.BACKFILL])
    assert "other" not in cursors.parts


@pytest.mark.parametrize("mark", [{}, {CREATED_MARK: b"7"}])
async def test_where_lives_cannot_be_told_apart_the_cursor_holds(mark: dict[str, bytes]) -> None:
    cursors = FakeCursors()
    before = cursors.parts = {SYNCED_MARK: NOON.isoformat().encode(), "page": b"seen", **mark}
    assert await sync(cursors, None) == (Ending.NOTHING_NEW, [])
    assert cursors.parts == before
