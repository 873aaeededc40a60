"""The one way to run a revision again: ask admission to append it once more, under a new number.

Nothing is repaired in place. Rows are immutable and consumers pass over what they have settled, so what failed or
differs is written beside what is there, under a revision of its own, and replaces it as any edit does. Unchanged
content costs no parsing and no model call: both are cached by content.
"""

from datetime import datetime
from typing import Protocol
from uuid import uuid4

from schemas.events.base import Lane
from schemas.events.documents import DocumentSubmitted, SubmissionOp
from schemas.ids import DocumentId, Principal, Revision, SourceId, TenantId


class Rerunnable(Protocol):
    """What names a document and one of its revisions: a record of the log, or what was kept of one."""

    @property
    def tenant_id(self) -> TenantId: ...

    @property
    def document_id(self) -> DocumentId: ...

    @property
    def source(self) -> SourceId: ...

    @property
    def external_id(self) -> str: ...

    @property
    def revision(self) -> Revision: ...


def rerun_of(
    state: Rerunnable, *, actor: Principal, now: datetime, lane: Lane, revision: Revision | None = None
) -> DocumentSubmitted:
    """Return the submission that asks for a revision of a document to run again, a deletion's included.

    `state` is any known record of the document: only what never changes is taken from it, and its own revision unless
    `revision` names another one that failed or differs. It ends as superseded where that is no longer the newest.
    Append it under `document_key`, to `rag.documents.submitted` (live) or `rag.documents.backfill`.
    """
    return DocumentSubmitted(
        event_id=uuid4(),
        tenant_id=state.tenant_id,
        occurred_at=now,
        observed_at=now,
        document_id=state.document_id,
        source=state.source,
        external_id=state.external_id,
        op=SubmissionOp.RERUN,
        lane=lane,
        source_version=None,
        expected_revision=state.revision if revision is None else revision,
        actor=actor,
        state=None,
        patch=None,
    )
