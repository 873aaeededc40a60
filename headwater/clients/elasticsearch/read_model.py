"""The documents read model on Elasticsearch."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from headwater.access.clauses import row_readers
from headwater.clients.elasticsearch.adapter import SharedAdapter
from headwater.clients.elasticsearch.bulk import Replace, Write, write_all
from headwater.clients.elasticsearch.connection import translated
from headwater.clients.elasticsearch.cursors import decode_cursor, encode_cursor
from headwater.clients.elasticsearch.names import Index, index_name
from headwater.clients.elasticsearch.parked import (
    group_letters,
    parked_write,
    read_letter,
    read_letters,
    resolved_write,
)
from headwater.clients.elasticsearch.progress import progress_writes, read_store_states
from headwater.clients.elasticsearch.queries import Query, render
from headwater.clients.elasticsearch.refusals import is_refusal, read_refusal, refusal_write
from headwater.ports.read_model import (
    DocumentPage,
    DocumentView,
    Letter,
    LetterFilter,
    LetterGroup,
    LetterPage,
    LineageRow,
    Listing,
    RefusedSubmission,
    StoreStates,
)
from headwater.ports.rows import Scope
from headwater.rows.conditions import FACETS, scope_condition
from headwater.rows.facets import facets
from schemas.conversion import READABLE
from schemas.events.base import Position
from schemas.events.documents import DocumentChanged, DocumentOp, DocumentProgressed
from schemas.events.parked import EventParked, EventResolved
from schemas.ids import DocumentId, GenerationName, SourceId, TenantId

_MAX_PAGE: Final = 200
_MAX_PAGES: Final = 10  # looked through for a status before a caller gets a short page and a cursor
_MAX_LINEAGE: Final = 1_000


class ElasticsearchDocuments(SharedAdapter):
    """Implements the DocumentReadModel port."""

    async def record_states(self, states: Sequence[tuple[DocumentChanged, Position]]) -> None:
        """See the port."""
        await self._write([write for state, changed in states for write in self._state_writes(state, changed)])

    async def record_progress(self, events: Sequence[DocumentProgressed]) -> None:
        """See the port."""
        await self._write([write for event in events for write in progress_writes(event, self._settings)])

    async def record_parked(self, letters: Sequence[EventParked]) -> None:
        """See the port."""
        await self._write([parked_write(letter, self._settings) for letter in letters])

    async def record_resolved(self, events: Sequence[EventResolved]) -> None:
        """See the port."""
        await self._write([resolved_write(event, self._settings) for event in events])

    async def record_refusals(self, refusals: Sequence[RefusedSubmission]) -> None:
        """See the port."""
        await self._write([refusal_write(refusal, self._settings) for refusal in refusals])

    async def last_refusal(self, tenant: TenantId, document: DocumentId) -> RefusedSubmission | None:
        """See the port."""
        return await read_refusal(self._client, tenant, document, settings=self._settings)

    async def get_document(
        self, tenant: TenantId, document: DocumentId, *, generation: GenerationName
    ) -> DocumentView | None:
        """See the port."""
        async with translated(self._settings):
            response = await self._client.mget(index=index_name(self._settings, Index.DOCUMENTS), ids=[document])
        found = response["docs"][0]
        if not found.get("found") or found["_source"]["tenant_id"] != tenant:
            return None
        stores = await self.store_states([(tenant, document)], generation=generation)
        return DocumentView(state=_state(found["_source"]), stores=stores[document])

    async def store_states(
        self, documents: Sequence[tuple[TenantId, DocumentId]], *, generation: GenerationName
    ) -> Mapping[DocumentId, StoreStates]:
        """See the port."""
        return await read_store_states(self._client, documents, generation=generation, settings=self._settings)

    async def list_documents(
        self, scope: Scope, listing: Listing, *, generation: GenerationName, limit: int, cursor: str | None = None
    ) -> DocumentPage:
        """See the port."""
        after = None if cursor is None else decode_cursor(cursor, (int, str))
        wanted: list[DocumentView] = []
        for _ in range(_MAX_PAGES):
            size = min(max(limit, 1), _MAX_PAGE)
            hits = await self._documents(_listed(scope, listing), size=size, after=after)
            views = await self._joined([_state(hit["_source"]) for hit in hits], generation)
            for hit, view in zip(hits, views, strict=True):
                after = hit["sort"]
                if listing.status in {None, view.status}:
                    wanted.append(view)
                if len(wanted) == limit:
                    return DocumentPage(documents=tuple(wanted), cursor=encode_cursor(after))
            if len(hits) < size:
                return DocumentPage(documents=tuple(wanted), cursor=None)
        return DocumentPage(documents=tuple(wanted), cursor=None if after is None else encode_cursor(after))

    async def count_documents(self, tenant: TenantId, source: SourceId) -> int:
        """See the port."""
        here = [{"term": {"tenant_id": tenant}}, {"term": {"source": source}}, {"term": {"op": DocumentOp.UPSERTED}}]
        async with translated(self._settings):
            found = await self._client.count(
                index=index_name(self._settings, Index.DOCUMENTS), query={"bool": {"filter": here}}
            )
        return int(found["count"])

    async def lineage(self, tenant: TenantId, document: DocumentId) -> Sequence[LineageRow]:
        """See the port. Refreshes first: people ask for it about what has just happened."""
        index = index_name(self._settings, Index.LINEAGE)
        query = {"bool": {"filter": [{"term": {"tenant_id": tenant}}, {"term": {"document_id": document}}]}}
        async with translated(self._settings):
            await self._client.indices.refresh(index=index)
            response = await self._client.search(
                index=index,
                query=query,
                size=_MAX_LINEAGE,
                sort=[{"revision": "desc"}, {"generation": {"order": "asc", "missing": "_first"}}, {"store": "asc"}],
            )
        sources = (hit["_source"] for hit in response["hits"]["hits"])
        return [_lineage_row(source) for source in sources if not is_refusal(source)]

    async def get_letter(self, tenant: TenantId | None, origin: Position) -> Letter | None:
        """See the port."""
        return await read_letter(self._client, tenant, origin, settings=self._settings)

    async def list_letters(self, wanted: LetterFilter, *, limit: int, cursor: str | None = None) -> LetterPage:
        """See the port."""
        return await read_letters(self._client, wanted, limit=limit, cursor=cursor, settings=self._settings)

    async def group_letters(self, wanted: LetterFilter) -> Sequence[LetterGroup]:
        """See the port."""
        return await group_letters(self._client, wanted, settings=self._settings)

    def _state_writes(self, state: DocumentChanged, changed: Position) -> list[Write]:
        record = READABLE.dump(state)
        readers, readers_second = row_readers(state.access)
        facts = {"tenant_id": state.tenant_id, "document_id": state.document_id, "revision": state.revision}
        listed = {
            "op": state.op,
            "knowledge_base": state.knowledge_base,
            "source": state.source,
            "external_id": state.external_id,
            "media_type": state.media_type,
            "language": state.language,
            "title": state.title,
            "readers": readers,
            "readers_second": readers_second,
            FACETS: facets(state.attributes),
            "admitted_at": state.admitted_at.isoformat(),
            "record": record,
        }
        step = {"state": record, "changed": READABLE.dump(changed)}
        return [
            Replace(
                index=index_name(self._settings, Index.DOCUMENTS),
                key=state.document_id,
                version=state.revision,
                document=facts | listed,
            ),
            Replace(
                index=index_name(self._settings, Index.LINEAGE),
                key=f"{state.document_id}/{state.revision}",
                version=1,
                document=facts | {"record": step},
            ),
        ]

    async def _write(self, writes: Sequence[Write]) -> None:
        # Reads by id see unrefreshed writes; only listings lag, by a second at the most.
        await write_all(self._client, writes, settings=self._settings, refresh="false")

    async def _documents(self, query: Query, *, size: int, after: Sequence[Any] | None) -> list[dict[str, Any]]:
        async with translated(self._settings):
            response = await self._client.search(
                index=index_name(self._settings, Index.DOCUMENTS),
                query=query,
                size=size,
                sort=[{"admitted_at": "desc"}, {"document_id": "desc"}],
                search_after=None if after is None else list(after),
                track_total_hits=False,
            )
        hits: list[dict[str, Any]] = response["hits"]["hits"]
        return hits

    async def _joined(self, states: Sequence[DocumentChanged], generation: GenerationName) -> list[DocumentView]:
        documents = [(state.tenant_id, state.document_id) for state in states]
        stores = await self.store_states(documents, generation=generation)
        return [DocumentView(state=state, stores=stores[state.document_id]) for state in states]


def _listed(scope: Scope, listing: Listing) -> Query:
    filters = [render(scope_condition(scope))]
    if listing.title is not None:
        filters.append({"match": {"title": {"query": listing.title, "operator": "and"}}})
    bounds = {"gte": listing.updated_from, "lt": listing.updated_until}
    period = {name: bound.isoformat() for name, bound in bounds.items() if bound is not None}
    if period:
        filters.append({"range": {"admitted_at": period}})
    return {"bool": {"filter": filters}}


def _state(source: dict[str, Any]) -> DocumentChanged:
    state: DocumentChanged = READABLE.load(source["record"], DocumentChanged)
    return state


def _lineage_row(source: dict[str, Any]) -> LineageRow:
    record = source["record"]
    return LineageRow(
        revision=source["revision"],
        changed=READABLE.load(record["changed"], Position) if "changed" in record else None,
        state=READABLE.load(record["state"], DocumentChanged) if "state" in record else None,
        progress=READABLE.load(record["progress"], DocumentProgressed) if "progress" in record else None,
    )
