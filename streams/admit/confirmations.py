"""Reads what the stores reported of deleted documents, in a thread: admission's loop must not wait for it."""

import asyncio
import threading
from collections.abc import Mapping

import structlog

from headwater.clients.kafka.snapshots import KafkaSourceLog
from headwater.errors import HeadwaterError
from headwater.ports.archive import SourceLog
from headwater.settings import Settings
from schemas.codec import decode
from schemas.errors import ContractError
from schemas.events.base import Store
from schemas.events.documents import DocumentProgressed
from schemas.ids import DocumentId, GenerationName
from schemas.topics import Topic
from streams.admit.erasure import Candidate, Erasure, Generations, generations_to_ask, is_gone_everywhere

log = structlog.get_logger(__name__)

_Reports = dict[tuple[GenerationName, Store], DocumentProgressed]


class Confirmations:
    """Implements Confirms on `rag.documents.progressed`, whose partitions are those of the documents."""

    def __init__(self, settings: Settings, directory: Generations) -> None:
        self._settings = settings
        self._own = settings.generation
        self._directory = directory  # looked at in the caller's thread only
        self._answer: tuple[int, Mapping[DocumentId, Candidate], Mapping[DocumentId, _Reports]] | None = None

    def ask(self, partition: int, candidates: Mapping[DocumentId, Candidate]) -> None:
        """See Confirms."""
        # A daemon, because nothing is lost with it: the question is asked again.
        threading.Thread(
            target=self._find_out, args=(partition, candidates), name="erasure-confirmations", daemon=True
        ).start()

    def answer(self) -> tuple[int, tuple[Erasure, ...]] | None:
        """See Confirms. A question that failed is answered with nothing: it is asked again the next day."""
        if self._answer is None:
            return None
        (partition, candidates, reports), self._answer = self._answer, None
        return partition, confirmed(candidates, reports, self._directory, own=self._own)

    def _find_out(self, partition: int, candidates: Mapping[DocumentId, Candidate]) -> None:
        reports: Mapping[DocumentId, _Reports] = {}
        try:
            # Opened here, because a client costs threads all day and is needed once.
            source = KafkaSourceLog(self._settings, settle_wait_s=0)
            reports = asyncio.run(reports_of(source, partition, candidates))
        except HeadwaterError as error:
            log.warning("erasure_put_off", partition=partition, error=type(error).__name__)
        finally:
            self._answer = (partition, candidates, reports)


async def reports_of(
    source: SourceLog, partition: int, candidates: Mapping[DocumentId, Candidate]
) -> Mapping[DocumentId, _Reports]:
    """Return the newest reports about these documents, by generation and store."""
    found: dict[DocumentId, _Reports] = {}
    facts = await source.facts(Topic.DOCUMENTS_PROGRESSED)
    start, end = facts.starts[partition], facts.ends[partition]
    async for record in source.records(Topic.DOCUMENTS_PROGRESSED, {partition: start}, {partition: end}):
        named = (record.key or b"").decode().rsplit("/", 3)[1:2]
        if not named or named[0] not in candidates or record.value is None:
            continue
        try:
            report = decode(record.value, DocumentProgressed)
        except ContractError:  # what it says is not known: the document stays
            continue
        found.setdefault(report.document_id, {})[report.generation, report.store] = report
    return found


def confirmed(
    candidates: Mapping[DocumentId, Candidate],
    reports: Mapping[DocumentId, _Reports],
    directory: Generations,
    *,
    own: GenerationName,
) -> tuple[Erasure, ...]:
    """Return the candidates that every generation has confirmed."""
    return tuple(
        Erasure(candidate=candidate, reported=tuple(reports[document]))
        for document, candidate in candidates.items()
        if document in reports
        and is_gone_everywhere(
            reports[document], candidate.revision, generations_to_ask(reports[document], directory, own=own)
        )
    )
