"""The restore drill: back up, go on, back up again, lose everything, restore, and go on from there."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from headwater.access.gate import Verdict, gate_view, judge_document
from headwater.archive.restoring import fingerprint_of
from headwater.clients.kafka.quarantine import KafkaQuarantine
from headwater.clients.kafka.snapshots import KafkaSourceLog
from headwater.heads.view import LmdbHeads
from schemas.codec import encode
from schemas.events.directory import DirectoryKind, Group, Source, User
from schemas.events.documents import Access, Clause, DeletionQuarantined, DocumentChanged, DocumentOp
from schemas.events.parked import EventParked
from schemas.ids import Principal, SourceId, document_id, document_key
from schemas.topics import Topic
from tests.support.admission import Installation
from tests.support.drill import blob, blobs_of, lose, refused, run, start_stages, synced, verified, whole_installation
from tests.support.folders import pages_in
from tests.support.golden import golden
from tests.support.heads import ACME, FILES, FOR_ALL, HANDBOOK, changed, command, delete, put, state
from tests.support.stack import RunningStack
from tests.support.wiki import SUBMISSIONS

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

NAMES = ("open", "crew", "bob", "revoked", "edited", "deleted", "deleted-later", "late")
CREW = Principal("group:files:crew")
STRICT = SourceId("strict")  # may delete nothing unasked
PAGES = ("page-000.md", "page-001.md", "page-002.md")  # of a connector's source, which has a cursor
HELD = ("held-a", "held-b", "held-c")


def only(principal: str) -> Access:
    return Access(clauses=(Clause(principals=(Principal(principal),)),))


async def fingerprint(own: Installation, folder: Path) -> str:
    return (await fingerprint_of(KafkaSourceLog(own.settings, settle_wait_s=0), folder)).text()


def newest(changes: Iterable[DocumentChanged]) -> dict[str, DocumentChanged]:
    return {each.external_id: each for each in sorted(changes, key=lambda each: each.revision)}


def visible(heads: LmdbHeads, user: str) -> set[str]:
    position = heads.directory_position()
    view = gate_view(tenant=ACME, principals=heads.principals(ACME, user), directory=heads, directory_position=position)
    judged = {name: judge_document(heads.head(ACME, document_id(ACME, FILES, name)), view) for name in NAMES}
    assert Verdict.DIRECTORY_BEHIND not in judged.values(), "the gate waits for a directory that does not exist"
    return {name for name, verdict in judged.items() if verdict is Verdict.ADMITTED}


async def held_back(own: Installation) -> list[DeletionQuarantined]:
    return list(await KafkaQuarantine(own.settings, own.admin).waiting(ACME, STRICT))


async def begin_strict(own: Installation) -> None:
    """Three documents of a source that may delete none; the deletion of one waits."""
    strict = Source(name="Strict", kind="filesystem", knowledge_base=HANDBOOK, max_deletions_per_day=0)
    await own.settled(*await own.direct(command(DirectoryKind.SOURCE, STRICT, strict)))
    await own.settled(*await own.submit(*(put(state(content=None), name, source=STRICT) for name in HELD)))
    await own.settled(*await own.submit(delete(HELD[0], source=STRICT)))


async def judge_what_waits(own: Installation) -> None:
    """Approve one of the two that wait, submit the other's document again: nothing waits any more."""
    waiting = {each.external_id: each for each in await held_back(own)}
    approved = waiting[HELD[0]].submitted
    await own.settled(
        *await own.submit(
            delete(HELD[0], source=STRICT, approves=approved, actor=Principal("user:ann")),
            put(state(content=None), HELD[1], source=STRICT),
        )
    )
    assert await held_back(own) == []
    log = newest(await own.changes(*HELD))
    assert [log[name].op for name in HELD] == [DocumentOp.DELETED, DocumentOp.UPSERTED, DocumentOp.UPSERTED]
    assert log[HELD[0]].approved


async def goes_on_syncing(own: Installation, root: Path) -> None:
    """A source whose cursor came back submits nothing again, and is told of what changed and of what is gone since."""
    before = [len(await own.records(each)) for each in SUBMISSIONS]
    again = await synced(own, root)
    assert (again["ending"], again["upserted"]) == ("nothing_new", 0)
    assert [len(await own.records(each)) for each in SUBMISSIONS] == before

    (root / "page-000.md").write_text("# Page 0, edited")
    (root / "page-001.md").unlink()
    then = await synced(own, root)
    assert (then["upserted"], then["deleted"]) == (1, 1)
    log = newest(await own.changes(*PAGES))
    assert [log[name].op for name in PAGES] == [DocumentOp.UPSERTED, DocumentOp.DELETED, DocumentOp.UPSERTED]


async def collect_without_a_grace(own: Installation) -> None:
    """Documents, a submission that admission has not settled and a dead letter keep theirs; the rest goes."""
    store = blobs_of(own)
    named = [each.content for each in newest(await own.changes()).values() if each.content is not None]
    held = [each for each in named if await store.exists(ACME, each)]
    waiting, parked, orphan = [await blob(own, text) for text in ("on its way", "parked", "nobody's")]
    await own.submit(put(state(content=waiting), "on-its-way"))
    record = changed(content=parked)
    key = document_key(ACME, record.document_id)
    letter = replace(golden(EventParked, "decoded"), tenant_id=ACME, key=key, value=encode(record))
    await own.producer.send(Topic.EVENTS_PARKED, letter, key=key)
    swept = await run(own, "blobs", "gc", HEADWATER_BLOBS__ORPHAN_GRACE_S="0.001")
    assert swept["removed"] > 0
    assert held
    assert [await store.exists(ACME, each) for each in (*held, waiting, parked, orphan)] == [
        *[True] * (len(held) + 2),
        False,
    ]


async def test_a_lost_installation_comes_back_and_goes_on(stack: RunningStack, tmp_path: Path) -> None:
    archive, everything = str(tmp_path / "archive"), len(NAMES) + len(HELD) + len(PAGES)
    root = pages_in(tmp_path / "source", len(PAGES))
    async with (
        whole_installation(stack, tmp_path / "old") as old,
        whole_installation(stack, tmp_path / "new", partitions=3) as new,
    ):
        await old.admission()
        await old.settle_in()
        start_stages(old)
        directed = await old.direct(
            command(DirectoryKind.USER, "ann", User(name="Ann")),
            command(DirectoryKind.USER, "bob", User(name="Bob")),
            command(DirectoryKind.GROUP, "files:crew", Group(name="crew", members=())),
            command(DirectoryKind.GROUP, "files:crew", Group(name="crew", members=(Principal("user:ann"),))),
        )
        await old.settled(*directed)
        rights = {"crew": only(CREW), "bob": only("user:bob")}
        firsts = [
            put(state(name, content=await blob(old, name), access=rights.get(name, FOR_ALL)), name)
            for name in NAMES
            if name != "late"
        ]
        await old.settled(*await old.submit(*firsts))
        await old.settled(*await old.submit(delete("deleted")))
        await begin_strict(old)
        assert (await synced(old, root))["upserted"] == len(PAGES)
        first = await run(old, "backup", archive)
        assert (first["kind"], first["missing"]) == ("full: it is the first run", 0)

        await old.settled(
            *await old.submit(
                put(state("edited", content=await blob(old, "edited again")), "edited"),
                put(state("revoked", content=await blob(old, "revoked"), access=only("user:nobody")), "revoked"),
                put(state("late", content=await blob(old, "late")), "late"),
                delete("deleted-later"),
                delete(HELD[1], source=STRICT),
            )
        )
        second = await run(old, "backup", archive)
        assert (second["kind"], second["contents_copied"], second["missing"]) == ("incremental", 2, 0)
        before, heads_before = newest(await old.changes()), await fingerprint(old, tmp_path)
        stores_before = await verified(old, documents=everything)

        assert "admission workers run" in await refused(old, "restore", archive)
        lose(old)
        restored = await run(new, "restore", archive)
        assert restored["fingerprint"] == heads_before == await fingerprint(new, tmp_path)
        assert (restored["documents"], restored["blobs_missing"]) == (everything, [])
        assert sorted(each.external_id for each in await held_back(new)) == [HELD[0], HELD[1]]
        assert (restored["deletions_waiting"], restored["cursors"] > 0) == (2, True)
        assert "is not empty" in await refused(new, "restore", archive)

        admission, _ = await asyncio.gather(new.admission(), new.follower())
        start_stages(new)
        heads = new.heads()
        assert visible(heads, "ann") == {"open", "crew", "edited", "late"}
        assert visible(heads, "bob") == {"open", "bob", "edited", "late"}
        assert visible(heads, "nobody-at-all") == set()
        assert await verified(new, documents=everything) == stores_before, "both stores and the read model are the same"

        # Observed a moment after what was restored, at an offset below those of the lost log: no replay.
        positions = await new.submit(
            put(state("after", content=await blob(new, "after")), "edited"),
            delete("open"),
            put(state("back", content=await blob(new, "back")), "deleted"),
        )
        await new.applied(heads, *positions)
        after = newest(await new.changes())
        for name in ("edited", "open", "deleted"):
            assert after[name].revision > before[name].revision
        assert visible(heads, "bob") == {"bob", "edited", "late", "deleted"}

        await goes_on_syncing(new, root)
        await judge_what_waits(new)
        stores_after = await verified(new, documents=everything)
        assert all(stores_after[name] != stores_before[name] for name in stores_before), "the edits are in each of them"
        dry = await run(new, "blobs", "gc", "--dry-run")
        assert (dry["removed"], dry["looked_at"] > 0) == (0, True), "all of it is younger than the grace"
        heads.close()
        admission.kill()
        await collect_without_a_grace(new)
