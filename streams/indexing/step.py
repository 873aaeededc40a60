"""The step: what an event means for a store, and what is reported about it. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid5

from headwater.errors import PoisonError
from schemas.events import ChunkBatch, DocumentProgressed
from schemas.events.base import Store
from schemas.events.documents import DocumentOp, ProgressOutcome
from schemas.ids import Revision

_NAMESPACE = UUID("b1a3e6de-4a7e-4a0c-9c3c-6f0e7f5f2f2e")


class Task(StrEnum):
    """What a batch asks of a store."""

    FAIL = "fail"  # report that the revision will not come
    REMOVE = "remove"  # take the document out
    WRITE = "write"  # write the rows, and nothing more yet
    COMPLETE = "complete"  # write the rows, and see that all of the revision's are there


class IncompleteRevisionError(PoisonError):
    """Rows of a revision are missing or too many, although all its batches were written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vectors:
    """How many vectors of a revision were computed for it, and how many were known."""

    embedded: int = 0
    reused: int = 0

    def __add__(self, other: "Vectors") -> "Vectors":
        """Add up batches."""
        return Vectors(embedded=self.embedded + other.embedded, reused=self.reused + other.reused)


def task_of(batch: ChunkBatch) -> Task:
    """Say what a batch asks for."""
    if batch.failed_error is not None:
        return Task.FAIL
    if batch.op is DocumentOp.DELETED:
        return Task.REMOVE
    return Task.COMPLETE if batch.last else Task.WRITE


def is_superseded(batch: ChunkBatch, newest: Revision | None) -> bool:
    """Say whether the store has rows of a newer revision: events come in order, so this one is a repeat."""
    return newest is not None and newest > batch.revision


def is_outrun(batch: ChunkBatch, count: int, following: Iterable[object]) -> bool:
    """Say whether rows are missing of a revision that a newer one follows in the log: nobody waits for them.

    A stage that reads its topic again writes rows of revisions that were replaced long ago, and the sweeper, which has
    the newer one's report, removes them meanwhile (ADR 0079).
    """
    followed = any(isinstance(each, ChunkBatch) and each.revision > batch.revision for each in following)
    return followed and count < batch.total


def require_complete(batch: ChunkBatch, count: int) -> None:
    """Raise IncompleteRevisionError unless the store shows every row of the revision."""
    if count != batch.total:
        raise IncompleteRevisionError(
            f"the store shows {count} rows of revision {batch.revision}, expected are {batch.total}: an earlier "
            "batch was parked, or the store lost rows; submit the document again"
        )


def completed(batch: ChunkBatch, store: Store, vectors: Vectors, *, at: datetime) -> DocumentProgressed:
    """Report that every row is there and visible."""
    return replace(
        _progress(batch, store, ProgressOutcome.COMPLETE, at=at),
        rows=batch.total,
        embedded=vectors.embedded,
        reused=vectors.reused,
    )


def gone(batch: ChunkBatch, store: Store, *, at: datetime) -> DocumentProgressed:
    """Report that no row is left."""
    return _progress(batch, store, ProgressOutcome.GONE, at=at)


def failed(batch: ChunkBatch, store: Store, *, stage: str, error: str, reason: str, at: datetime) -> DocumentProgressed:
    """Report that the revision was parked, and why."""
    return replace(_progress(batch, store, ProgressOutcome.FAILED, at=at), stage=stage, error=error, reason=reason)


def _progress(batch: ChunkBatch, store: Store, outcome: ProgressOutcome, *, at: datetime) -> DocumentProgressed:
    name = f"{batch.document_id}#{batch.revision}#{batch.generation}#{store}#{outcome}"
    return DocumentProgressed(
        event_id=uuid5(_NAMESPACE, name),
        tenant_id=batch.tenant_id,
        occurred_at=batch.occurred_at,
        observed_at=batch.observed_at,
        document_id=batch.document_id,
        revision=batch.revision,
        generation=batch.generation,
        store=store,
        outcome=outcome,
        lane=batch.lane,
        rows=0,
        embedded=0,
        reused=0,
        stage=None,
        error=None,
        reason=None,
        trail=replace(batch.trail, indexed_at=at),
    )
