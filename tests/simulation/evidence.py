"""What oracles look at: the world, the truth, and what follows from both."""

from headwater.ports.rows import ChunkRow
from schemas.events import DocumentChanged
from schemas.events.base import Store
from schemas.events.directory import DirectoryKind
from schemas.events.documents import DocumentOp, ProgressOutcome
from schemas.ids import SYSTEM_TENANT, DocumentId, KnowledgeBaseId, Revision, TenantId
from schemas.topics import Topic
from tests.simulation.replica import Answer
from tests.simulation.seams import DEADLY, prepared_text
from tests.simulation.truth import Truth
from tests.simulation.world import World

SEARCH_NAMES = {Store.VECTORS: "milvus", Store.KEYWORDS: "elasticsearch"}


class Evidence:
    """Of one run."""

    def __init__(self, world: World, truth: Truth) -> None:
        self._world, self._truth = world, truth
        self._changed, self._directory = world.topic(Topic.DOCUMENTS_CHANGED), world.topic(Topic.DIRECTORY_CHANGED)
        self._progressed = world.topic(Topic.DOCUMENTS_PROGRESSED)
        self._highest: dict[tuple[str, DocumentId, Store], int] = {}
        self.answers = 0
        self.rows = 0

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

    def _is_flawed(self, record: DocumentChanged | None) -> bool:
        if record is None or record.content is None:
            return False
        content = self._world.blobs.blobs[record.tenant_id, record.content.sha256]
        return not content.strip() or b"refused" in content or DEADLY in content
