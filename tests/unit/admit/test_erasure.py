"""When the memory of a deletion may go: after long enough, and when every generation has confirmed it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from headwater.heads.directory_table import DirectoryTable
from headwater.heads.environment import WritableEnvironment
from headwater.settings import BackupSettings
from schemas.codec import encode
from schemas.events.base import Store
from schemas.events.directory import DirectoryKind, Generation, GenerationState
from schemas.events.documents import DocumentOp, DocumentProgressed, ProgressOutcome
from schemas.ids import (
    SYSTEM_TENANT,
    DocumentId,
    GenerationName,
    Revision,
    document_id,
    progress_key,
)
from schemas.topics import Topic
from streams.admit.confirmations import confirmed, reports_of
from streams.admit.erasure import (
    EVERY_MS,
    FIRST_AFTER_MS,
    Candidate,
    Erasure,
    Erasures,
    erasure_age,
)
from streams.admit.heads import LAYOUT, AdmissionHeads
from streams.admit.outcomes import DocumentHead
from tests.support.archive import MemoryLog
from tests.support.events import progressed
from tests.support.heads import ACME, FILES, NOON, NOON_MS, changed, directory_record

G1, G2 = GenerationName("g1"), GenerationName("g2")
ONE, TWO = (document_id(ACME, FILES, name) for name in ("one", "two"))
DELETED = Revision(7)
AGE = timedelta(days=60)


def report(store: Store = Store.VECTORS, **fields: Any) -> DocumentProgressed:
    values: dict[str, Any] = {
        "document_id": ONE,
        "tenant_id": ACME,
        "outcome": ProgressOutcome.GONE,
        "revision": DELETED,
    } | fields
    return replace(progressed(store), **({"revision": DELETED} | values))


def everywhere(**fields: Any) -> list[DocumentProgressed]:
    return [report(store, **fields) for store in Store]


def directory(**states: GenerationState | None) -> DirectoryTable:
    table = DirectoryTable()
    for name, state in states.items():
        record = None
        if state is not None:
            record = Generation(name=GenerationName(name), state=state, parser="p", policy="c", model="m", dimension=3)
        table.apply(directory_record(DirectoryKind.GENERATION, name, record, tenant=SYSTEM_TENANT))
    return table


def may_go(reports: list[DocumentProgressed], table: DirectoryTable) -> bool:
    candidate = Candidate(tenant_id=ACME, document_id=ONE, revision=DELETED)
    by_document = {ONE: {(each.generation, each.store): each for each in reports}}
    return bool(confirmed({ONE: candidate}, by_document, table, own=G1))


def test_every_store_of_every_generation_must_have_confirmed() -> None:
    assert may_go(everywhere(), directory())
    assert not may_go([report(Store.VECTORS)], directory())
    assert not may_go([report(Store.VECTORS), report(Store.KEYWORDS, revision=Revision(6))], directory())
    assert not may_go([report(Store.VECTORS), report(Store.KEYWORDS, outcome=ProgressOutcome.FAILED)], directory())
    assert not may_go(everywhere(), directory(g2=GenerationState.BUILDING))
    assert may_go([*everywhere(), *everywhere(generation=G2)], directory(g2=GenerationState.BUILDING))


def test_a_generation_that_holds_rows_must_confirm_until_it_is_retired_or_dropped() -> None:
    rows = everywhere(generation=G2, outcome=ProgressOutcome.COMPLETE, revision=Revision(5))
    assert not may_go([*everywhere(), *rows], directory())
    assert not may_go([*everywhere(), *rows], directory(g2=GenerationState.SERVING))
    assert may_go([*everywhere(), *rows], directory(g2=GenerationState.RETIRED))
    assert may_go([*everywhere(), *rows], directory(g2=None))


def test_a_document_without_any_report_stays() -> None:
    candidate = Candidate(tenant_id=ACME, document_id=ONE, revision=DELETED)
    assert confirmed({ONE: candidate}, {}, directory(), own=G1) == ()


def test_the_age_covers_whatever_could_bring_a_document_back() -> None:
    assert erasure_age(BackupSettings()) == timedelta(days=56)  # dead letters
    assert erasure_age(BackupSettings(retention_days=90, full_every_days=10)) == timedelta(days=100)


async def test_reports_are_found_by_their_key() -> None:
    log = MemoryLog(partitions=1)
    for each in [*everywhere(), *everywhere(document_id=TWO)]:
        key = progress_key(ACME, each.document_id, each.generation, each.store.value)
        log.put(Topic.DOCUMENTS_PROGRESSED, key, encode(each))
    candidate = Candidate(tenant_id=ACME, document_id=ONE, revision=DELETED)
    found = await reports_of(log, 0, {ONE: candidate})
    assert {document: sorted(store for _, store in by) for document, by in found.items()} == {ONE: sorted(Store)}


class Answering:
    """Confirms whatever it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, frozenset[DocumentId]]] = []
        self._answer: tuple[int, tuple[Erasure, ...]] | None = None

    def ask(self, partition: int, candidates: Mapping[DocumentId, Candidate]) -> None:
        self.asked.append((partition, frozenset(candidates)))
        self._answer = (partition, tuple(Erasure(candidate=each, reported=()) for each in candidates.values()))

    def answer(self) -> tuple[int, tuple[Erasure, ...]] | None:
        answer, self._answer = self._answer, None
        return answer


@pytest.fixture
def heads(tmp_path: Path) -> Iterator[AdmissionHeads]:
    with WritableEnvironment(tmp_path / "heads", map_size_bytes=2**26, layout=LAYOUT) as environment:
        opened = AdmissionHeads(environment.lmdb, changed="changed", directory="directory")
        for number, (name, op) in enumerate([("one", DocumentOp.DELETED), ("two", DocumentOp.UPSERTED)]):
            record = changed(document_id(ACME, FILES, name), op=op, admitted_at=NOON, revision=Revision(7 + number))
            opened.put(0, DocumentHead(record=record, seen_version=None), encode(record), previous=None)
        opened.persist()
        yield opened


def test_only_old_deletions_are_candidates_once_a_day(heads: AdmissionHeads) -> None:
    confirms = Answering()
    erasures = Erasures(heads, confirms, age=lambda: AGE)
    erasures.own({0}, now_ms=NOON_MS)

    def days_later(days: float) -> tuple[DocumentId, ...]:
        """Go on until there is nothing to do that day; return what may go."""
        found = [erasures.due(now_ms=NOON_MS + int(days * EVERY_MS)) for _ in range(4)]
        return tuple(each.candidate.document_id for due in found if due is not None for each in due[1])

    assert days_later(0) == ()
    assert confirms.asked == []  # a worker that has just started waits
    assert days_later(59) == ()
    assert confirms.asked == []  # looked, and found nothing that is old enough
    assert days_later(61) == (ONE,)
    assert days_later(61.5) == ()
    assert confirms.asked == [(0, frozenset({ONE}))]
    assert days_later(62.1) == (ONE,)  # the fake log still has it: asked again the next day
    assert FIRST_AFTER_MS < EVERY_MS


def test_an_answer_about_a_partition_that_was_lost_is_dropped(heads: AdmissionHeads) -> None:
    confirms = Answering()
    erasures = Erasures(heads, confirms, age=lambda: AGE)
    erasures.own({0}, now_ms=NOON_MS)
    late_ms = NOON_MS + 100 * EVERY_MS
    found = [erasures.due(now_ms=late_ms) for _ in range(3)]
    assert [each[0] for each in found if each is not None] == [0]
    erasures.own({1}, now_ms=NOON_MS)
    confirms.ask(0, {ONE: Candidate(tenant_id=ACME, document_id=ONE, revision=DELETED)})
    assert erasures.due(now_ms=late_ms) is None
