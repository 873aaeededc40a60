"""Lets go of documents that were deleted long ago: the record of their deletion becomes a tombstone.

Until then a DELETED head fences: revisions go on growing from it, and an older state of the source stays out. It may
go once nothing is left that could bring the document back: every generation has confirmed that its rows are gone, and
submissions, dead letters and backups of its time have expired.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final, Protocol

from headwater.ports.heads import DirectoryEntry
from headwater.settings import BackupSettings
from schemas.events.base import Store
from schemas.events.directory import DirectoryChanged, DirectoryKind, DirectoryOp, Generation, GenerationState
from schemas.events.documents import DocumentOp, DocumentProgressed, ProgressOutcome
from schemas.ids import SYSTEM_TENANT, DocumentId, GenerationName, Revision, TenantId
from schemas.topics import Topic
from streams.admit.heads import AdmissionHeads

# A head takes about 50 µs to decode: a scan of this many holds up live submissions for 5 ms.
SCAN: Final = 100
AT_ONCE: Final = 5_000  # candidates of one partition; the rest has its turn the next day
FIRST_AFTER_MS: Final = 10 * 60_000  # a worker that has just started has better things to do
EVERY_MS: Final = 24 * 3_600_000

Reports = Mapping[tuple[GenerationName, Store], DocumentProgressed]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A document that was deleted long enough ago."""

    tenant_id: TenantId
    document_id: DocumentId
    revision: Revision  # of the deletion


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """A document whose record may go, with the reports about it, which go with it."""

    candidate: Candidate
    reported: tuple[tuple[GenerationName, Store], ...]


class Generations(Protocol):
    """The part of the directory that erasure asks."""

    def latest(self, tenant: TenantId, kind: DirectoryKind, record_id: str) -> DirectoryChanged | None:
        """Return the newest record of a key, deletions included."""
        ...

    def list(self, tenant: TenantId, kind: DirectoryKind) -> Collection[DirectoryEntry]:
        """Return all records of a kind."""
        ...


class Confirms(Protocol):
    """Finds out, beside the loop, which candidates are gone everywhere."""

    def ask(self, partition: int, candidates: Mapping[DocumentId, Candidate]) -> None:
        """Begin to find out. One question at a time."""
        ...

    def answer(self) -> tuple[int, tuple[Erasure, ...]] | None:
        """Return the partition and what may go, once; None while it is not known or nothing was asked."""
        ...


def erasure_age(settings: BackupSettings) -> timedelta:
    """Return how long a deletion is remembered: longer than anything that could bring the document back.

    A chain of backups keeps what it began with until its last run has expired.
    """
    return timedelta(days=max(_days_kept(), settings.retention_days + settings.full_every_days))


@cache
def _days_kept() -> float:
    from schemas.catalogue import load_catalogue  # not at the top: YAML would cost each start of a worker 0.1 s

    catalogue = load_catalogue()
    kept = (Topic.EVENTS_PARKED, Topic.DOCUMENTS_SUBMITTED, Topic.DOCUMENTS_BACKFILL, Topic.DOCUMENTS_DEFERRED)
    return max(catalogue[topic].retention_days or 0 for topic in kept)


def is_gone_everywhere(reports: Reports, revision: Revision, wanted: Collection[GenerationName]) -> bool:
    """Say whether both stores of all these generations have confirmed the deletion."""
    return all(
        (report := reports.get((generation, store))) is not None
        and report.outcome is ProgressOutcome.GONE
        and report.revision >= revision
        for generation in wanted
        for store in Store
    )


def generations_to_ask(reports: Reports, directory: Generations, *, own: GenerationName) -> frozenset[GenerationName]:
    """Return the generations that must confirm: those that are fed, and any that holds rows and was not retired."""
    entries = directory.list(SYSTEM_TENANT, DirectoryKind.GENERATION)
    listed = {each.record.name: each.record.state for each in entries if isinstance(each.record, Generation)}
    known = {own, *listed, *(generation for generation, _ in reports)}
    return frozenset(
        name for name in known if listed.get(name) is not GenerationState.RETIRED and not _is_dropped(name, directory)
    )


def _is_dropped(name: GenerationName, directory: Generations) -> bool:
    latest = directory.latest(SYSTEM_TENANT, DirectoryKind.GENERATION, name)
    return latest is not None and latest.op is DirectoryOp.DELETE


@dataclass(slots=True, kw_only=True, eq=False)
class _Round:
    """One look at all heads of a partition."""

    after: bytes = b""  # key of the last head looked at
    not_before_ms: int
    found: dict[DocumentId, Candidate] = field(default_factory=dict)


class Erasures:
    """Goes through the heads of the owned partitions, a few at a time, once a day."""

    def __init__(self, heads: AdmissionHeads, confirms: Confirms, *, age: Callable[[], timedelta]) -> None:
        self._heads = heads
        self._confirms = confirms
        self._age = age
        self._rounds: dict[int, _Round] = {}
        self._asked: int | None = None

    def own(self, partitions: Collection[int], *, now_ms: int) -> None:
        """Note which partitions are this worker's now."""
        self._rounds = {
            each: self._rounds.get(each) or _Round(not_before_ms=now_ms + FIRST_AFTER_MS) for each in partitions
        }

    def due(self, *, now_ms: int) -> tuple[int, tuple[Erasure, ...]] | None:
        """Do a little; return a partition and what may go from it, when that is known."""
        answer = self._confirms.answer()
        if answer is not None:
            self._asked = None
            return answer if answer[0] in self._rounds else None
        if self._asked is None:
            self._look(now_ms)
        return None

    def _look(self, now_ms: int) -> None:
        due = next(((each, round_) for each, round_ in self._rounds.items() if round_.not_before_ms <= now_ms), None)
        if due is None:
            return
        partition, round_ = due
        admitted_before = datetime.fromtimestamp(now_ms / 1000, tz=UTC) - self._age()
        after = b""
        for key, head in self._heads.scan(partition, round_.after, limit=SCAN):
            after = key
            record = head.record
            if record.op is DocumentOp.DELETED and record.admitted_at <= admitted_before:
                round_.found[record.document_id] = Candidate(
                    tenant_id=record.tenant_id, document_id=record.document_id, revision=record.revision
                )
        round_.after = after
        if after and len(round_.found) < AT_ONCE:
            return
        self._rounds[partition] = _Round(not_before_ms=now_ms + EVERY_MS)
        if round_.found:
            self._asked = partition
            self._confirms.ask(partition, round_.found)
