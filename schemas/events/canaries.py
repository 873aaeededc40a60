"""What the canary saw: one round of a document's life, measured from outside."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from schemas.events.base import Event
from schemas.ids import DocumentId
from schemas.topics import Topic


class CanaryStep(StrEnum):
    """What a round does, and what it waits to see of it. Times of the latter begin with the request before it."""

    WRITE = "write"
    FOUND_BY_WORDS = "found_by_words"
    FOUND_BY_MEANING = "found_by_meaning"
    EDIT = "edit"
    EDIT_FOUND_BY_WORDS = "edit_found_by_words"  # the new text is found, the old is not
    EDIT_FOUND_BY_MEANING = "edit_found_by_meaning"
    REVOKE = "revoke"
    REVOKED_HIDDEN = "revoked_hidden"  # from whoever was taken out of the access rule
    GRANT = "grant"
    GRANTED_FOUND = "granted_found"
    DELETE = "delete"
    DELETED_HIDDEN = "deleted_hidden"


class CanaryOutcome(StrEnum):
    """How a step ended."""

    PASSED = "passed"
    FAILED = "failed"  # refused, or not seen before the deadline
    SKIPPED = "skipped"  # nothing could be concluded: what it builds on had failed


@dataclass(frozen=True, slots=True, kw_only=True)
class StepMeasured:
    """One step of one round."""

    step: CanaryStep
    outcome: CanaryOutcome
    duration_ms: int  # until it was seen, or given up
    error: str | None  # a problem's code or a class name; None where it passed


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryMeasured(Event):
    """One round of the canary on one partition of the document topics. Key: tenant/document_id."""

    topic: ClassVar[Topic] = Topic.CANARIES_MEASURED
    document_id: DocumentId
    partition: int
    steps: tuple[StepMeasured, ...]
