"""Documents as callers read them. What a head does not vouch for is left out: it may be of a state they cannot read."""

from collections.abc import Mapping
from datetime import datetime
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from headwater.ports.heads import Head
from headwater.ports.read_model import DocumentStatus, DocumentView, LineageRow, StoreState
from schemas.events import Lane, Position, Store
from schemas.events.documents import Access, AttributeScalar, AttributeValue, DocumentChanged, DocumentProgressed
from schemas.ids import DocumentId, GenerationName, KnowledgeBaseId, Revision, SourceId

AttributeJson: TypeAlias = str | int | float | bool | dict[str, datetime]


class Shown(BaseModel):
    """Base of what is shown; built from values that were checked when they were written."""

    model_config = ConfigDict(frozen=True)


class PositionView(Shown):
    """Where a record lies in the log."""

    topic: str
    partition: int
    offset: int


class StoreView(Shown):
    """What one store holds of a document."""

    complete_revision: Revision | None = Field(description="The newest that is complete and visible there.")
    latest_revision: Revision | None = Field(description="The newest that ended there, however it did.")
    outcome: str | None
    rows: int | None
    embedded: int | None
    reused: int | None
    at: datetime | None


class Failure(Shown):
    """Why the newest revision is not searchable."""

    stage: str | None
    error: str | None
    reason: str | None


class Times(Shown):
    """When the newest revision passed each stage."""

    occurred_at: datetime | None = None
    observed_at: datetime | None = None
    admitted_at: datetime | None = None
    prepared_at: datetime | None = None
    embedded_at: datetime | None = None
    searchable_by_words_at: datetime | None = None
    searchable_by_meaning_at: datetime | None = None


class DocumentItem(Shown):
    """A document in a list. `title` and what follows are null for the moment in which a new state is not read yet."""

    document_id: DocumentId
    source: SourceId
    external_id: str | None
    knowledge_base: KnowledgeBaseId
    revision: Revision
    status: DocumentStatus
    title: str | None
    url: str | None
    media_type: str | None
    language: str | None
    admitted_at: datetime | None


class ReadMeta(Shown):
    """What a response rests on."""

    as_of: datetime
    generation: GenerationName


class DocumentDetail(DocumentItem):
    """A document's state: what was written of it, and how far it is."""

    attributes: Mapping[str, AttributeJson | list[AttributeJson]]
    links: list[dict[str, str]]
    classification: str | None
    retain_until: datetime | None
    holds: tuple[str, ...]
    region: str | None
    size_bytes: int | None
    access: dict[str, object] | None = Field(description="Shown to keys with the scope write or admin.")
    times: Times
    stores: Mapping[Store, StoreView]
    failure: Failure | None
    meta: ReadMeta


class DocumentList(Shown):
    """A page of documents, newest first; it may be short and still have a cursor."""

    documents: list[DocumentItem]
    cursor: str | None
    meta: ReadMeta


class LineageStep(Shown):
    """One step of a revision: `log` is its record, else what one store of one generation reported."""

    revision: Revision
    step: str = Field(examples=["log", "vectors", "keywords"])
    generation: GenerationName | None = None
    outcome: str
    lane: Lane
    submitted: PositionView
    changed: PositionView | None
    occurred_at: datetime
    observed_at: datetime
    admitted_at: datetime
    prepared_at: datetime | None = None
    embedded_at: datetime | None = None
    indexed_at: datetime | None = None
    parser: str | None = None
    model: str | None = None
    rows: int | None = None
    embedded: int | None = None
    reused: int | None = None
    failure: Failure | None = None
    trace_id: str | None = None


class Lineage(Shown):
    """Every recorded step, newest revision first."""

    document_id: DocumentId
    steps: list[LineageStep]
    meta: ReadMeta


def current_state(head: Head, view: DocumentView | None) -> DocumentChanged | None:
    """Return what was written, if it is the very revision whose readers the gate has checked."""
    return view.state if view is not None and view.state.revision == head.revision else None


def status_of(head: Head, view: DocumentView | None, generation: GenerationName) -> DocumentStatus:
    """Return how far the head's revision is; heads know of completeness before the read model does."""
    complete = [head.complete.get((generation, store)) == head.revision for store in Store]
    if all(complete):
        return DocumentStatus.SEARCHABLE
    if view is not None and view.state.revision == head.revision and view.status is not DocumentStatus.PENDING:
        return view.status
    return DocumentStatus.PARTIAL if any(complete) else DocumentStatus.PENDING


def item_of(head: Head, view: DocumentView | None, generation: GenerationName) -> DocumentItem:
    """Show a document in a list."""
    return DocumentItem(**_item_fields(head, view, generation))


def detail_of(head: Head, view: DocumentView | None, meta: ReadMeta, *, with_access: bool) -> DocumentDetail:
    """Show a document."""
    state = current_state(head, view)
    stores = {store: _store(store, head, view, meta.generation) for store in Store}
    return DocumentDetail(
        **_item_fields(head, view, meta.generation),
        attributes={} if state is None else {name: _attribute(value) for name, value in state.attributes.items()},
        links=[] if state is None else [{"relation": link.relation, "target": link.target} for link in state.links],
        classification=state and state.classification,
        retain_until=state and state.retain_until,
        holds=() if state is None else state.holds,
        region=state and state.region,
        size_bytes=None if state is None or state.content is None else state.content.size_bytes,
        access=_access(head.access) if with_access else None,
        times=_times(head, view),
        stores=stores,
        failure=_failure_of(head, view),
        meta=meta,
    )


def step_of(row: LineageRow) -> LineageStep | None:
    """Show one step; titles, attributes and readers of older revisions are nobody's business here."""
    if row.progress is not None:
        return _progress_step(row.revision, row.progress)
    if row.state is None:
        return None
    state = row.state
    return LineageStep(
        revision=row.revision,
        step="log",
        outcome=state.op.value,
        lane=state.lane,
        submitted=_position(state.submitted),
        changed=None if row.changed is None else _position(row.changed),
        occurred_at=state.occurred_at,
        observed_at=state.observed_at,
        admitted_at=state.admitted_at,
    )


def _item_fields(head: Head, view: DocumentView | None, generation: GenerationName) -> dict[str, object]:
    state = current_state(head, view)
    return {
        "document_id": head.document_id,
        "source": head.source,
        "external_id": None if view is None else view.state.external_id,
        "knowledge_base": head.knowledge_base,
        "revision": head.revision,
        "status": status_of(head, view, generation),
        "title": state and state.title,
        "url": state and state.url,
        "media_type": state and state.media_type,
        "language": state and state.language,
        "admitted_at": state and state.admitted_at,
    }


def _store(store: Store, head: Head, view: DocumentView | None, generation: GenerationName) -> StoreView:
    latest = (view.stores.get(store, StoreState()) if view else StoreState()).latest
    return StoreView(
        complete_revision=head.complete.get((generation, store)),
        latest_revision=latest and latest.revision,
        outcome=latest and latest.outcome.value,
        rows=latest and latest.rows,
        embedded=latest and latest.embedded,
        reused=latest and latest.reused,
        at=latest and latest.trail.indexed_at,
    )


def _reports(head: Head, view: DocumentView | None) -> Mapping[Store, DocumentProgressed]:
    """Return what was reported of the head's own revision."""
    states = {} if view is None else view.stores
    return {
        store: state.latest
        for store, state in states.items()
        if state.latest is not None and state.latest.revision == head.revision
    }


def _times(head: Head, view: DocumentView | None) -> Times:
    state, reports = current_state(head, view), _reports(head, view)
    trails = [report.trail for report in reports.values()]
    keywords, vectors = reports.get(Store.KEYWORDS), reports.get(Store.VECTORS)
    return Times(
        occurred_at=state and state.occurred_at,
        observed_at=state and state.observed_at,
        admitted_at=state and state.admitted_at,
        prepared_at=next((trail.prepared_at for trail in trails if trail.prepared_at), None),
        embedded_at=next((trail.embedded_at for trail in trails if trail.embedded_at), None),
        searchable_by_words_at=keywords and keywords.trail.indexed_at,
        searchable_by_meaning_at=vectors and vectors.trail.indexed_at,
    )


def _failure_of(head: Head, view: DocumentView | None) -> Failure | None:
    return next((found for report in _reports(head, view).values() if (found := _failure(report))), None)


def _failure(report: DocumentProgressed) -> Failure | None:
    if report.error is None:
        return None
    return Failure(stage=report.stage, error=report.error, reason=report.reason)


def _progress_step(revision: Revision, report: DocumentProgressed) -> LineageStep:
    trail = report.trail
    return LineageStep(
        revision=revision,
        step=report.store.value,
        generation=report.generation,
        outcome=report.outcome.value,
        lane=report.lane,
        submitted=_position(trail.submitted),
        changed=_position(trail.changed),
        occurred_at=trail.submission_occurred_at,
        observed_at=trail.submission_observed_at,
        admitted_at=trail.admitted_at,
        prepared_at=trail.prepared_at,
        embedded_at=trail.embedded_at,
        indexed_at=trail.indexed_at,
        parser=trail.parser,
        model=trail.model,
        rows=report.rows,
        embedded=report.embedded,
        reused=report.reused,
        failure=_failure(report),
        trace_id=trail.trace_id,
    )


def _position(position: Position) -> PositionView:
    return PositionView(topic=position.topic, partition=position.partition, offset=position.offset)


def _access(access: Access) -> dict[str, object]:
    return {
        "clauses": [{"principals": list(clause.principals)} for clause in access.clauses],
        "deny": list(access.deny),
    }


def _attribute(value: AttributeValue) -> AttributeJson | list[AttributeJson]:
    return [_scalar(item) for item in value] if isinstance(value, tuple) else _scalar(value)


def _scalar(item: AttributeScalar) -> AttributeJson:
    return {"time": item} if isinstance(item, datetime) else item
