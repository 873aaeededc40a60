"""The runner on a real broker: content, then submission, then cursor; killed in between, it loses nothing."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.cursors import CursorStore, without_marks
from connectors.endings import Ending
from connectors.filesystem.connector import FilesystemConnector
from connectors.in_flight import MARK as IN_FLIGHT
from connectors.protocol import Cursor, GroupMirrored, Observed
from connectors.runner import BATCH, Runner
from schemas.codec import decode
from schemas.events.base import Lane
from schemas.events.directory import DirectoryKind, DirectoryOp, DirectorySubmitted, Group
from schemas.events.documents import DocumentSubmitted, SubmissionOp
from schemas.ids import KnowledgeBaseId, Principal, SourceId
from schemas.topics import Topic
from tests.support.admission import Installation
from tests.support.blobs import FakeBlobStore
from tests.support.folders import pages_in
from tests.support.heads import ACME
from tests.support.running import Forgetful
from tests.support.waiting import reached

pytestmark = pytest.mark.real

SOURCE = SourceId("files")
HANDBOOK = KnowledgeBaseId("handbook")
PAGES = BATCH + 10  # more than one batch, so that a kill comes between two


class KilledError(BaseException):
    """Stands for a SIGKILL: nothing of the runner's handles it."""


class DyingCursors(CursorStore):
    """The process ends when the second batch is to be noted: its submissions are in the log."""

    noted = 0

    async def save(self, parts: Mapping[str, bytes | None]) -> None:
        """Note once, then die."""
        if self.noted == 1 and parts.keys() != {IN_FLIGHT}:
            raise KilledError
        self.noted += parts.keys() != {IN_FLIGHT}
        await super().save(parts)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return pages_in(tmp_path / "tree", PAGES)


def runner(
    own: Installation, root: Path, *, blobs: FakeBlobStore | None = None, cursors: type[CursorStore] = CursorStore
) -> Runner:
    return Runner(
        settings=own.settings,
        connector=connector(root),
        cursors=cursors(own.settings, own.producer, tenant=ACME, source=SOURCE),
        blobs=blobs or FakeBlobStore(),
        producer=own.producer,
        tenant=ACME,
        source=SOURCE,
    )


def connector(root: Path) -> FilesystemConnector:
    return FilesystemConnector(root=root, knowledge_base=HANDBOOK)


async def submissions(own: Installation, lane: Lane) -> list[DocumentSubmitted]:
    topic = Topic.DOCUMENTS_SUBMITTED if lane is Lane.LIVE else Topic.DOCUMENTS_BACKFILL
    return [decode(record.value or b"", DocumentSubmitted) for record in await own.records(topic)]


async def test_a_first_pass_submits_everything_to_the_backfill_lane(own: Installation, root: Path) -> None:
    blobs = FakeBlobStore()
    report = await runner(own, root, blobs=blobs).sync()
    assert (report.ending, report.upserted) == (Ending.COMPLETED, PAGES)

    found = await submissions(own, Lane.BACKFILL)
    assert len({each.external_id for each in found}) == len(found) == PAGES
    for each in found:
        assert each.state is not None
        assert each.state.content is not None
        assert await blobs.exists(ACME, each.state.content)
    assert await submissions(own, Lane.LIVE) == []


async def test_a_second_pass_sends_nothing(own: Installation, root: Path) -> None:
    await runner(own, root).sync()
    report = await runner(own, root).sync()
    assert (report.ending, report.content_bytes) == (Ending.NOTHING_NEW, 0)
    assert len(await submissions(own, Lane.BACKFILL)) == PAGES
    assert await submissions(own, Lane.LIVE) == []


async def test_what_changes_after_the_first_pass_is_live(own: Installation, root: Path) -> None:
    await runner(own, root).sync()
    (root / "page-000.md").write_text("# Another page")
    (root / "page-001.md").unlink()
    report = await runner(own, root).sync()
    assert (report.ending, report.upserted, report.deleted) == (Ending.COMPLETED, 1, 1)
    found = {each.external_id: each.op for each in await submissions(own, Lane.LIVE)}
    assert found == {"page-000.md": SubmissionOp.PUT, "page-001.md": SubmissionOp.DELETE}


async def test_killed_between_submission_and_cursor_it_submits_again_and_loses_nothing(
    own: Installation, root: Path
) -> None:
    with pytest.raises(KilledError):
        await runner(own, root, cursors=DyingCursors).sync()
    begun = await submissions(own, Lane.BACKFILL)
    cursor = without_marks(await CursorStore(own.settings, own.producer, tenant=ACME, source=SOURCE).load())
    assert 0 < len(cursor) < len(begun)
    unnoted = {each.external_id for each in begun} - cursor.keys()
    vanished = min(unnoted)
    (root / vanished).unlink()

    report = await runner(own, root).sync()
    assert (report.ending, report.deleted) == (Ending.COMPLETED, 1)
    found = await submissions(own, Lane.BACKFILL)
    times = Counter(each.external_id for each in found)
    assert len(times) == PAGES
    assert {name for name, count in times.items() if count == 2} == unnoted
    assert {name for name, count in times.items() if count == 1} >= cursor.keys()
    assert [each.external_id for each in found if each.op is SubmissionOp.DELETE] == [vanished]
    assert (await runner(own, root).sync()).ending is Ending.NOTHING_NEW


async def test_it_follows_what_happens_and_goes_on_where_it_was_stopped(own: Installation, root: Path) -> None:
    await runner(own, root).sync()
    (root / "page-000.md").write_text("# Written while nobody looked")
    following = asyncio.create_task(runner(own, root).follow(connector(root)))
    try:
        await reached(lambda: is_live(own, "page-000.md"), deadline_s=120, every_s=0.1)
        (root / "page-001.md").write_text("# Written while the runner looks")
        await reached(lambda: is_live(own, "page-001.md"), deadline_s=120, every_s=0.1)
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


class Team(Forgetful):
    """A source that has nothing but two groups; one of them is gone."""

    async def check(self) -> None:
        """Nothing to check."""

    async def changes(self, since: Cursor) -> AsyncIterator[Observed]:
        if not since:
            members = (Principal("user:ann"), Principal("group:files:others"))
            yield GroupMirrored(group_id="team:1", group=Group(name="One", members=members), cursor={"team:1": b"seen"})
            yield GroupMirrored(group_id="team:2", group=None, cursor={"team:2": None})


async def test_groups_of_a_source_become_groups_of_the_directory(own: Installation, root: Path) -> None:
    team = replace(runner(own, root), connector=Team())
    assert (await team.sync()).ending is Ending.COMPLETED
    found = [decode(each.value or b"", DirectorySubmitted) for each in await own.records(Topic.DIRECTORY_SUBMITTED)]
    made, gone = [each for each in found if each.kind is DirectoryKind.GROUP]
    assert (made.record_id, made.op) == ("files:team:1", DirectoryOp.PUT)
    assert made.record == Group(name="One", members=(Principal("user:ann"), Principal("group:files:others")))
    assert (gone.record_id, gone.op, gone.record) == ("files:team:2", DirectoryOp.DELETE, None)
    assert (await team.sync()).ending is Ending.NOTHING_NEW


async def is_live(own: Installation, external_id: str) -> bool:
    return external_id in {each.external_id for each in await submissions(own, Lane.LIVE)}
