"""The restore drill: back up, go on, back up again, lose everything, restore, and go on from there."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from headwater.access.gate import Verdict, gate_view, judge_document
from headwater.archive.restoring import fingerprint_of
from headwater.cli.main import app
from headwater.clients.blobs import ObjectBlobStore
from headwater.clients.kafka.quarantine import KafkaQuarantine
from headwater.clients.kafka.snapshots import KafkaSourceLog
from headwater.heads.view import LmdbHeads
from headwater.settings import BlobSettings
from schemas.codec import encode
from schemas.events.directory import DirectoryKind, Group, Source, User
from schemas.events.documents import Access, BlobRef, Clause, DeletionQuarantined, DocumentChanged, DocumentOp
from schemas.events.parked import EventParked
from schemas.ids import Principal, SourceId, document_id, document_key
from schemas.topics import Topic
from tests.support.admission import Installation, installation
from tests.support.blobs import pieces_of
from tests.support.golden import golden
from tests.support.heads import ACME, FILES, FOR_ALL, HANDBOOK, changed, command, delete, put, state
from tests.support.stack import RunningStack

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

NAMES = ("open", "crew", "bob", "revoked", "edited", "deleted", "deleted-later", "late")
CREW = Principal("group:files:crew")
STRICT = SourceId("strict")  # may delete nothing unasked
HELD = ("held-a", "held-b", "held-c")


def only(principal: str) -> Access:
    return Access(clauses=(Clause(principals=(Principal(principal),)),))


async def blob(url: str, text: str) -> BlobRef:
    return await ObjectBlobStore(BlobSettings(url=url)).write(ACME, pieces_of(text.encode()))


class Operator:
    """Runs our commands with the settings of one installation."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def run(self, own: Installation, blobs: str, *arguments: str, **variables: str) -> Any:
        """Return what a command prints as JSON."""
        result = await self._invoke(own, blobs, arguments, variables)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    async def refused(self, own: Installation, blobs: str, *arguments: str) -> str:
        """Return why a command refuses, in its one sentence."""
        result = await self._invoke(own, blobs, arguments, {})
        assert result.exit_code == 1, result.output
        return result.stderr

    async def _invoke(
        self, own: Installation, blobs: str, arguments: tuple[str, ...], variables: Mapping[str, str]
    ) -> Result:
        more = {"HEADWATER_BLOBS__URL": blobs, "HEADWATER_LOCAL__STATE_FOLDER": str(self._folder), **variables}
        environment = {**own.environment, **more}
        return await asyncio.to_thread(CliRunner().invoke, app, [*arguments, "--json"], env=environment)


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


async def collect_without_a_grace(operator: Operator, own: Installation, url: str) -> None:
    """Documents, a submission that admission has not settled and a dead letter keep theirs; the rest goes."""
    store = ObjectBlobStore(BlobSettings(url=url))
    named = [each.content for each in newest(await own.changes()).values() if each.content is not None]
    held = [each for each in named if await store.exists(ACME, each)]
    waiting, parked, orphan = [await blob(url, text) for text in ("on its way", "parked", "nobody's")]
    await own.submit(put(state(content=waiting), "on-its-way"))
    record = changed(content=parked)
    key = document_key(ACME, record.document_id)
    letter = replace(golden(EventParked, "decoded"), tenant_id=ACME, key=key, value=encode(record))
    await own.producer.send(Topic.EVENTS_PARKED, letter, key=key)
    swept = await operator.run(own, url, "blobs", "gc", HEADWATER_BLOBS__ORPHAN_GRACE_S="0.001")
    assert swept["removed"] > 0
    assert held
    assert [await store.exists(ACME, each) for each in (*held, waiting, parked, orphan)] == [
        *[True] * (len(held) + 2),
        False,
    ]


async def test_a_lost_installation_comes_back_and_goes_on(stack: RunningStack, tmp_path: Path) -> None:
    archive, operator = str(tmp_path / "archive"), Operator(tmp_path / "state")
    folders = [tmp_path / "old", tmp_path / "new"]
    old_blobs, new_blobs = (f"file:{folder / 'blobs'}" for folder in folders)
    for folder in folders:
        folder.mkdir()
    async with installation(stack, folders[0]) as old, installation(stack, folders[1], partitions=3) as new:
        await old.admission()
        await old.settle_in()
        directed = await old.direct(
            command(DirectoryKind.USER, "ann", User(name="Ann")),
            command(DirectoryKind.USER, "bob", User(name="Bob")),
            command(DirectoryKind.GROUP, "files:crew", Group(name="crew", members=())),
            command(DirectoryKind.GROUP, "files:crew", Group(name="crew", members=(Principal("user:ann"),))),
        )
        await old.settled(*directed)
        rights = {"crew": only(CREW), "bob": only("user:bob")}
        firsts = [
            put(state(name, content=await blob(old_blobs, name), access=rights.get(name, FOR_ALL)), name)
            for name in NAMES
            if name != "late"
        ]
        await old.settled(*await old.submit(*firsts))
        await old.settled(*await old.submit(delete("deleted")))
        await begin_strict(old)
        first = await operator.run(old, old_blobs, "backup", archive)
        assert (first["kind"], first["missing"]) == ("full: it is the first run", 0)

        await old.settled(
            *await old.submit(
                put(state("edited", content=await blob(old_blobs, "edited again")), "edited"),
                put(state("revoked", content=await blob(old_blobs, "revoked"), access=only("user:nobody")), "revoked"),
                put(state("late", content=await blob(old_blobs, "late")), "late"),
                delete("deleted-later"),
                delete(HELD[1], source=STRICT),
            )
        )
        second = await operator.run(old, old_blobs, "backup", archive)
        assert (second["kind"], second["contents_copied"], second["missing"]) == ("incremental", 2, 0)
        before, lost = newest(await old.changes()), await fingerprint(old, tmp_path)

        assert "admission workers run" in await operator.refused(old, old_blobs, "restore", archive)
        restored = await operator.run(new, new_blobs, "restore", archive)
        assert restored["fingerprint"] == lost == await fingerprint(new, tmp_path)
        assert (restored["documents"], restored["blobs_missing"]) == (len(NAMES) + len(HELD), [])
        assert sorted(each.external_id for each in await held_back(new)) == [HELD[0], HELD[1]]
        assert restored["deletions_waiting"] == 2
        assert "is not empty" in await operator.refused(new, new_blobs, "restore", archive)

        admission, _ = await asyncio.gather(new.admission(), new.follower())
        heads = new.heads()
        assert visible(heads, "ann") == {"open", "crew", "edited", "late"}
        assert visible(heads, "bob") == {"open", "bob", "edited", "late"}
        assert visible(heads, "nobody-at-all") == set()

        # Observed a moment after what was restored, at an offset below those of the lost log: no replay.
        positions = await new.submit(put(state("after"), "edited"), delete("open"), put(state("back"), "deleted"))
        await new.applied(heads, *positions)
        after = newest(await new.changes())
        for name in ("edited", "open", "deleted"):
            assert after[name].revision > before[name].revision
        assert visible(heads, "bob") == {"bob", "edited", "late", "deleted"}

        await judge_what_waits(new)
        dry = await operator.run(new, new_blobs, "blobs", "gc", "--dry-run")
        assert (dry["removed"], dry["looked_at"] > 0) == (0, True), "all of it is younger than the grace"
        heads.close()
        admission.kill()
        await collect_without_a_grace(operator, new, new_blobs)
