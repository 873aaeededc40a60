"""The audit's table of documents: what it keeps of the log, in which order, and what never goes back."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from headwater.access.clauses import row_readers
from headwater.access.policies import policy_of
from headwater.audit.backlog import _STAGES, Backlog, is_unfinished
from headwater.audit.judging import StoreReports
from headwater.audit.log import _apply_document
from headwater.audit.sending import Sender
from headwater.audit.table import LAYOUT, DocumentTable
from headwater.clients.kafka.records import Record
from headwater.generations.records import new_generation
from headwater.heads.environment import WritableEnvironment
from headwater.local.lag import INPUTS
from headwater.ports.consistency import IdRange
from headwater.ports.freshness import StageLag
from headwater.rerun import rerun_of
from schemas.codec import encode
from schemas.events.base import Event, Lane, Position, Store
from schemas.events.directory import GenerationState
from schemas.events.documents import DocumentChanged, ProgressOutcome
from schemas.ids import GenerationName, Principal, document_key
from schemas.topics import PER_GENERATION, Topic
from tests.support.events import NOON, changed, deleted, executed, progressed

WHOLE = IdRange.whole()


@pytest.fixture
def table(tmp_path: Path) -> Iterator[DocumentTable]:
    with WritableEnvironment(tmp_path, map_size_bytes=1 << 24, layout=LAYOUT) as environment:
        yield DocumentTable(environment.lmdb)


def apply(table: DocumentTable, *states: DocumentChanged | None) -> None:
    key = document_key(changed().tenant_id, changed().document_id)
    with table.writing() as writer:
        for state in states:
            value = None if state is None else encode(state)
            position = Position(topic="log", partition=0, offset=0)
            _apply_document(writer, Record(position=position, key=key, value=value, headers=(), timestamp_ms=None))


def test_a_document_is_kept_as_far_as_an_audit_needs_it(table: DocumentTable) -> None:
    apply(table, changed(revision=6), changed(revision=7, title="Newer"))
    [document] = table.documents(WHOLE)
    state = changed(revision=7)
    for name in ("tenant_id", "document_id", "source", "external_id", "revision", "op"):
        assert getattr(document, name) == getattr(state, name)
    assert document.policy == policy_of(*row_readers(state.access))
    assert document.admitted_ms == NOON.timestamp() * 1_000
    assert table.count() == 1


def test_documents_come_in_the_order_of_their_ids_range_by_range(table: DocumentTable) -> None:
    states = [changed(f"{n}.md") for n in range(50)]
    apply(table, *states)
    ids = sorted(state.document_id for state in states)
    assert [each.document_id for each in table.documents(WHOLE)] == ids
    assert [each.document_id for part in WHOLE.parts(9) for each in table.documents(part)] == ids


def test_a_deletion_is_kept_and_a_tombstone_forgets(table: DocumentTable) -> None:
    with table.writing() as writer:
        writer.report(progressed(Store.VECTORS), written_ms=5)
    apply(table, changed(), deleted())
    [document] = table.documents(WHOLE)
    assert document.op == deleted().op
    assert document.reports[Store.VECTORS].complete == 7
    apply(table, None)
    assert list(table.documents(WHOLE)) == []
    apply(table, changed())
    assert next(table.documents(WHOLE)).reports == {}


def test_progress_only_counts_upwards(table: DocumentTable) -> None:
    apply(table, changed())
    failed = progressed(Store.VECTORS, revision=10, outcome=ProgressOutcome.FAILED, rows=0)
    with table.writing() as writer:
        writer.report(progressed(Store.VECTORS, revision=9, rows=4), written_ms=90)
        writer.report(progressed(Store.VECTORS, revision=8, rows=3), written_ms=100)
        writer.report(failed, written_ms=110)
        writer.report(replace(failed, revision=progressed(Store.VECTORS, revision=6).revision), written_ms=120)
    [document] = table.documents(WHOLE)
    expected = StoreReports(
        complete=progressed(Store.VECTORS, revision=9).revision, rows=4, reported_ms=90, failed=failed.revision
    )
    assert document.reports == {Store.VECTORS: expected}


@dataclass
class Lags:
    stages_: tuple[StageLag, ...]

    def stages(self) -> tuple[StageLag, ...]:
        return self.stages_


@pytest.mark.parametrize(
    ("stage", "age_s", "old"),
    [("embed", 31, True), ("embed", 29, False), ("status", 31, True), ("analytics", 900, False), ("admit", 900, False)],
)
async def test_only_old_events_of_the_stages_between_log_and_stores_count(stage: str, age_s: int, old: bool) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    lags = Lags(
        (
            StageLag(stage=stage, group="g", events=3, oldest=now - timedelta(seconds=age_s)),
            StageLag(stage="prepare", group="g", events=0, oldest=None),
        )
    )
    assert await Backlog(lags, now=lambda: now).is_old() is old  # type: ignore[arg-type] # the part that is asked


def test_a_generation_that_is_built_has_nothing_overdue() -> None:
    built = new_generation(GenerationName("g2"), policy="structure-1", created_at=NOON)
    states = {state: is_unfinished(replace(built, state=state)) for state in GenerationState}
    assert [state for state, unfinished in states.items() if unfinished] == [GenerationState.BUILDING]


def test_a_heavy_document_in_its_own_topic_is_on_its_way_as_well() -> None:
    between = {stage for stage, topics in INPUTS.items() if {*topics} & {*PER_GENERATION, Topic.DOCUMENTS_CHANGED}}
    assert between <= _STAGES
    assert Topic.DOCUMENTS_DEFERRED in INPUTS["prepare"]


@dataclass
class Broker:
    sent: list[tuple[Topic, bytes]]

    async def send(self, topic: Topic, event: Event, *, key: bytes) -> None:
        self.sent.append((topic, key))


async def test_a_rerun_goes_to_the_lane_it_names_under_its_documents_key() -> None:
    broker = Broker([])
    sender = Sender(broker)  # type: ignore[arg-type] # the part that is called
    state = changed()
    for lane in Lane:
        await sender.send(rerun_of(state, actor=Principal("system:audit"), now=NOON, lane=lane))
    key = document_key(state.tenant_id, state.document_id)
    assert broker.sent == [(Topic.DOCUMENTS_SUBMITTED, key), (Topic.DOCUMENTS_BACKFILL, key)]
    with pytest.raises(TypeError):
        await sender.send(executed())
