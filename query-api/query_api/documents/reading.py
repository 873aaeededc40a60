"""Reading documents: the read model says what there is, heads and gate say what may be shown."""

from dataclasses import dataclass
from datetime import datetime

from headwater.access.gate import GateView, Verdict, judge_document
from headwater.access.scope import store_scope
from headwater.ports.heads import Head
from headwater.ports.read_model import DocumentStatus, Listing
from headwater.ports.rows import AllOf, Equals, Scope
from query_api.authorization import Action, Resource, authorize
from query_api.documents.views import (
    DocumentDetail,
    DocumentItem,
    DocumentList,
    Lineage,
    ReadMeta,
    detail_of,
    item_of,
    step_of,
)
from query_api.identity import Identity
from query_api.identity import Scope as KeyScope
from query_api.problems import NotFoundError
from query_api.runtime import Runtime
from query_api.staleness import require_current
from schemas.ids import DocumentId, KnowledgeBaseId

# Where the gate refuses what the store's filter let through, further pages are read, up to this many a request.
MAX_PAGES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which documents to list."""

    knowledge_base: str | None
    source: str | None
    external_id: str | None
    media_type: str | None
    status: DocumentStatus | None
    title: str | None
    updated_from: datetime | None
    updated_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentReader:
    """Reads for one caller."""

    runtime: Runtime
    caller: Identity
    gate: GateView
    as_of: datetime

    async def get(self, document: DocumentId) -> DocumentDetail:
        """Return a document's state; NotFoundError where there is none for this caller."""
        head = self._admitted(document)
        meta = self._meta()
        view = await self.runtime.documents.get_document(self.caller.tenant_id, document, generation=meta.generation)
        maintains = not self.caller.scopes.isdisjoint({KeyScope.WRITE, KeyScope.ADMIN})
        return detail_of(head, view, meta, with_access=maintains)

    async def lineage(self, document: DocumentId) -> Lineage:
        """Return the way of every recorded revision; NotFoundError as for the document itself."""
        self._admitted(document)
        rows = await self.runtime.documents.lineage(self.caller.tenant_id, document)
        steps = [step for row in rows if (step := step_of(row)) is not None]
        return Lineage(document_id=document, steps=steps, meta=self._meta())

    async def page(self, wanted: Wanted, *, limit: int, cursor: str | None) -> DocumentList:
        """Return documents that this caller may read, newest first."""
        self._authorize("*")
        meta = self._meta()
        listing = Listing(
            status=wanted.status,
            title=wanted.title,
            updated_from=wanted.updated_from,
            updated_until=wanted.updated_until,
        )
        scope = self._scope(wanted)
        items: list[DocumentItem] = []
        for _ in range(MAX_PAGES):
            page = await self.runtime.documents.list_documents(
                scope, listing, generation=meta.generation, limit=limit - len(items), cursor=cursor
            )
            cursor = page.cursor
            views = {view.state.document_id: view for view in page.documents}
            heads = self.runtime.heads.heads(self.caller.tenant_id, list(views))
            require_current(self.runtime)  # lost while the read model was asked, it would hide or show by half a log
            items += [
                item_of(head, view, meta.generation)
                for document, view in views.items()
                if (head := heads.get(document)) is not None and self._shows(head, wanted)
            ]
            if cursor is None or len(items) >= limit:
                break
        return DocumentList(documents=items, cursor=cursor, meta=meta)

    def _admitted(self, document: DocumentId) -> Head:
        self._authorize(document)
        head = self.runtime.heads.head(self.caller.tenant_id, document)
        if head is None or judge_document(head, self.gate) is not Verdict.ADMITTED:
            raise NotFoundError(f"documents/{document}: not found")
        return head

    def _authorize(self, document: str) -> None:
        resource = Resource(tenant_id=self.caller.tenant_id, kind="documents", id=document)
        authorize(self.caller, Action.READ_DOCUMENTS, resource)

    def _shows(self, head: Head, wanted: Wanted) -> bool:
        moved = wanted.knowledge_base is not None and head.knowledge_base != wanted.knowledge_base
        return not moved and judge_document(head, self.gate) is Verdict.ADMITTED

    def _scope(self, wanted: Wanted) -> Scope:
        named = {"source": wanted.source, "external_id": wanted.external_id, "media_type": wanted.media_type}
        return store_scope(
            tenant=self.caller.tenant_id,
            principals=self.caller.principals,
            knowledge_bases=None if wanted.knowledge_base is None else (KnowledgeBaseId(wanted.knowledge_base),),
            where=AllOf(tuple(Equals(field, value) for field, value in named.items() if value is not None)),
            max_principals=self.runtime.settings.api.max_principals,
        )

    def _meta(self) -> ReadMeta:
        generation = self.runtime.directory.serving_generation() or self.runtime.settings.generation
        return ReadMeta(as_of=self.as_of, generation=generation)
