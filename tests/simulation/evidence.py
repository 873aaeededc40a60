"""What oracles look at: the world, the truth, and what follows from both."""

from headwater.ports.rows import ChunkRow
from schemas.events import DocumentChanged
from schemas.events.base import Store
from schemas.events.directory import DirectoryKind, Generation
from schemas.events.documents import DocumentOp, ProgressOutcome
from schemas.ids import SYSTEM_TENANT, DocumentId, GenerationName, KnowledgeBaseId, Revision, TenantId
from schemas.topics import Topic
from streams.prepare.prepared import Prepared
from tests.simulation.parsing import DEADLY, prepared_text
from tests.simulation.replica import Answer
from tests.simulation.truth import Truth
from tests.simulation.world import World

SEARCH_NAMES = {Store.VECTORS: "milvus", Store.KEYWORDS: "elasticsearch"}


class Evidence:
    """Of one run."""

    def __init__(self, world: World, truth: Truth) -> None:
        self._world, self._truth = world, truth
        self._changed, self._directory = world.topic(Topic.DOCUMENTS_CHANGED), world.topic(Topic.DIRECTORY_CHANGED)
        self._progressed = world.topic(Topic.DOCUMENTS_PROGRESSED)
        self.answers = 0
        self.rows = 0
        self.finds = 0  # answers in which a document had to be

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

    def _prepared(self, record: DocumentChanged | None, generation: GenerationName) -> Prepared | None:
        """Return what a generation makes of a revision's content, None where there is nothing to be found."""
        if record is None or record.op is DocumentOp.DELETED or record.content is None:
            return None
        content = self._world.blobs.blobs[record.tenant_id, record.content.sha256]
        return prepared_text(content, self._world.builds[generation].policy) if content.strip() else None

    def _expected_texts(self, record: DocumentChanged | None, generation: GenerationName) -> list[str]:
        prepared = self._prepared(record, generation)
        return [] if prepared is None else [chunk.text for chunk in prepared.chunks]

    def _container(self, tenant: TenantId, knowledge_base: KnowledgeBaseId, before: int | None) -> bool:
        exists = self._truth.exists
        return exists(SYSTEM_TENANT, DirectoryKind.TENANT, tenant, before) and exists(
            tenant, DirectoryKind.KNOWLEDGE_BASE, knowledge_base, before
        )

    def _serving(self, switch: Generation | None) -> GenerationName:
        """Return the generation that serves after this switch, or before any."""
        return self._world.settings.generation if switch is None else switch.name

    def _sound(self) -> list[GenerationName]:
        """Return the generations that must have everything: those that have lost no events to retention."""
        return [each for each in self._world.builds if each not in self._world.operator.gaps]

    def _outcomes(self, head: DocumentChanged, store: Store, generation: GenerationName) -> set[ProgressOutcome]:
        reports = self._truth.progress.get(head.document_id, ())
        return {
            each.outcome
            for _, _, each in reports
            if each.store is store and each.revision == head.revision and each.generation == generation
        }

    def _failed(self, head: DocumentChanged, generation: GenerationName) -> bool:
        return any(self._outcomes(head, store, generation) == {ProgressOutcome.FAILED} for store in Store)

    def _missing(self, head: DocumentChanged, store: Store, generation: GenerationName) -> bool:
        there = self._rows(store, generation).get((head.document_id, head.revision), {})
        return len(there) != len(self._expected_texts(head, generation))

    def _by_id(self, store: Store, generation: GenerationName) -> dict[str, ChunkRow]:
        build = self._world.builds[generation]
        return build.vectors.rows if store is Store.VECTORS else build.keywords.rows

    def _rows(self, store: Store, generation: GenerationName) -> dict[tuple[DocumentId, Revision], dict[int, str]]:
        found: dict[tuple[DocumentId, Revision], dict[int, str]] = {}
        for row in self._by_id(store, generation).values():
            found.setdefault((row.document_id, row.revision), {})[row.ordinal] = row.text
        return found

    def _is_flawed(self, record: DocumentChanged | None) -> bool:
        if record is None or record.content is None:
            return False
        content = self._world.blobs.blobs[record.tenant_id, record.content.sha256]
        return not content.strip() or b"refused" in content or DEADLY in content
