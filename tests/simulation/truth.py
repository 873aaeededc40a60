"""What really happened: every record that became visible, and what follows from the log alone.

Nothing here asks production code what is right: access, order and merging are judged again, by the plainest means.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from headwater.clients.kafka.murmur2 import partition_of
from schemas.codec import Codec
from schemas.events import AuditRecorded, DocumentChanged, DocumentIngested, DocumentProgressed, EventParked
from schemas.events.base import Position, Store
from schemas.events.directory import (
    DirectoryChanged,
    DirectoryKind,
    DirectoryOp,
    Generation,
    GenerationState,
    Group,
    User,
)
from schemas.events.documents import (
    Access,
    DeletionQuarantined,
    DocumentOp,
    DocumentSubmitted,
    ProgressOutcome,
    SubmissionOp,
)
from schemas.ids import DocumentId, GenerationName, Revision, TenantId
from schemas.registry import ManifestIds, load_manifest
from schemas.topics import Topic
from tests.simulation.partition_log import Entry, Partition

decode = Codec(ManifestIds(load_manifest())).decode  # nothing that the platform's processes have read is judged by


@dataclass(frozen=True, slots=True, kw_only=True)
class Visible:
    """A record of the log, and when readers could see it."""

    partition: int
    offset: int
    at_s: float
    record: DocumentChanged


@dataclass(slots=True, kw_only=True, eq=False)
class Truth:
    """Listens to the broker. Raises nothing itself: what is wrong is kept in `violations`."""

    topics: dict[str, Topic]
    partitions: int
    submissions: dict[Position, DocumentSubmitted] = field(default_factory=dict)
    log: list[Visible] = field(default_factory=list)
    by_document: dict[DocumentId, list[Visible]] = field(default_factory=dict)
    directory: list[tuple[int, float, DirectoryChanged]] = field(default_factory=list)
    progress: dict[DocumentId, list[tuple[int, int, DocumentProgressed]]] = field(default_factory=dict)
    waiting: dict[DocumentId, DeletionQuarantined] = field(default_factory=dict)
    waited: set[Position] = field(default_factory=set)  # submissions of all deletions that ever waited
    audits: list[AuditRecorded] = field(default_factory=list)
    letters: list[EventParked] = field(default_factory=list)
    announced: dict[tuple[DocumentId, Revision, GenerationName], DocumentIngested] = field(default_factory=dict)
    appended: dict[Partition, list[tuple[int, float]]] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    def see(self, partition: Partition, entry: Entry) -> None:
        """Take in a record at the moment it becomes visible."""
        topic = self.topics.get(partition[0])
        if topic in {Topic.DOCUMENTS_CHANGED, Topic.DIRECTORY_CHANGED}:
            self.appended.setdefault(partition, []).append((entry.offset, entry.at_s))
        if topic is Topic.DELETIONS_QUARANTINED:
            self._quarantined(entry)
        if entry.value is None:
            return
        if topic is Topic.DOCUMENTS_CHANGED:
            self._changed(partition, entry, decode(entry.value, DocumentChanged))
        elif topic is Topic.DIRECTORY_CHANGED:
            self.directory.append((entry.offset, entry.at_s, decode(entry.value, DirectoryChanged)))
        elif topic is Topic.DOCUMENTS_PROGRESSED:
            report = decode(entry.value, DocumentProgressed)
            self.progress.setdefault(report.document_id, []).append((partition[1], entry.offset, report))
        elif topic is Topic.AUDIT_RECORDED:
            self.audits.append(decode(entry.value, AuditRecorded))
        elif topic is Topic.EVENTS_PARKED:
            self.letters.append(decode(entry.value, EventParked))
        elif topic is Topic.DOCUMENTS_INGESTED:
            fact = decode(entry.value, DocumentIngested)
            self.announced[fact.document_id, fact.revision, fact.generation] = fact

    def head(self, document: DocumentId, before: int | None = None) -> DocumentChanged | None:
        """Return a document's newest record, of those below an offset of its partition."""
        seen = self.by_document.get(document, ())
        found = [each.record for each in seen if before is None or each.offset < before]
        return found[-1] if found else None

    def complete(
        self, document: DocumentId, store: Store, generation: GenerationName, below: dict[int, int]
    ) -> Revision | None:
        """Return the highest revision that was reported complete, or gone, in a store of a generation."""
        found = [
            report.revision
            for partition, offset, report in self.progress.get(document, ())
            if report.store is store
            and report.generation == generation
            and report.outcome is not ProgressOutcome.FAILED
            and offset < below.get(partition, 0)
        ]
        return max(found, default=None)

    def ends(self) -> dict[int, int]:
        """Return the offsets behind all reports, by partition."""
        reports = [each for of_document in self.progress.values() for each in of_document]
        return {number: max(offset for where, offset, _ in reports if where == number) + 1 for number, _, _ in reports}

    def exists(self, tenant: TenantId, kind: DirectoryKind, record_id: str, before: int | None) -> bool:
        """Say whether a directory record exists, by what lies below an offset."""
        newest = None
        for offset, _, record in self.directory:
            if (before is None or offset < before) and (record.tenant_id, record.kind, record.record_id) == (
                tenant,
                kind,
                record_id,
            ):
                newest = record
        return newest is not None and newest.op is DirectoryOp.PUT

    def switch(self, before: int | None) -> Generation | None:
        """Return the record that says which generation serves, by what lies below an offset: the highest switch."""
        state: dict[str, Generation] = {}
        for offset, _, record in self.directory:
            if (before is None or offset < before) and isinstance(record.record, Generation):
                state[record.record_id] = record.record
        served = [each for each in state.values() if each.state is GenerationState.SERVING]
        return max(served, key=lambda each: each.switched, default=None)

    def principals(self, tenant: TenantId, user: str, before: int | None) -> frozenset[str]:
        """Return who a user is: by going round until nothing is added."""
        state: dict[tuple[DirectoryKind, str], DirectoryChanged] = {}
        for offset, _, record in self.directory:
            if (before is None or offset < before) and record.tenant_id == tenant:
                state[record.kind, record.record_id] = record
        person = state.get((DirectoryKind.USER, user))
        if person is None or not isinstance(person.record, User):
            return frozenset()
        mine = {f"user:{user}"} | (set() if person.record.guest else {"everyone"})
        grown = True
        while grown:
            grown = False
            for (kind, name), record in state.items():
                if kind is DirectoryKind.GROUP and isinstance(record.record, Group):
                    group = f"group:{name}"
                    if group not in mine and any(member in mine for member in record.record.members):
                        mine.add(group)
                        grown = True
        return frozenset(mine)

    def visible_until(self, partition: Partition, at_s: float) -> int:
        """Return the offset behind everything that was visible in a partition at an instant."""
        seen = [offset for offset, shown_s in self.appended.get(partition, ()) if shown_s <= at_s]
        return max(seen, default=-1) + 1

    def _changed(self, partition: Partition, entry: Entry, record: DocumentChanged) -> None:
        before = self.head(record.document_id)
        if partition_of(entry.key, self.partitions) != partition[1]:
            self.violations.append(f"(f) {record.external_id} lies in partition {partition[1]}, where its key is not")
        if before is not None and record.revision <= before.revision:
            self.violations.append(f"(d) {record.external_id}: revision {record.revision} follows {before.revision}")
        if record.revision in {each.record.revision for each in self.by_document.get(record.document_id, ())}:
            self.violations.append(f"(d) {record.external_id}: revision {record.revision} was given twice")
        submission = self.submissions.get(record.submitted)
        if submission is not None:
            self._follows(record, before, submission)
        seen = Visible(partition=partition[1], offset=entry.offset, at_s=entry.at_s, record=record)
        self.log.append(seen)
        self.by_document.setdefault(record.document_id, []).append(seen)

    def _quarantined(self, entry: Entry) -> None:
        document = DocumentId((entry.key or b"").decode().rpartition("/")[2])
        if entry.value is None:
            self.waiting.pop(document, None)
            return
        waiting = self.waiting[document] = decode(entry.value, DeletionQuarantined)
        if waiting.submitted in self.waited:
            self.violations.append(f"(c) {waiting.external_id}: its deletion was quarantined twice")
        self.waited.add(waiting.submitted)

    def _follows(self, record: DocumentChanged, before: DocumentChanged | None, submission: DocumentSubmitted) -> None:
        """Check that a record is what its submission makes of the state before."""
        name = f"{record.external_id} at revision {record.revision}"
        if any(each.record.submitted == record.submitted for each in self.by_document.get(record.document_id, ())):
            self.violations.append(f"(c) {name}: its submission was admitted before")
        versions = [
            each.record.source_version
            for each in self.by_document.get(record.document_id, ())
            if each.record.source_version is not None
        ]
        if submission.source_version is not None and versions and submission.source_version < max(versions):
            self.violations.append(
                f"(f) {name}: version {submission.source_version} of the source after {max(versions)}"
            )
        if record.op is DocumentOp.DELETED and submission.approves is None and record.submitted in self.waited:
            self.violations.append(f"(f) {name}: a deletion that waited was admitted without approval")
        if submission.approves is not None and submission.approves not in self.waited:
            self.violations.append(f"(f) {name}: approved is a deletion that never waited")
        wanted = _wanted(before, submission)
        if wanted is not None and wanted != _told(record):
            self.violations.append(f"(f) {name}: the state is {_told(record)}, its submission makes {wanted}")


def _told(record: DocumentChanged) -> dict[str, object]:
    if record.op is DocumentOp.DELETED:
        return {"op": "deleted"}
    return {
        "title": record.title,
        "content": None if record.content is None else record.content.sha256,
        "access": plain(record.access),
        "attributes": dict(record.attributes),
        "knowledge_base": record.knowledge_base,
    }


def _wanted(before: DocumentChanged | None, submission: DocumentSubmitted) -> dict[str, object] | None:
    if submission.op is SubmissionOp.DELETE:
        return {"op": "deleted"}
    if submission.state is not None:
        state = submission.state
        return {
            "title": state.title,
            "content": None if state.content is None else state.content.sha256,
            "access": plain(state.access),
            "attributes": dict(state.attributes),
            "knowledge_base": state.knowledge_base,
        }
    patch = submission.patch
    if patch is None or before is None or before.op is DocumentOp.DELETED:
        return {"op": "nothing to patch"}
    wanted = _told(before)
    if patch.title is not None:
        wanted["title"] = patch.title
    if patch.access is not None:
        wanted["access"] = plain(patch.access)
    if patch.knowledge_base is not None:
        wanted["knowledge_base"] = patch.knowledge_base
    wanted["attributes"] = {**before.attributes, **patch.attributes}
    return wanted


def plain(access: Access) -> tuple[frozenset[frozenset[str]], frozenset[str]]:
    """Return a rule without any order."""
    return frozenset(frozenset(clause.principals) for clause in access.clauses), frozenset(access.deny)


def may_read(access: Access, principals: Iterable[str]) -> bool:
    """Judge a rule in the plainest way: someone of every clause, no one denied, and not without clauses."""
    mine = set(principals)
    clauses, deny = plain(access)
    return bool(clauses) and all(mine & clause for clause in clauses) and not mine & deny
