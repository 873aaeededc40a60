"""The gate, bound to one caller. Every look is at this moment's heads and directory, of a replica that is current."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from headwater.access.gate import Verdict, gate_view, judge_row
from headwater.ports.heads import Directory, Head, Heads
from headwater.ports.rows import ChunkRow, Scope, StoreHit
from headwater.telemetry.metrics import GATE_VERDICTS
from query_api.retrieval.passages import Passage
from schemas.events.base import Store
from schemas.ids import GenerationName


@dataclass(frozen=True, slots=True, kw_only=True)
class Gatekeeper:
    """Decides for one caller, scope and generation which rows may go on. Raises what `require_current` raises."""

    heads: Heads
    directory: Directory
    scope: Scope
    user: str
    generation: GenerationName
    require_current: Callable[[], object]  # raises where the replica is behind, or is being rebuilt

    def hits(self, hits: Sequence[StoreHit], store: Store) -> list[StoreHit]:
        """Return the hits of one store that pass, in their order."""
        verdicts = self._verdicts([(hit.row, store) for hit in hits])
        return [hit for hit, verdict in zip(hits, verdicts, strict=True) if verdict is Verdict.ADMITTED]

    def passages(self, passages: Sequence[Passage]) -> tuple[Passage, ...]:
        """Return the passages that still pass: between retrieval and answer minutes may lie."""
        verdicts = self._verdicts([(passage.row, passage.store) for passage in passages])
        return tuple(
            passage for passage, verdict in zip(passages, verdicts, strict=True) if verdict is Verdict.ADMITTED
        )

    def _verdicts(self, rows: Sequence[tuple[ChunkRow, Store]]) -> list[Verdict]:
        tenant = self.scope.tenant_id
        # Heads, then the position, then the directory: each is at least as new as what was read before it.
        heads = self.heads.heads(tenant, list({row.document_id for row, _ in rows}))
        position = self.heads.directory_position()
        view = gate_view(
            tenant=tenant,
            principals=self.directory.principals(tenant, self.user),
            directory=self.directory,
            directory_position=position,
        )
        verdicts = []
        for row, store in rows:
            head = heads.get(row.document_id)
            verdict = judge_row(head, view, revision=row.revision, store=store, generation=self.generation)
            if verdict is Verdict.ADMITTED and not self._asked_for(head):
                verdict = Verdict.CONTAINER_GONE
            verdicts.append(verdict)
        # Last: a replica that was lost since the request began knows nothing, or the log's beginning only. What that
        # hides is no verdict on a row, and what it admits may have been revoked.
        self.require_current()
        for verdict, count in Counter(verdicts).items():
            GATE_VERDICTS.labels(verdict=verdict.value).inc(count)
        return verdicts

    def _asked_for(self, head: Head | None) -> bool:
        """Say whether the document still is in a knowledge base that was asked for: it may have moved since."""
        asked = self.scope.knowledge_bases
        return asked is None or (head is not None and head.knowledge_base in asked)
