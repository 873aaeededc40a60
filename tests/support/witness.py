"""Somebody who reads the log all the time, notes when each record could be read, and judges answers by that."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from headwater.clients.kafka.config import client_config, topic_of
from headwater.settings import Settings
from schemas.codec import decode
from schemas.events.base import Store
from schemas.events.documents import Access, DocumentChanged, DocumentOp, DocumentProgressed, ProgressOutcome
from schemas.events.parked import EventParked
from schemas.ids import DocumentId, Principal, SourceId, TenantId

Noted: TypeAlias = DocumentChanged | DocumentProgressed | EventParked
LATE_S = (
    10.0  # a replica may have read a record this much earlier than the witness: each finds the broker again by itself
)


class Wrong(StrEnum):
    """What may be wrong with an answer."""

    STALE = "stale"  # a deleted document, an older revision than the newest complete one, or a replica past its budget
    FORBIDDEN = "forbidden"  # a document that the asker may not read


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What somebody got, and as of when the replica said that it holds. Times are seconds of the wall clock."""

    sent_s: float
    received_s: float
    as_of_s: float
    hits: tuple[tuple[DocumentId, int], ...]  # document and revision


@dataclass(slots=True, kw_only=True)
class Witness:
    """What the log has shown so far: per document its states, and its complete revisions per store."""

    settings: Settings
    changes: dict[DocumentId, list[tuple[float, DocumentChanged]]] = field(default_factory=lambda: defaultdict(list))
    complete: dict[tuple[DocumentId, Store], list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))
    parked: Counter[TenantId | None] = field(default_factory=Counter)
    records: int = 0

    @contextmanager
    def reading(self) -> Iterator["Witness"]:
        """Read in a thread of its own until the block ends."""
        ending = threading.Event()
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="witness") as thread:
            read = thread.submit(self._read, ending)
            try:
                yield self
            finally:
                ending.set()
        read.result()

    def newest(self, source: SourceId) -> Mapping[str, DocumentChanged]:
        """Return the newest state of each of a source's documents, by its name at the source."""
        return {
            states[-1][1].external_id: states[-1][1]
            for states in list(self.changes.values())
            if states[-1][1].source == source
        }

    def is_done(self, state: DocumentChanged) -> bool:
        """Say whether a state has been reported complete, or gone, by both stores."""
        reports = [self.complete.get((state.document_id, store)) for store in Store]
        return all(each is not None and each[-1][1] == state.revision for each in reports)

    def slowest_edit_s(self, source: SourceId, *, since_s: float) -> float:
        """Return the longest time from when a source's change was observed until both stores had reported it."""
        return max(
            (
                done_s - state.observed_at.timestamp()
                for document, states in list(self.changes.items())
                for at_s, state in states
                if at_s >= since_s and state.source == source
                if (done_s := self._done_s(document, state.revision)) is not None
            ),
            default=0.0,
        )

    def judge(self, answer: Answer, *, principals: frozenset[Principal]) -> list[Wrong]:
        """Compare an answer with what anybody could read in the log at the instant that the replica has named."""
        found = [] if answer.as_of_s >= answer.sent_s - self.settings.heads.staleness_budget_s else [Wrong.STALE]
        for document, revision in answer.hits:
            states = self._states(document, answer)
            if not any(_permits(each, principals) for each in states):
                deleted = bool(states) and states[-1].op is DocumentOp.DELETED
                found.append(Wrong.STALE if deleted else Wrong.FORBIDDEN)
            elif revision < self._newest_complete(document, answer.as_of_s):
                found.append(Wrong.STALE)
        return found

    def _done_s(self, document: DocumentId, revision: int) -> float | None:
        """Return when both stores had reported a revision; None where one skipped it for a newer one."""
        times = [
            next((at_s for at_s, each in self.complete.get((document, store), ()) if each == revision), None)
            for store in Store
        ]
        return None if None in times else max(at_s for at_s in times if at_s is not None)

    def _states(self, document: DocumentId, answer: Answer) -> Sequence[DocumentChanged]:
        """Return each state that the replica may have known as the newest one: none that was admitted later."""
        states = self.changes.get(document, [])
        before = [state for at_s, state in states if at_s < answer.as_of_s]
        until_s = answer.received_s + LATE_S
        ahead = (state for at_s, state in states if answer.as_of_s <= at_s < until_s)
        return [*before[-1:], *(state for state in ahead if state.admitted_at.timestamp() <= answer.received_s)]

    def _newest_complete(self, document: DocumentId, as_of_s: float) -> int:
        """Return the newest revision that both stores had reported."""
        return min(
            max((revision for at_s, revision in self.complete.get((document, store), ()) if at_s < as_of_s), default=0)
            for store in Store
        )

    def _read(self, ending: threading.Event) -> None:
        wanted: tuple[type[Noted], ...] = (DocumentChanged, DocumentProgressed, EventParked)
        kinds = {topic_of(self.settings, kind.topic): kind for kind in wanted}
        settings = client_config(self.settings.kafka, client_id="witness")
        with closing(Consumer({**settings, "group.id": "witness", "enable.auto.commit": False})) as consumer:
            known = consumer.list_topics(timeout=30).topics
            consumer.assign(
                [
                    TopicPartition(topic, partition, OFFSET_BEGINNING)
                    for topic in kinds
                    for partition in known[topic].partitions
                ]
            )
            while not ending.is_set():
                message = consumer.poll(0.1)
                # While the broker is away there are errors instead of records; the consumer looks for it by itself.
                if message is not None and message.error() is None and message.value():
                    self.note(decode(message.value() or b"", kinds[message.topic() or ""]), at_s=time.time())

    def note(self, event: Noted, *, at_s: float) -> None:
        """Take a record in that could be read from then on."""
        self.records += 1
        if isinstance(event, DocumentChanged):
            self.changes[event.document_id].append((at_s, event))
        elif isinstance(event, EventParked):
            self.parked[event.tenant_id] += 1
        elif event.outcome is not ProgressOutcome.FAILED and event.generation == self.settings.generation:
            self.complete[event.document_id, event.store].append((at_s, event.revision))


def _permits(state: DocumentChanged, principals: frozenset[Principal]) -> bool:
    """Judge access by the plainest means: what is tested must not be its own judge."""
    access: Access = state.access
    return (
        state.op is DocumentOp.UPSERTED
        and bool(access.clauses)
        and all(principals & set(clause.principals) for clause in access.clauses)
        and not principals & set(access.deny)
    )
