"""What could not be read is looked at again by itself: where no pass meets it, ever more rarely, and never not."""

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from connectors.endings import Ending, SyncReport
from connectors.outstanding import FIRST_WAIT, LONGEST_WAIT, LOOKED_AT_ONCE, MARK, MOST_REMEMBERED, Outstanding
from connectors.protocol import Connector, Cursor, CursorMoved, ItemFailed, Observed, SourceChange, Upserted
from connectors.runner import Runner
from connectors.work import CHANGES, Work
from headwater.errors import PoisonError
from headwater.settings import Settings
from tests.support.blobs import FakeBlobStore
from tests.support.confluence import SPACE, confluence_source
from tests.support.confluence_wiki import Space
from tests.support.heads import ACME, FILES, NOON, state
from tests.support.running import FakeCursors, FakeProducer, Forgetful
from tests.support.syncing import Clock


@dataclass
class Shelf(Forgetful):
    """A source that tells of each item once, whether it can be read or not. Implements ItemConnector."""

    items_there: list[str]
    broken: dict[str, str] = field(default_factory=dict)  # id -> where it fails: `listing` or `content`
    met_by_every_pass: bool = False
    looked_at: list[list[str]] = field(default_factory=list)

    async def check(self) -> None:
        """Nothing can be wrong."""

    async def changes(self, since: Cursor) -> AsyncIterator[Observed]:
        if "place" not in since or self.met_by_every_pass:
            for each in self.items_there:
                yield self._seen(each)
        yield CursorMoved(cursor={"place": b"end"})

    async def items(self, external_ids: Collection[str], since: Cursor) -> AsyncIterator[Observed]:
        self.looked_at.append(sorted(external_ids))
        for each in sorted(external_ids):
            if each in self.items_there:
                yield self._seen(each)

    def _seen(self, name: str) -> Observed:
        if self.broken.get(name) == "listing":
            return ItemFailed(external_id=name, error=PoisonError(f"{name} is torn"))

        async def content() -> AsyncIterator[bytes]:
            if name in self.broken:
                raise PoisonError(f"{name} is torn")
            yield name.encode()

        return SourceChange(
            external_id=name,
            what=Upserted(state=state(content=None), content=content),
            source_version=None,
            occurred_at=NOON,
            cursor={f"i/{name}": b"held"},
        )


@dataclass
class Worker:
    """Syncs one source again and again."""

    connector: Connector
    clock: Clock = field(default_factory=Clock)
    cursors: FakeCursors = field(default_factory=FakeCursors)
    producer: FakeProducer = field(default_factory=FakeProducer)

    async def sync(self, work: Work = CHANGES, *, after: timedelta = timedelta()) -> SyncReport:
        self.clock.at += after
        self.producer.sent.clear()
        producer: Any = self.producer
        return await Runner(
            settings=Settings(),
            connector=self.connector,
            cursors=self.cursors,
            blobs=FakeBlobStore(),
            producer=producer,
            tenant=ACME,
            source=FILES,
            now=self.clock.now,
        ).sync(work)

    @property
    def sent(self) -> list[str]:
        return [each.external_id for each in self.producer.sent]

    @property
    def marks(self) -> list[str]:
        return sorted(part.removeprefix(MARK) for part in self.cursors.parts if part.startswith(MARK))


@pytest.mark.parametrize("where", ["listing", "content"])
async def test_what_no_pass_meets_is_looked_at_when_it_is_due_and_then_forgotten(where: str) -> None:
    shelf = Shelf(["a", "b"], broken={"b": where})
    worker = Worker(shelf)
    first = await worker.sync()
    assert (first.ending, first.failed, worker.sent) == (Ending.PARTIAL, (("b", "b is torn"),), ["a"])
    shelf.broken.clear()
    early = await worker.sync(after=FIRST_WAIT - timedelta(seconds=1))
    assert (early.ending, early.failed, shelf.looked_at) == (Ending.PARTIAL, (("b", "b is torn"),), [])
    late = await worker.sync(after=timedelta(seconds=1))
    assert (late.ending, worker.sent, worker.marks) == (Ending.COMPLETED, ["b"], [])
    assert (await worker.sync(after=LONGEST_WAIT)).ending is Ending.NOTHING_NEW
    assert shelf.looked_at == [["b"]]


async def test_looks_grow_rarer_and_never_end() -> None:
    shelf = Shelf(["a"], broken={"a": "listing"})
    worker = Worker(shelf)
    await worker.sync()
    began, looked = worker.clock.at, list[timedelta]()
    while worker.clock.at - began < timedelta(days=2):
        count = len(shelf.looked_at)
        report = await worker.sync(after=timedelta(minutes=5))
        assert (report.ending, report.failures) == (Ending.PARTIAL, 1)
        looked += [worker.clock.at - began] * (len(shelf.looked_at) - count)
    waits = [after - before for before, after in zip([timedelta(), *looked], looked, strict=False)]
    minutes = [wait.total_seconds() / 60 for wait in waits]
    assert minutes[:8] == [5, 10, 20, 40, 80, 160, 320, 360]
    assert set(minutes[8:]) == {360}


async def test_what_every_pass_meets_is_not_looked_at_twice() -> None:
    shelf = Shelf(["a"], broken={"a": "listing"}, met_by_every_pass=True)
    worker = Worker(shelf)
    for _ in range(3):
        report = await worker.sync(after=LONGEST_WAIT)
        assert (report.ending, report.failures) == (Ending.PARTIAL, 1)
    shelf.broken.clear()
    assert (await worker.sync()).ending is Ending.COMPLETED
    assert (shelf.looked_at, worker.marks) == ([], [])


async def test_it_is_remembered_before_the_place_that_has_passed_it() -> None:
    saved: list[str] = []

    class Noting(FakeCursors):
        async def save(self, parts: Mapping[str, bytes | None]) -> None:
            saved.extend(parts)
            await FakeCursors.save(self, parts)

    await Worker(Shelf(["a"], broken={"a": "listing"}), cursors=Noting()).sync()
    assert saved.index(f"{MARK}a") < saved.index("place")


async def test_what_is_gone_is_forgotten_by_its_look() -> None:
    shelf = Shelf(["a"], broken={"a": "listing"})
    worker = Worker(shelf)
    await worker.sync()
    shelf.items_there.clear()
    assert (await worker.sync(after=FIRST_WAIT)).ending is Ending.NOTHING_NEW
    assert worker.marks == []


async def test_what_a_notification_names_is_remembered_and_forgotten_too() -> None:
    shelf = Shelf([])
    worker = Worker(shelf)
    await worker.sync()
    shelf.items_there, shelf.broken = ["a"], {"a": "content"}
    named = Work(items=frozenset({"a"}))
    assert (await worker.sync(named)).ending is Ending.PARTIAL
    assert worker.marks == ["a"]
    shelf.broken.clear()
    assert (await worker.sync(named)).ending is Ending.COMPLETED
    assert worker.marks == []


def test_what_failed_stays_remembered_though_its_readers_were_submitted() -> None:
    first = Outstanding({}, NOON)
    first.fail("a", "torn")
    first.submitted(["a", "b"])
    (part,) = first.news()
    assert (part, list(first.waiting())) == (f"{MARK}a", [])
    assert first.news() == {}


def test_memory_and_one_syncs_looks_are_bounded() -> None:
    first = Outstanding({}, NOON)
    for number in range(MOST_REMEMBERED + 5):
        first.fail(f"{number:05}", "torn" * 1_000)
    saved = {part: value for part, value in first.news().items() if value is not None}
    assert len(saved) == MOST_REMEMBERED
    assert max(map(len, saved.values())) < 1_000
    later = Outstanding({**saved, f"{MARK}of another version": b"?"}, NOON + FIRST_WAIT)
    assert sorted(later.look()) == [f"{number:05}" for number in range(LOOKED_AT_ONCE)]
    later.looked()
    assert len(later.waiting()) == MOST_REMEMBERED - LOOKED_AT_ONCE


async def test_a_wiki_reads_what_had_failed_without_a_listing() -> None:
    async with confluence_source() as wiki:
        wiki.settings = {"listing_every_s": 86_400, "max_bytes": 7}
        page = wiki.wiki.write(SPACE, "Plan", "text")
        file = wiki.wiki.write(SPACE, "notes.txt", "12345678", parent=page, kind="attachment")
        wiki.wiki.clock.passed_s += 3600  # longer ago than searches look
        worker = Worker(wiki.connector())
        assert (await worker.sync()).ending is Ending.PARTIAL
        wiki.settings |= {"max_bytes": 8}
        worker.connector = wiki.connector()
        wiki.server.requests.clear()
        assert (await worker.sync(after=FIRST_WAIT)).ending is Ending.COMPLETED
        assert worker.sent == [file]
        assert not [each for each in wiki.server.requests if each.startswith("/rest/api/content?")]


async def test_a_wiki_passes_over_what_is_no_content() -> None:
    async with confluence_source() as wiki:
        wiki.wiki.write(SPACE, "Plan", "text")
        wiki.wiki.spaces["HR"] = Space(key="HR")
        wiki.server.no_permissions = {"HR"}
        worker = Worker(wiki.connector())
        assert (await worker.sync()).failures == 1
        wiki.server.no_permissions.clear()
        await worker.sync()
        assert worker.marks == ["space:HR"]
        wiki.server.requests.clear()
        assert (await worker.sync(after=FIRST_WAIT)).ending is Ending.NOTHING_NEW
        assert (worker.marks, [each for each in wiki.server.requests if "space%3A" in each]) == ([], [])
