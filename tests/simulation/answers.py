"""The promises about each answer, and about what a replica knows when it gives one."""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from headwater.ports.heads import Head
from headwater.ports.rows import ChunkRow
from schemas.events import DocumentChanged
from schemas.events.base import Store
from schemas.events.documents import DocumentOp, ProgressOutcome
from schemas.ids import DocumentId, GenerationName, Revision
from tests.simulation.evidence import SEARCH_NAMES, Evidence
from tests.simulation.replica import Answer
from tests.simulation.truth import may_read
from tests.simulation.world import STALENESS_BUDGET_S

# A kept promise may be measured late: the log's ends are asked for twice a second, and answers take their way.
_TOLERANCE_S = 1.0

# What a replica repeats of the log: the clauses and `deny`, which no store has whole, are judged by these.
_OF_A_HEAD = ("op", "access", "knowledge_base", "source", "directory_position")

Heads: TypeAlias = Mapping[DocumentId, Head | None]  # as a replica knows them


class OfAnswers(Evidence):
    """Judges answers while the story goes on."""

    def judge(self, answer: Answer) -> None:
        """Check an answer: (b), (g), and that nothing which the gate would admit is missing from the stores."""
        if answer.refused is not None:
            return
        self.answers += 1
        self.rows += len(answer.rows)
        wrong = self._truth.violations
        heads = self._world.apis[answer.replica].heads
        known = {document: heads.head(answer.tenant, document) for document in self._truth.by_document}
        shown = dict.fromkeys((row.document_id, row.revision, store) for row, store in answer.rows)
        wrong += [f"(b) {each}" for each in self._stale(answer)]
        wrong += [f"(b) {each}" for each in self._unlike_the_log(answer, known)]
        wrong += [f"(b) {each}" for each in self._half_built(answer)]
        wrong += [f"(b) {each}" for which in shown for each in self._forbidden(answer, *which)]
        wrong += [f"(b) row {row.row_id}: another text" for row, _ in answer.rows if not self._is_genuine(answer, row)]
        wrong += [f"(g) {each}" for each in self._token(answer)]
        wrong += [f"(h) {each}" for each in self._gaps(answer, known)]
        wrong += [f"(d) {each}" for each in self._falling(answer, known)]

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

    def _unlike_the_log(self, answer: Answer, heads: Heads) -> Iterator[str]:
        """A replica's heads are those of the log at the position that it states: no more, no less."""
        for document, known in heads.items():
            head = self._head(answer, document)
            if head is None or head.tenant_id != answer.tenant:
                continue
            if known is None or known.revision != head.revision:
                yield (
                    f"{answer.replica} at {answer.asked_at_s:.1f} s knows {head.external_id} at "
                    f"{known.revision if known else None}; at its position the log says {head.revision}"
                )
            elif wrong := [name for name in _OF_A_HEAD if getattr(known, name) != getattr(head, name)]:
                yield (
                    f"{answer.replica} at {answer.asked_at_s:.1f} s knows {head.external_id}#{head.revision} with "
                    f"another {', '.join(wrong)} than the log"
                )

    def _half_built(self, answer: Answer) -> Iterator[str]:
        """The generation that serves answers, and has what the log had when its switch was asked for."""
        switch = self._truth.switch(answer.directory_then)
        serving = self._serving(switch)
        if answer.generation != serving:
            yield f"{answer.replica} answered from {answer.generation} while {serving} served"
        proof = None if switch is None else self._world.operator.proofs.get(switch.switched)
        if proof is None:
            return
        below = answer.applied.get(self._progressed, {}) if proof.known_everywhere else self._truth.ends()
        for document, seen in self._truth.by_document.items():
            then = next((each.record for each in reversed(seen) if each.at_s <= proof.since_s), None)
            if then is None or then.op is DocumentOp.DELETED or self._deleted_since(document, then.revision):
                continue
            for store in Store:
                if not self._had(then, store, serving, below):
                    yield (
                        f"{answer.replica} at {answer.asked_at_s:.1f} s answered from {serving}, asked for at "
                        f"{proof.since_s:.1f} s, whose {store} lack {then.external_id}#{then.revision}"
                    )

    def _had(self, then: DocumentChanged, store: Store, generation: GenerationName, below: dict[int, int]) -> bool:
        """Say whether reports below these offsets call a revision, or a newer one, complete, or any at all failed."""
        newest = self._truth.complete(then.document_id, store, generation, below)
        return (newest is not None and newest >= then.revision) or any(
            report.store is store
            and report.generation == generation
            and report.outcome is ProgressOutcome.FAILED
            and report.revision >= then.revision
            for _, _, report in self._truth.progress.get(then.document_id, ())
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
        if revision > head.revision:
            yield f"{who}: the replica had not read that revision's own rule"
        if head.directory_position > directory:
            yield f"{who}: the replica had not read the directory as far as the document's writer"
        if not self._container(head.tenant_id, head.knowledge_base, directory):
            yield f"{who}: its knowledge base is deleted"
        if not may_read(head.access, truth.principals(answer.tenant, answer.user, directory)):
            yield f"{who}: the rule is {head.access}"
        newest = truth.complete(document, store, answer.generation, answer.applied.get(self._progressed, {}))
        if newest != revision:
            yield f"{who}: the newest complete revision in {store} is {newest}"

    def _is_genuine(self, answer: Answer, row: ChunkRow) -> bool:
        expected = self._expected_texts(self._of_revision(row.document_id, row.revision), answer.generation)
        return row.ordinal < len(expected) and expected[row.ordinal] == row.text

    def _token(self, answer: Answer) -> Iterator[str]:
        if answer.token is None:
            return
        for each in self._truth.log:
            if each.record.submitted == answer.token:
                applied = answer.applied.get(self._changed, {}).get(each.partition, 0)
                if applied <= each.offset:
                    yield f"{answer.replica} answered after={answer.token} without having applied {each.offset}"

    def _gaps(self, answer: Answer, heads: Heads) -> Iterator[str]:
        """What a replica calls complete is there, unless its store has lost everything."""
        for generation in self._world.builds:
            yield from self._gaps_of(answer, heads, generation)

    def _gaps_of(self, answer: Answer, heads: Heads, generation: GenerationName) -> Iterator[str]:
        held = {store: self._rows(store, generation) for store in SEARCH_NAMES}
        for document, head in heads.items():
            if head is None or head.op is DocumentOp.DELETED:
                continue
            for store, service in SEARCH_NAMES.items():
                revision = head.complete.get((generation, store))
                record = None if revision is None else self._of_revision(document, revision)
                if revision is None or record is None or not self._world.services[service].whole:
                    continue
                if self._deleted_since(document, revision):
                    continue  # what is deleted goes at once, before every replica knows
                there = held[store].get((document, revision), {})
                wanted = self._expected_texts(record, generation)
                if record.op is DocumentOp.UPSERTED and len(there) != len(wanted):
                    yield (
                        f"{answer.replica} at {answer.asked_at_s:.1f} s would show {document[:6]}#{revision}, of which "
                        f"{store} of {generation} holds {len(there)} of its {len(wanted)} rows"
                    )

    def _falling(self, answer: Answer, heads: Heads) -> Iterator[str]:
        for document, head in heads.items():
            for (generation, store), revision in ({} if head is None else head.complete).items():
                # A replica that lost its folder begins again, below what it knew: it says so by knowing nothing.
                known = self._truth.complete(document, store, generation, answer.applied.get(self._progressed, {}))
                if known is not None and revision < known:
                    yield f"{answer.replica}: {document[:6]} in {store} fell from {known} to {revision}"
