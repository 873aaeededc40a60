"""The promises, as checks: of every answer while the story goes on, and of the whole installation at its end."""

from collections import Counter
from collections.abc import Iterator

from headwater.ports.rows import ChunkRow
from schemas.events import DocumentChanged
from schemas.events.base import Lane, Store
from schemas.events.directory import DirectoryKind
from schemas.events.documents import DocumentOp, ProgressOutcome
from schemas.ids import SYSTEM_TENANT, DocumentId, KnowledgeBaseId, Revision, TenantId
from schemas.topics import Topic
from streams.admit.step import event_id_of
from tests.simulation.replica import Answer
from tests.simulation.seams import DEADLY, prepared_text
from tests.simulation.truth import Truth, may_read
from tests.simulation.world import STALENESS_BUDGET_S, World

# A kept promise may be measured late: the log's ends are asked for twice a second, and answers take their way.
_TOLERANCE_S = 1.0
_SEARCH_NAMES = {Store.VECTORS: "milvus", Store.KEYWORDS: "elasticsearch"}


class Oracles:
    """Judges one run."""

    def __init__(self, world: World, truth: Truth) -> None:
        self._world, self._truth = world, truth
        self._changed, self._directory = world.topic(Topic.DOCUMENTS_CHANGED), world.topic(Topic.DIRECTORY_CHANGED)
        self._progressed = world.topic(Topic.DOCUMENTS_PROGRESSED)
        self._highest: dict[tuple[str, DocumentId, Store], int] = {}
        self.answers = 0
        self.rows = 0

    # --- while it runs

    def judge(self, answer: Answer) -> None:
        """Check an answer: (b), (g), and that nothing which the gate would admit is missing from the stores."""
        if answer.refused is not None:
            return
        self.answers += 1
        self.rows += len(answer.rows)
        wrong = self._truth.violations
        wrong += [f"(b) {each}" for each in self._stale(answer)]
        wrong += [f"(b) {each}" for each in self._unlike_the_log(answer)]
        wrong += [
            f"(b) {each}"
            for row, store in answer.rows
            for each in self._forbidden(answer, row.document_id, row.revision, store)
        ]
        wrong += [
            f"(b) row {row.row_id}: another text"
            for row, _ in answer.rows
            if not self._is_genuine(row.document_id, row.revision, row.ordinal, row.text)
        ]
        wrong += [f"(g) {each}" for each in self._token(answer)]
        wrong += [f"(h) {each}" for each in self._gaps(answer)]
        wrong += [f"(d) {each}" for each in self._falling(answer)]

    def _stale(self, answer: Answer) -> Iterator[str]:
        since_s = answer.asked_at_s - STALENESS_BUDGET_S - _TOLERANCE_S
        for partition in self._truth.appended:
            applied = answer.applied.get(partition[0], {}).get(partition[1], 0)
            must = self._truth.visible_until(partition, since_s)
            if applied < must:
                yield (
                    f"{answer.replica} answered at {answer.asked_at_s:.1f} s knowing {partition} up to {applied}; "
                    f"{STALENESS_BUDGET_S:g} s before, it ended at {must}"
                )

    def _unlike_the_log(self, answer: Answer) -> Iterator[str]:
        """A replica's heads are those of the log at the position that it states: no more, no less."""
        heads = self._world.apis[answer.replica].heads
        for document in self._truth.by_document:
            known, head = heads.head(answer.tenant, document), self._head(answer, document)
            if (
                head is not None
                and head.tenant_id == answer.tenant
                and (known is None or known.revision != head.revision)
            ):
                yield (
                    f"{answer.replica} at {answer.asked_at_s:.1f} s knows {head.external_id} at "
                    f"{known.revision if known else None}; at its position the log says {head.revision}"
                )

    def _forbidden(self, answer: Answer, document: DocumentId, revision: Revision, store: Store) -> Iterator[str]:
        truth, directory = self._truth, answer.applied.get(self._directory, {}).get(0, 0)
        head = self._head(answer, document)
        who = f"{answer.user} was shown {document[:6]}#{revision} by {answer.replica} at {answer.asked_at_s:.1f} s"
        if head is None or head.op is DocumentOp.DELETED:
            yield f"{who}: it is deleted, or unknown"
            return
        if head.tenant_id != answer.tenant:
            yield f"{who}: it is another tenant's"
        if head.directory_position > directory:
            yield f"{who}: the replica had not read the directory as far as the document's writer"
        if not self._container(head.tenant_id, head.knowledge_base, directory):
            yield f"{who}: its knowledge base is deleted"
        if not may_read(head.access, truth.principals(answer.tenant, answer.user, directory)):
            yield f"{who}: the rule is {head.access}"
        newest = truth.complete(document, store, answer.applied.get(self._progressed, {}))
        if newest != revision:
            yield f"{who}: the newest complete revision in {store} is {newest}"

    def _is_genuine(self, document: DocumentId, revision: Revision, ordinal: int, text: str) -> bool:
        expected = self._expected_texts(self._of_revision(document, revision))
        return ordinal < len(expected) and expected[ordinal] == text

    def _token(self, answer: Answer) -> Iterator[str]:
        if answer.token is None:
            return
        for each in self._truth.log:
            if each.record.submitted == answer.token:
                applied = answer.applied.get(self._changed, {}).get(each.partition, 0)
                if applied <= each.offset:
                    yield f"{answer.replica} answered after={answer.token} without having applied {each.offset}"

    def _gaps(self, answer: Answer) -> Iterator[str]:
        """What a replica calls complete is there, unless its store has lost everything."""
        heads = self._world.apis[answer.replica].heads
        for document in self._truth.by_document:
            head = heads.head(answer.tenant, document)
            if head is None or head.op is DocumentOp.DELETED:
                continue
            for store, service in _SEARCH_NAMES.items():
                revision = head.complete.get((self._world.settings.generation, store))
                record = None if revision is None else self._of_revision(document, revision)
                if revision is None or record is None or not self._world.services[service].whole:
                    continue
                if self._deleted_since(document, revision):
                    continue  # what is deleted goes at once, before every replica knows
                there = self._rows(store).get((document, revision), {})
                wanted = self._expected_texts(record)
                if record.op is DocumentOp.UPSERTED and len(there) != len(wanted):
                    yield (
                        f"{answer.replica} at {answer.asked_at_s:.1f} s would show {document[:6]}#{revision} of {store}, "
                        f"which holds {len(there)} of its {len(wanted)} rows"
                    )

    def _falling(self, answer: Answer) -> Iterator[str]:
        heads = self._world.apis[answer.replica].heads
        for document in self._truth.by_document:
            head = heads.head(answer.tenant, document)
            for (_, store), revision in ({} if head is None else head.complete).items():
                key = (answer.replica, document, store)
                # A replica that lost its folder begins again, below what it knew: it says so by knowing nothing.
                known = self._truth.complete(document, store, answer.applied.get(self._progressed, {}))
                if known is not None and revision < known:
                    yield f"{answer.replica}: complete revision of {document[:6]} in {store} fell to {revision} from {known}"
                self._highest[key] = revision

    # --- at the end

    def unsettled(self) -> list[str]:
        """Return what is still on its way."""
        return [*self._unread(), *self._unfinished(), *self._lagging()]

    def final(self) -> list[str]:
        """Return what is wrong when all is quiet: (a), (c), (f)."""
        return [
            *(f"(a) {each}" for each in self._differing()),
            *(f"(c) {each}" for each in self._submissions()),
            *(f"(c) {each}" for each in self._read_model()),
            *(f"(c) {each}" for each in self._needlessly_parked()),
            *(f"(f) {each}" for each in self._lost()),
        ]

    def findable(self, answer: Answer, document: int, identity: DocumentId) -> Iterator[str]:
        """Check that a question finds what its asker may read, in the newest revision."""
        head = self._truth.head(identity)
        if head is None or head.op is DocumentOp.DELETED or self._failed(head) or not self._expected_texts(head):
            return
        directory = self._truth.principals(answer.tenant, answer.user, None)
        if not may_read(head.access, directory) or not self._container(head.tenant_id, head.knowledge_base, None):
            return
        found = {row.revision for row, _ in answer.rows if row.document_id == identity}
        if found != {head.revision}:
            why = answer.refused or "it was not found"
            yield f"(e) {answer.user} at {answer.replica} asked for page-{document}#{head.revision} and got {found or why}"

    def _unread(self) -> Iterator[str]:
        broker = self._world.broker
        group = broker.group("headwater-admit")
        for topic in (Topic.DOCUMENTS_SUBMITTED, Topic.DOCUMENTS_BACKFILL, Topic.DIRECTORY_SUBMITTED):
            name = self._world.topic(topic)
            for number in range(broker.count(name)):
                end, read = broker.end((name, number), committed=True), group.committed.get((name, number), 0)
                if read < end:
                    yield f"{name}/{number}: admission has read up to {read} of {end}"

    def _unfinished(self) -> Iterator[str]:
        for document in self._truth.by_document:
            head = self._truth.head(document)
            if head is None:
                continue
            for store, service in _SEARCH_NAMES.items():
                outcomes = self._outcomes(head, store)
                if not outcomes:
                    yield f"{head.external_id}#{head.revision}: nothing is reported of {store}"
                elif ProgressOutcome.FAILED in outcomes and len(outcomes) == 1:
                    continue
                elif not self._world.services[service].whole and self._missing(head, store):
                    yield f"{head.external_id}#{head.revision}: {store} is not rebuilt"

    def _lagging(self) -> Iterator[str]:
        broker = self._world.broker
        for name, api in self._world.apis.items():
            applied = api.heads.applied()
            for topic in (self._changed, self._directory, self._progressed):
                for number in range(broker.count(topic)):
                    entries = [
                        each.offset for partition, each in broker.committed_entries(topic) if partition[1] == number
                    ]
                    if entries and applied.get(topic, {}).get(number, 0) <= entries[-1]:
                        yield f"{name}: behind in {topic}/{number}"

    def _differing(self) -> Iterator[str]:
        """Compare both stores with what the log alone makes of each document."""
        for store in Store:
            rows = self._rows(store)
            held: dict[DocumentId, dict[Revision, dict[int, str]]] = {}
            for (document, revision), texts in rows.items():
                held.setdefault(document, {})[revision] = texts
            for document in self._truth.by_document.keys() | held.keys():
                head = self._truth.head(document)
                if head is None:
                    yield f"{store}: rows of {document[:6]}, which was never admitted"
                    continue
                if self._failed(head):
                    continue
                wanted = dict(enumerate(self._expected_texts(head)))
                expected = {head.revision: wanted} if wanted else {}
                if held.get(document, {}) != expected:
                    there = {revision: len(texts) for revision, texts in held.get(document, {}).items()}
                    yield f"{store}: {head.external_id}#{head.revision} ({head.op}, {len(wanted)} rows) is held as {there}"
                wrong = [row for row in self._raw(store) if row.document_id == document and row.title != head.title]
                if wrong and wanted:
                    yield f"{store}: {head.external_id} under another title"

    def _submissions(self) -> Iterator[str]:
        audited = Counter(each.event_id for each in self._truth.audits)
        accepted = {each.event_id for each in self._truth.audits if each.outcome == "accepted"}
        admitted = Counter(each.record.submitted for each in self._truth.log)
        parked = Counter(each.origin for each in self._truth.letters if each.stage == "admit")
        for position, event in self._truth.submissions.items():
            name = f"{event.op} of {event.external_id} at {position.topic}/{position.partition}/{position.offset}"
            audit = event_id_of(position, "audit")
            if admitted[position] != (audit in accepted):
                yield f"{name}: {admitted[position]} records of the log, accepted: {audit in accepted}"
            ends = audited[audit] + parked[position]
            if ends > 1 or (ends == 0 and event.lane is Lane.LIVE):
                yield f"{name}: ended {ends} times"

    def _read_model(self) -> Iterator[str]:
        for document in self._truth.by_document:
            head = self._truth.head(document)
            if head is None:
                continue
            known = self._world.documents.states.get(document)
            if known is None or known.revision != head.revision:
                yield f"{head.external_id}: the read model knows revision {known.revision if known else None}, not {head.revision}"
            if not self._failed(head) and (document, head.revision) not in self._truth.announced:
                yield f"{head.external_id}#{head.revision}: was never announced"
            if self._failed(head) and not any(each.document_id == document for each in self._truth.letters):
                yield f"{head.external_id}#{head.revision}: failed without a letter"

    def _needlessly_parked(self) -> Iterator[str]:
        """What is sound is parked for no other reason than that a store lost its rows, or its worker kept dying."""
        lost = any(service.wiped for service in self._world.services.values())
        excused = {"WorkerKilledError"} | ({"IncompleteRevisionError"} if lost else set())
        for letter in self._truth.letters:
            sound = letter.document_id is None or letter.revision is None
            if not sound and letter.document_id is not None and letter.revision is not None:
                sound = not self._is_flawed(self._of_revision(letter.document_id, letter.revision))
            if sound and letter.error not in excused:
                yield f"{letter.stage} parked {letter.origin} without need: {letter.error}"

    def _is_flawed(self, record: DocumentChanged | None) -> bool:
        if record is None or record.content is None:
            return False
        content = self._world.blobs.blobs[record.tenant_id, record.content.sha256]
        return not content.strip() or b"refused" in content or DEADLY in content

    def _lost(self) -> Iterator[str]:
        newest: dict[DocumentId, Revision] = {}
        from schemas.codec import decode

        for _, entry in self._world.broker.committed_entries(self._changed):
            record = decode(entry.value or b"", DocumentChanged)
            newest[record.document_id] = max(record.revision, newest.get(record.document_id, Revision(0)))
        for document in self._truth.by_document:
            head = self._truth.head(document)
            if head is not None and newest.get(document) != head.revision:
                yield f"{head.external_id}: the log's newest state is {newest.get(document)}, admitted was {head.revision}"

    # --- means

    def _head(self, answer: Answer, document: DocumentId) -> DocumentChanged | None:
        seen = self._truth.by_document.get(document)
        if not seen:
            return None
        return self._truth.head(document, answer.applied.get(self._changed, {}).get(seen[0].partition, 0))

    def _of_revision(self, document: DocumentId, revision: Revision) -> DocumentChanged | None:
        seen = self._truth.by_document.get(document, ())
        return next((each.record for each in seen if each.record.revision == revision), None)

    def _deleted_since(self, document: DocumentId, revision: Revision) -> bool:
        return any(
            each.record.op is DocumentOp.DELETED and each.record.revision > revision
            for each in self._truth.by_document.get(document, ())
        )

    def _expected_texts(self, record: DocumentChanged | None) -> list[str]:
        if record is None or record.op is DocumentOp.DELETED or record.content is None:
            return []
        content = self._world.blobs.blobs[record.tenant_id, record.content.sha256]
        if not content.strip():
            return []
        return [chunk.text for chunk in prepared_text(content).chunks]

    def _container(self, tenant: TenantId, knowledge_base: KnowledgeBaseId, before: int | None) -> bool:
        exists = self._truth.exists
        return exists(SYSTEM_TENANT, DirectoryKind.TENANT, tenant, before) and exists(
            tenant, DirectoryKind.KNOWLEDGE_BASE, knowledge_base, before
        )

    def _outcomes(self, head: DocumentChanged, store: Store) -> set[ProgressOutcome]:
        reports = self._truth.progress.get(head.document_id, ())
        return {each.outcome for _, _, each in reports if each.store is store and each.revision == head.revision}

    def _failed(self, head: DocumentChanged) -> bool:
        return any(self._outcomes(head, store) == {ProgressOutcome.FAILED} for store in Store)

    def _missing(self, head: DocumentChanged, store: Store) -> bool:
        there = self._rows(store).get((head.document_id, head.revision), {})
        return len(there) != len(self._expected_texts(head))

    def _raw(self, store: Store) -> list[ChunkRow]:
        fake = self._world.vectors if store is Store.VECTORS else self._world.keywords
        return list(fake.rows.values())

    def _rows(self, store: Store) -> dict[tuple[DocumentId, Revision], dict[int, str]]:
        found: dict[tuple[DocumentId, Revision], dict[int, str]] = {}
        for row in self._raw(store):
            found.setdefault((row.document_id, row.revision), {})[row.ordinal] = row.text
        return found
