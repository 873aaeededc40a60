"""Evidence of a document that is found, and everything that can keep it from being found: each breaks one thing."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from headwater.access.gate import GateView
from headwater.ports.backlogs import Backlog
from headwater.ports.heads import Head
from headwater.ports.read_model import RefusedSubmission
from headwater.ports.rows import StoreHit
from query_api.answers.context import Reranked, Selection
from query_api.explain.evidence import ADMIT, Evidence, LegProbe, Question, Trail
from query_api.explain.filters import FilterMiss
from query_api.explain.verdicts import Cause, ExpiredUnread, StoredRows
from query_api.retrieval.passages import Passage
from query_api.retrieval.retriever import Leg, Retrieval
from schemas.events.base import Lane, Position, Store
from schemas.events.directory import RetrievalProfile
from schemas.events.documents import Access, Clause, DocumentOp, DocumentProgressed, ProgressOutcome
from schemas.events.parked import EventParked
from schemas.ids import EVERYONE, GenerationName, KnowledgeBaseId, Principal, Revision, SourceId
from schemas.topics import Topic
from tests.support.golden import golden
from tests.support.rows import ACME, ANN, HANDBOOK, OTHER, chunk_row

G1: Final = GenerationName("g1")
NEWEST, OLDER, OLDEST = Revision(9), Revision(7), Revision(5)
NOON: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)
PROFILE: Final = RetrievalProfile(rerank_candidates=4, context_passages=3, context_tokens=100)
Passages: TypeAlias = tuple[Passage, ...]
Injection: TypeAlias = Callable[[Evidence], Evidence]


def own(ordinal: int = 0, *, score: float = 0.9, rerank: float | None = 0.9, revision: int = NEWEST) -> Passage:
    """Build a passage of the document that is explained."""
    row = chunk_row(document=HANDBOOK, revision=revision, ordinal=ordinal)
    return Passage(row=row, store=Store.VECTORS, score=score, legs={}, rerank_score=rerank)


def foreign(ordinal: int, *, score: float = 0.95, rerank: float | None = 0.95, chars: int = 40) -> Passage:
    """Build a passage of another document."""
    row = chunk_row(document=OTHER, revision=1, ordinal=ordinal, text="x" * chars)
    return Passage(row=row, store=Store.VECTORS, score=score, legs={}, rerank_score=rerank)


def evidence_of_found() -> Evidence:
    """Build evidence of a document that everyone may read and that is first in an answer's context."""
    head = Head(
        tenant_id=ACME,
        document_id=HANDBOOK,
        knowledge_base=KnowledgeBaseId("docs"),
        source=SourceId("wiki"),
        revision=NEWEST,
        op=DocumentOp.UPSERTED,
        access=Access(clauses=(Clause(principals=(EVERYONE,)),)),
        directory_position=5,
        complete={(G1, store): NEWEST for store in Store},
    )
    trail = Trail(
        document=HANDBOOK,
        head=head,
        view=GateView(
            tenant=ACME, principals={ANN, EVERYONE}, directory_position=5, container_exists=lambda knowledge_base: True
        ),
        user="ann",
        generation=G1,
        asked_revision=None,
        asked=tuple(Store),
    )
    passages = (own(), foreign(0, score=0.5, rerank=0.5))
    return Evidence(trail=trail, question=answered(passages, passages, passages))


def answered(fused: tuple[Passage, ...], ordered: tuple[Passage, ...], chosen: tuple[Passage, ...]) -> Question:
    """Build what a question made of these passages."""
    retrieved = Retrieval(passages=fused[:4], fused=fused)
    selection = Selection(
        retrieved=retrieved,
        reranked=Reranked(passages=ordered, skipped=False, duration_ms=1.0),
        ordered=ordered,
        chosen=chosen,
    )
    hit = StoreHit(row=own().row, score=0.4)
    probes = tuple(
        LegProbe(
            store=store,
            leg=Leg(hits=(StoreHit(row=foreign(0).row, score=0.5),), depth=100),
            best=hit,
            rank=140,
            searched=1_000,
        )
        for store in Store
    )
    rows = tuple(StoredRows(store=store, rows=2, reported=2) for store in Store)
    return Question(rows=rows, misses=(), profile=PROFILE, probes=probes, fused=fused, wanted=4, selection=selection)


def _never_submitted(evidence: Evidence) -> Evidence:
    return _trail(evidence, head=None, question=None)


def _refused(evidence: Evidence) -> Evidence:
    refusal = RefusedSubmission(
        tenant_id=ACME,
        document_id=HANDBOOK,
        action="documents.put",
        actor=Principal("user:ann"),
        reason="quota_documents",
        detail="the tenant has room for 5 documents; raise max_documents",
        refused_at=NOON,
    )
    return _trail(evidence, head=None, refusal=refusal, question=None)


def _undecided(evidence: Evidence) -> Evidence:
    backlog = Backlog(stage=ADMIT, topic=Topic.DOCUMENTS_SUBMITTED, partition=2, position=10, end=22)
    return _trail(evidence, head=None, backlogs=(*evidence.trail.backlogs, backlog), question=None)


def _expired_unread(evidence: Evidence) -> Evidence:
    lost = ExpiredUnread(lane=Lane.LIVE, partition=2, found_at=NOON)
    return _trail(evidence, head=None, expired_unread=(lost,), question=None)


def _deleted(evidence: Evidence) -> Evidence:
    return _head(evidence, op=DocumentOp.DELETED, question=None)


def _purged(evidence: Evidence) -> Evidence:
    return _trail(_deleted(evidence), purged=True, question=None)


def _replica_behind(evidence: Evidence) -> Evidence:
    return _head(evidence, directory_position=8, question=None)


def _expired(evidence: Evidence) -> Evidence:
    view = replace(evidence.trail.view, container_exists=lambda knowledge_base: False)
    return _trail(evidence, view=view, question=None)


def _superseded(evidence: Evidence) -> Evidence:
    return _trail(evidence, asked_revision=OLDER, question=evidence.question)


def _parked(evidence: Evidence) -> Evidence:
    failed = replace(
        golden(DocumentProgressed, "failed"),
        document_id=HANDBOOK,
        revision=NEWEST,
        outcome=ProgressOutcome.FAILED,
        stage="prepare",
        error="UnreadableFileError",
        reason="content: not a PDF",
    )
    letter = replace(
        golden(EventParked, "decoded"),
        document_id=HANDBOOK,
        revision=NEWEST,
        stage="prepare",
        generation=G1,
        attempts=3,
        parked_at=NOON,
    )
    older = {(G1, store): OLDEST for store in Store}
    incomplete = _head(evidence, complete=older, question=None)
    return _trail(incomplete, reports=dict.fromkeys(Store, failed), letters=(letter,), question=None)


def _waiting(evidence: Evidence) -> Evidence:
    changed = Position(topic="rag.documents.changed", partition=2, offset=31)
    backlogs = (
        Backlog(stage="prepare", topic=Topic.DOCUMENTS_CHANGED, partition=2, position=32, end=40),
        Backlog(stage="embed", topic=Topic.CHUNKS_PREPARED, partition=2, position=10, end=27),
        Backlog(stage="index-keywords", topic=Topic.CHUNKS_PREPARED, partition=2, position=27, end=27),
        Backlog(stage="index-vectors", topic=Topic.CHUNKS_EMBEDDED, partition=2, position=27, end=27),
    )
    incomplete = _head(evidence, complete={(G1, store): OLDEST for store in Store}, question=None)
    return _trail(incomplete, changed=changed, backlogs=(*evidence.trail.backlogs, *backlogs), question=None)


def _hidden(evidence: Evidence) -> Evidence:
    clauses = (Clause(principals=(EVERYONE,)), Clause(principals=(Principal("group:hr:staff"),)))
    return _head(evidence, access=Access(clauses=clauses), question=None)


def _filtered_out(evidence: Evidence) -> Evidence:
    miss = FilterMiss(path="filters", field="attributes.status", has=("draft",))
    return _question(evidence, misses=(miss,), fused=(), selection=None)


def _empty(evidence: Evidence) -> Evidence:
    return _rows(_without_own(evidence), rows=0, reported=0)


def _rows_missing(evidence: Evidence) -> Evidence:
    return _rows(_without_own(evidence), rows=0)  # what never had rows has lost none: `reported` stays


def _below_depth(evidence: Evidence) -> Evidence:
    return _without_own(evidence)


def _lost_in_fusion(evidence: Evidence) -> Evidence:
    fused, ordered, chosen = _lists(evidence)
    late = (*_others(6), *_of_own(fused))
    return _with_lists(evidence, late if _of_own(fused) else fused, _others_of(ordered), _others_of(chosen))


def _reranked_out(evidence: Evidence) -> Evidence:
    fused, ordered, chosen = _lists(evidence)
    late = (*_others(3), *(replace(passage, rerank_score=0.1) for passage in _of_own(ordered)))
    known = {passage.row.row_id for passage in fused}
    fused = (*fused, *(passage for passage in late if passage.row.row_id not in known))
    return _with_lists(evidence, fused, late, _others_of(chosen)) if _of_own(ordered) else evidence


def _cut_by_budget(evidence: Evidence) -> Evidence:
    fused, _, chosen = _lists(evidence)
    long = foreign(50, chars=390)
    return _with_lists(evidence, (*fused, long), (long, *chosen), (long,)) if _of_own(chosen) else evidence


def _found(evidence: Evidence) -> Evidence:
    return evidence


# In the order of the way: of two causes the one that stands first here is the verdict.
INJECTIONS: Final[Mapping[str, tuple[Cause, Injection]]] = {
    "refused": (Cause.REFUSED, _refused),
    "undecided": (Cause.WAITING, _undecided),
    "never_submitted": (Cause.NEVER_SUBMITTED, _never_submitted),
    "expired_unread": (Cause.NEVER_SUBMITTED, _expired_unread),
    "purged": (Cause.EXPIRED, _purged),
    "deleted": (Cause.DELETED, _deleted),
    "replica_behind": (Cause.WAITING, _replica_behind),
    "expired": (Cause.EXPIRED, _expired),
    "hidden": (Cause.HIDDEN, _hidden),
    "superseded": (Cause.SUPERSEDED, _superseded),
    "parked": (Cause.PARKED, _parked),
    "waiting": (Cause.WAITING, _waiting),
    "empty": (Cause.EMPTY, _empty),
    "rows_missing": (Cause.ROWS_MISSING, _rows_missing),
    "filtered_out": (Cause.FILTERED_OUT, _filtered_out),
    "below_depth": (Cause.BELOW_DEPTH, _below_depth),
    "lost_in_fusion": (Cause.LOST_IN_FUSION, _lost_in_fusion),
    "reranked_out": (Cause.RERANKED_OUT, _reranked_out),
    "cut_by_budget": (Cause.CUT_BY_BUDGET, _cut_by_budget),
    "found": (Cause.FOUND, _found),
}


def _trail(evidence: Evidence, *, question: Question | None, **changes: object) -> Evidence:
    return Evidence(trail=replace(evidence.trail, **changes), question=question)  # type: ignore[arg-type]  # by name


def _head(evidence: Evidence, *, question: Question | None, **changes: object) -> Evidence:
    head = evidence.trail.head
    changed = None if head is None else replace(head, **changes)  # type: ignore[arg-type]  # by name
    return _trail(evidence, head=changed, question=question)


def _question(evidence: Evidence, **changes: object) -> Evidence:
    """Change what the question made of the document; where it is never asked, nothing is left to change."""
    if evidence.question is None:
        return evidence
    return replace(evidence, question=replace(evidence.question, **changes))  # type: ignore[arg-type]  # by name


def _rows(evidence: Evidence, **changes: Any) -> Evidence:
    question = evidence.question
    rows = () if question is None else question.rows
    return _question(evidence, rows=tuple(replace(each, **changes) for each in rows), probes=())


def _lists(evidence: Evidence) -> tuple[Passages, Passages, Passages]:
    question = evidence.question
    if question is None or question.selection is None:
        return (), (), ()
    return question.fused, question.selection.ordered, question.selection.chosen


def _with_lists(evidence: Evidence, fused: Passages, ordered: Passages, chosen: Passages) -> Evidence:
    question = evidence.question
    if question is None or question.selection is None:
        return evidence
    selection = replace(question.selection, ordered=ordered, chosen=chosen)
    return _question(evidence, fused=fused, selection=selection)


def _without_own(evidence: Evidence) -> Evidence:
    fused, ordered, chosen = map(_others_of, _lists(evidence))
    return _with_lists(evidence, fused, ordered, chosen)


def _others(count: int) -> Passages:
    return tuple(foreign(number) for number in range(10, 10 + count))


def _of_own(passages: Passages) -> Passages:
    return tuple(passage for passage in passages if passage.row.document_id == HANDBOOK)


def _others_of(passages: Passages) -> Passages:
    return tuple(passage for passage in passages if passage.row.document_id != HANDBOOK)
