"""The promises about the whole installation when all is quiet."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

from headwater.ports.rows import ChunkRow
from schemas.events import DocumentChanged
from schemas.events.base import Lane, Position, Store
from schemas.events.documents import DocumentOp, DocumentSubmitted, ProgressOutcome, SubmissionOp
from schemas.ids import DocumentId, GenerationName, Revision
from schemas.topics import Topic
from streams.admit.expiry import SubmissionsExpiredError
from streams.admit.step import event_id_of
from tests.simulation.evidence import SEARCH_NAMES, Evidence
from tests.simulation.rebuilt import displaced, rows_of, unlike
from tests.simulation.replica import Answer
from tests.simulation.steps import USERS
from tests.simulation.truth import decode, may_read
from tests.simulation.world import STALENESS_BUDGET_S

_EXPIRED = SubmissionsExpiredError.__name__
_OFFSETS = re.compile(r"offsets (\d+) to (\d+)")


class OfEndings(Evidence):
    """Judges what is left when the story is over."""

    def unsettled(self) -> list[str]:
        """Return what is still on its way."""
        unfinished = (each for generation in self._sound() for each in self._unfinished(generation))
        return [*self._unread(), *self._unserved(), *unfinished, *self._lagging()]

    def final(self) -> list[str]:
        """Return what is wrong when all is quiet: (a), (c), (f)."""
        return [
            *(f"(a) {each}" for generation in self._sound() for each in self._differing(generation)),
            *(f"(c) {each}" for each in self._submissions()),
            *(f"(c) {each}" for generation in self._sound() for each in self._read_model(generation)),
            *(f"(c) {each}" for each in self._needlessly_parked()),
            *(f"(f) {each}" for each in self._lost()),
            *(f"(f) {each}" for each in self._waiting()),
        ]

    def finders(self, document: DocumentId) -> list[str]:
        """Return the users who must find a document now: nobody where it is gone, has failed, or has no text."""
        head, generation = self._truth.head(document), self._serving(self._truth.switch(None))
        if head is None or self._failed(head, generation) or not self._expected_texts(head, generation):
            return []
        if not self._container(head.tenant_id, head.knowledge_base, None):
            return []
        return [user for user in USERS if may_read(head.access, self._truth.principals(head.tenant_id, user, None))]

    def missed(self, answer: Answer, document: DocumentId) -> Iterator[str]:
        """Check that one of these has found the document, in its newest revision and in no other."""
        self.finds += 1
        head = self._truth.head(document)
        found = {row.revision for row, _ in answer.rows if row.document_id == document}
        if head is not None and found != {head.revision}:
            why = answer.refused or "it was not found"
            yield f"(e) {answer.user} at {answer.replica} asked for {head.external_id}#{head.revision}: {found or why}"

    def _unread(self) -> Iterator[str]:
        broker = self._world.broker
        group = broker.group("headwater-admit")
        for topic in (Topic.DOCUMENTS_SUBMITTED, Topic.DOCUMENTS_BACKFILL, Topic.DIRECTORY_SUBMITTED):
            name = self._world.topic(topic)
            for number in range(broker.count(name)):
                end, read = broker.end((name, number), committed=True), group.committed.get((name, number), 0)
                if read < end:
                    yield f"{name}/{number}: admission has read up to {read} of {end}"

    def _unserved(self) -> Iterator[str]:
        """What the operator has not brought about, and events that the generation that serves has lost."""
        for wish in self._world.operator.wishes:
            yield f"the operator has not done: {wish.command} {wish.generation}"
        serving = self._serving(self._truth.switch(None))
        wanted = self._world.operator.serving
        if wanted is not None and serving != wanted:
            yield f"{serving} serves, and the operator's last command asked for {wanted}"
        if serving not in self._sound():
            yield f"{serving} serves, and has lost events"

    def _unfinished(self, generation: GenerationName) -> Iterator[str]:
        for document in self._truth.by_document:
            head = self._truth.head(document)
            if head is None:
                continue
            for store, service in SEARCH_NAMES.items():
                outcomes = self._outcomes(head, store, generation)
                if not outcomes:
                    yield f"{head.external_id}#{head.revision}: nothing is reported of {store} in {generation}"
                elif ProgressOutcome.FAILED in outcomes and len(outcomes) == 1:
                    continue
                elif not self._world.services[service].whole and self._missing(head, store, generation):
                    yield f"{head.external_id}#{head.revision}: {store} of {generation} is not rebuilt"

    def _lagging(self) -> Iterator[str]:
        broker = self._world.broker
        for name, api in self._world.apis.items():
            applied = api.heads.applied()
            if api.host.wall_ms() / 1000 - api.heads.as_of().timestamp() > STALENESS_BUDGET_S:
                yield f"{name}: not current"
            for topic in (self._changed, self._directory, self._progressed):
                for number in range(broker.count(topic)):
                    entries = [
                        each.offset for partition, each in broker.committed_entries(topic) if partition[1] == number
                    ]
                    if entries and applied.get(topic, {}).get(number, 0) <= entries[-1]:
                        yield f"{name}: behind in {topic}/{number}"

    def _differing(self, generation: GenerationName) -> Iterator[str]:
        """Compare both stores, row by row and in all fields, with what the log alone makes of each document."""
        for store in Store:
            held: dict[DocumentId, dict[str, ChunkRow]] = {}
            for row_id, row in self._by_id(store, generation).items():
                held.setdefault(row.document_id, {})[row_id] = row
            for document in self._truth.by_document.keys() | held.keys():
                there = held.get(document, {})
                yield from (
                    f"{store} of {generation}: {each}" for each in self._unlike(document, there, store, generation)
                )

    def _unlike(
        self, document: DocumentId, there: Mapping[str, ChunkRow], store: Store, generation: GenerationName
    ) -> Iterator[str]:
        head = self._truth.head(document)
        if head is None:
            yield f"rows of {document[:6]}, which was never admitted"
            return
        if self._failed(head, generation):
            return
        prepared = self._prepared(head, generation)
        expected = {} if prepared is None else rows_of(head, prepared)
        if there.keys() != expected.keys():
            counts = dict(Counter(row.revision for row in there.values()))
            yield f"{head.external_id}#{head.revision} ({head.op}, {len(expected)} rows): {counts}"
            return
        for row_id, row in there.items():
            if wrong := unlike(row, expected[row_id]):
                yield f"{head.external_id}#{head.revision}: row {row.ordinal} differs in {', '.join(wrong)}"
        if prepared is not None and store is Store.VECTORS:
            vectors = self._world.builds[generation].vectors.vectors
            for row_id in displaced(expected, vectors, prepared.content_title):
                yield f"{head.external_id}#{head.revision}: another vector at {expected[row_id].ordinal}"

    def _submissions(self) -> Iterator[str]:
        audited = Counter(each.event_id for each in self._truth.audits)
        accepted = {each.event_id for each in self._truth.audits if each.outcome == "accepted"}
        admitted = Counter(each.record.submitted for each in self._truth.log)
        parked = Counter(
            each.origin for each in self._truth.letters if each.stage == "admit" and each.error != _EXPIRED
        )
        told_lost = self._told_lost()
        for position, event in self._truth.submissions.items():
            name = f"{event.op} of {event.external_id} at {position.topic}/{position.partition}/{position.offset}"
            audit = event_id_of(position, "audit")
            if admitted[position] != (audit in accepted):
                yield f"{name}: {admitted[position]} records of the log, accepted: {audit in accepted}"
            ends = audited[audit] + parked[position]
            if position in told_lost:
                yield from self._judge_lost(position, event, name, ends)
            elif ends > 1 or (ends == 0 and not self._may_be_unchanged(event)):
                yield f"{name}: ended {ends} times"

    def _told_lost(self) -> set[Position]:
        """Return the positions of which letters say that they were removed unread, settled ones among them or not."""
        told: set[Position] = set()
        for letter in self._truth.letters:
            if letter.error == _EXPIRED and (found := _OFFSETS.search(letter.reason)):
                told |= {replace(letter.origin, offset=each) for each in range(int(found[1]), int(found[2]) + 1)}
        return told

    def _judge_lost(self, position: Position, event: DocumentSubmitted, name: str, ends: int) -> Iterator[str]:
        if position.offset >= self._world.broker.logs[position.topic, position.partition].start:
            yield f"{name}: is said to be lost, and is there"
        if ends > (event.lane is Lane.BACKFILL):  # tenants take turns: some of a range may be settled
            yield f"{name}: is said to be lost, and ended {ends} times"

    def _may_be_unchanged(self, event: DocumentSubmitted) -> bool:
        """Say whether a submission may have found its state there already: of backfill nothing tells of that."""
        states = (each.record for each in self._truth.by_document.get(event.document_id, ()))
        title = None if event.state is None else event.state.title  # names the draft
        return event.lane is Lane.BACKFILL and any(title == each.title for each in states)

    def _read_model(self, generation: GenerationName) -> Iterator[str]:
        for document in self._truth.by_document:
            head = self._truth.head(document)
            if head is None:
                continue
            known = self._world.documents.states.get(document)
            if known is None or known.revision != head.revision:
                there = known.revision if known else None
                yield f"{head.external_id}: the read model knows revision {there}, not {head.revision}"
            elif known != head:
                yield f"{head.external_id}#{head.revision}: the read model knows another state than the log"
            failed, name = self._failed(head, generation), f"{head.external_id}#{head.revision} in {generation}"
            if not failed and (document, head.revision, generation) not in self._truth.announced:
                yield f"{name}: was never announced"
            if failed and not any(each.document_id == document for each in self._truth.letters):
                yield f"{name}: failed without a letter"

    def _needlessly_parked(self) -> Iterator[str]:
        """What is sound is parked for no other reason than that a store lost its rows, or its worker kept dying."""
        lost = any(service.wiped for service in self._world.services.values())
        excused = {"WorkerKilledError", _EXPIRED} | ({"IncompleteRevisionError"} if lost else set())
        for letter in self._truth.letters:
            sound = letter.document_id is None or letter.revision is None
            if not sound and letter.document_id is not None and letter.revision is not None:
                sound = not self._is_flawed(self._of_revision(letter.document_id, letter.revision))
            if sound and letter.error not in excused:
                yield f"{letter.stage} parked {letter.origin} without need: {letter.error}"

    def _waiting(self) -> Iterator[str]:
        """What waits is there and was not submitted again since; a deletion that waited waits still, or was ended."""
        for document in {event.document_id for event in self._truth.submissions.values()}:
            head, waiting = self._truth.head(document), self._truth.waiting.get(document)
            last = self._last_word(document)
            is_there = head is not None and head.op is not DocumentOp.DELETED
            if waiting is not None and not is_there:
                yield f"{waiting.external_id}: its deletion waits, and it is gone"
            if waiting is not None and last != waiting.submitted:
                yield f"{waiting.external_id}: was submitted again, and its deletion waits still"
            if waiting is None and is_there and last in self._truth.waited and not self._was_backfilled(document):
                yield f"{document[:6]}: its deletion, {last}, neither waits nor has happened"

    def _last_word(self, document: DocumentId) -> Position | None:
        """Return the newest full state or quarantined deletion: a source's audit events come in their order."""
        audits = {
            event_id_of(position, "audit"): (position, event.op)
            for position, event in self._truth.submissions.items()
            if event.document_id == document
        }
        last: Position | None = None
        for each in self._truth.audits:
            position, op = audits.get(each.event_id, (None, None))
            is_put = op is SubmissionOp.PUT and each.outcome in {"accepted", "unchanged"}
            if is_put or (position is not None and each.outcome == "quarantined"):
                last = position
        return last

    def _was_backfilled(self, document: DocumentId) -> bool:
        """Say whether a state may have come that nothing tells of, because it was there already."""
        known = {each.event_id for each in self._truth.audits}
        return any(
            event.document_id == document
            and event.lane is Lane.BACKFILL
            and event_id_of(position, "audit") not in known
            for position, event in self._truth.submissions.items()
        )

    def _lost(self) -> Iterator[str]:
        newest: dict[DocumentId, Revision] = {}
        for _, entry in self._world.broker.committed_entries(self._changed):
            record = decode(entry.value or b"", DocumentChanged)
            newest[record.document_id] = max(record.revision, newest.get(record.document_id, Revision(0)))
        for document in self._truth.by_document:
            head = self._truth.head(document)
            if head is not None and newest.get(document) != head.revision:
                yield f"{head.external_id}: the log ends at {newest.get(document)}, admitted was {head.revision}"
