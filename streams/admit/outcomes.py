"""What admission knows of a document, and how a submission can end."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from schemas.events.base import Lane
from schemas.events.directory import DirectoryChanged
from schemas.events.documents import DeletionQuarantined, DocumentChanged, DocumentOp

NEVER = -1  # no submission of this lane has been seen


class Refusal(StrEnum):
    """Why a submission does not become truth. A closed set: also a metric label."""

    STALE = "stale"
    REVISION_MISMATCH = "revision_mismatch"
    NOT_OWNER = "not_owner"
    UNKNOWN_TENANT = "unknown_tenant"
    UNKNOWN_SOURCE = "unknown_source"
    UNKNOWN_KNOWLEDGE_BASE = "unknown_knowledge_base"
    UNKNOWN_DOCUMENT = "unknown_document"
    UNKNOWN_REFERENCE = "unknown_reference"
    INVALID = "invalid"
    DELETION_BUDGET = "deletion_budget"
    DELETION_DOUBTED = "deletion_doubted"
    FILE_TOO_LARGE = "file_too_large"
    QUOTA_DOCUMENTS = "quota_documents"
    QUOTA_CONTENT_BYTES = "quota_content_bytes"
    HELD = "held"
    RETAINED = "retained"
    WRONG_REGION = "wrong_region"


# The directory may say otherwise once it is read to its end: worth a second look before refusing.
DIRECTORY_REFUSALS = frozenset({Refusal.UNKNOWN_TENANT, Refusal.UNKNOWN_SOURCE, Refusal.UNKNOWN_KNOWLEDGE_BASE})


class Drop(StrEnum):
    """Why a submission changes nothing, without being wrong."""

    UNCHANGED = "unchanged"
    REPLAYED = "replayed"
    GONE_ALREADY = "gone_already"
    SUPERSEDED = (
        "superseded"  # a rerun of what is not the newest revision (any more), an approval of what waits no more
    )
    WAITING = "waiting"  # its deletion waits already


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentHead:
    """The newest record of a document, with what the log alone does not say.

    `seen_version` may be above the record's own: a newer version of the same state was seen and dropped. Offsets are
    those of the newest submission of each lane that reached a decision about this document.
    """

    record: DocumentChanged
    seen_version: int | None
    live_offset: int = NEVER
    backfill_offset: int = NEVER
    waiting: DeletionQuarantined | None = None  # a deletion; the document exists meanwhile

    @property
    def exists(self) -> bool:
        """Say whether there is a document now: admitted once and not deleted since."""
        return self.record.op is DocumentOp.UPSERTED

    def offset(self, lane: Lane) -> int:
        """Return the newest offset seen on one lane's topic."""
        return self.live_offset if lane is Lane.LIVE else self.backfill_offset

    def naming_submissions(self) -> DocumentChanged:
        """Return the record, with what the log must say for these offsets to be known without this store."""
        return replace(
            self.record,
            live_offset=None if self.live_offset == NEVER else self.live_offset,
            backfill_offset=None if self.backfill_offset == NEVER else self.backfill_offset,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """This record is appended to the log; `head` is what admission knows once it is committed."""

    record: DocumentChanged
    head: DocumentHead


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmittedDirectory:
    """This record is appended to the directory."""

    record: DirectoryChanged


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """Nothing is appended. `head` is set where admission has learnt something that the log does not say."""

    reason: Drop
    head: DocumentHead | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Nothing is appended. `detail` names the field and the remedy; it never quotes the document.

    `head` is set where admission has learnt something all the same: a document that is submitted is there.
    """

    reason: Refusal
    detail: str
    head: DocumentHead | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """The document stays, its deletion waits for an administrator: it is `head.waiting`."""

    head: DocumentHead
    detail: str
    reason: Refusal


DocumentDecision: TypeAlias = Admitted | Dropped | Refused | Quarantined
DirectoryDecision: TypeAlias = AdmittedDirectory | Dropped | Refused


class RefusedError(Exception):
    """Carries a refusal out of a check; never leaves the pure functions."""

    def __init__(self, reason: Refusal, detail: str) -> None:
        super().__init__(detail)
        self.refused = Refused(reason=reason, detail=detail)
