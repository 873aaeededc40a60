"""Writes to documents: each becomes one submission. Admission decides; what can be refused early is refused here."""

from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from headwater.ports.heads import Directory, Head, Heads, Positions
from query_api.authorization import Action, Resource, authorize
from query_api.changes import ChangeLog, Origin
from query_api.documents.addresses import Address
from query_api.documents.content import StoredContent
from query_api.documents.schemas import DocumentPatchBody, Metadata
from query_api.preconditions import ABSENT, check_expected
from query_api.problems import ConflictError, InvalidRequestError, NotFoundError, SourcePausedError
from query_api.runtime import Runtime
from schemas.events import Access, DocumentSubmitted, Lane
from schemas.events.directory import DirectoryKind, Source
from schemas.events.documents import DocumentOp, DocumentPatch, DocumentState, SubmissionOp
from schemas.ids import DocumentId, KnowledgeBaseId, Revision, SourceId, TenantId

API_KIND = "api"


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """A submission that the log holds."""

    document_id: DocumentId
    positions: Positions


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentWriter:
    """Submits one caller's changes."""

    origin: Origin
    changes: ChangeLog
    directory: Directory
    heads: Heads

    @classmethod
    def of(cls, runtime: Runtime, origin: Origin) -> "DocumentWriter":
        """Build one for a request."""
        changes = ChangeLog(events=runtime.events, now=runtime.now)
        return cls(origin=origin, changes=changes, directory=runtime.directory, heads=runtime.heads)

    @property
    def tenant(self) -> TenantId:
        """Return the caller's tenant."""
        return self.origin.caller.tenant_id

    def authorize(self, source: str = "*") -> None:
        """Raise RefusedError for a caller whose key is not for writing, whatever the source."""
        resource = Resource(tenant_id=self.tenant, kind="sources", id=source)
        authorize(self.origin.caller, Action.WRITE_DOCUMENTS, resource)

    def check(self, source: SourceId) -> Source:
        """Authorize a write to a source before its body is read; return the source.

        Raise NotFoundError without such a source, ConflictError for one that is paused or that a connector writes.
        """
        self.authorize(source)
        entry = self.directory.get(self.tenant, DirectoryKind.SOURCE, source)
        if entry is None or not isinstance(entry.record, Source):
            raise NotFoundError(
                f"source: there is no {source!r}",
                field="source",
                remedy="Name an existing source, or let an administrator put it: PUT /v1/directory/sources/{id}.",
            )
        if entry.record.kind != API_KIND:
            raise ConflictError(
                f"source: {source!r} is written by its {entry.record.kind} connector alone",
                field="source",
                remedy="Change the document at its origin, or write to a source of kind `api`.",
            )
        if entry.record.paused:
            raise SourcePausedError(f"source: {source!r} is paused", field="source")
        return entry.record

    async def put(
        self, address: Address, wanted: Metadata, content: StoredContent, *, expected: Revision | None
    ) -> Submitted:
        """Submit a document's full state."""
        source = self.check(address.source)
        check_expected(expected, self._current(address))
        knowledge_base = KnowledgeBaseId(wanted.knowledge_base or source.knowledge_base)
        self._check_knowledge_base(knowledge_base)
        state = wanted.state(knowledge_base=knowledge_base, content=content.blob, media_type=content.media_type)
        return await self._submit(
            address,
            SubmissionOp.PUT,
            action="documents.put",
            state=state,
            expected=expected,
            lane=wanted.lane,
            source_version=wanted.source_version,
            occurred_at=wanted.occurred_at,
        )

    async def patch(self, address: Address, change: DocumentPatchBody, *, expected: Revision | None) -> Submitted:
        """Submit a change of the fields that are named; NotFoundError where this replica knows no such document."""
        self.check(address.source)
        self._check_exists(address, expected)
        if change.knowledge_base is not None:
            self._check_knowledge_base(KnowledgeBaseId(change.knowledge_base))
        return await self._submit(
            address,
            SubmissionOp.PATCH,
            action="documents.patch",
            patch=change.patch(),
            expected=expected,
            source_version=change.source_version,
            occurred_at=change.occurred_at,
        )

    async def set_access(self, address: Address, access: Access, *, expected: Revision | None) -> Submitted:
        """Submit another access rule: the same event as any other, with the same content."""
        self.check(address.source)
        self._check_exists(address, expected)
        # A patch leaves alone what is empty in it, so that "for nobody" must be said by clearing.
        patch = DocumentPatch(access=access) if access != Access() else DocumentPatch(clear=("access",))
        return await self._submit(
            address, SubmissionOp.PATCH, action="documents.set_access", patch=patch, expected=expected
        )

    async def delete(
        self, address: Address, *, expected: Revision | None, source_version: int | None = None
    ) -> Submitted:
        """Submit a deletion."""
        self.check(address.source)
        self._check_exists(address, expected)
        return await self._submit(
            address,
            SubmissionOp.DELETE,
            action="documents.delete",
            expected=expected,
            source_version=source_version,
        )

    def _current(self, address: Address) -> Revision:
        head = self._head(address)
        return ABSENT if head is None or head.op is DocumentOp.DELETED else head.revision

    def _head(self, address: Address) -> Head | None:
        return self.heads.head(self.tenant, address.document_id(self.tenant))

    def _check_exists(self, address: Address, expected: Revision | None) -> None:
        current = self._current(address)
        if current == ABSENT:
            raise NotFoundError(f"document {address.document_id(self.tenant)}: not found")
        check_expected(expected, current)

    def _check_knowledge_base(self, knowledge_base: KnowledgeBaseId) -> None:
        if self.directory.get(self.tenant, DirectoryKind.KNOWLEDGE_BASE, knowledge_base) is None:
            raise InvalidRequestError(
                f"knowledge_base: there is no {knowledge_base!r}",
                field="knowledge_base",
                remedy="Name an existing one, or let an administrator put it: PUT /v1/directory/knowledge-bases/{id}.",
            )

    async def _submit(
        self,
        address: Address,
        op: SubmissionOp,
        *,
        action: str,
        expected: Revision | None,
        state: DocumentState | None = None,
        patch: DocumentPatch | None = None,
        lane: Lane = Lane.LIVE,
        source_version: int | None = None,
        occurred_at: datetime | None = None,
    ) -> Submitted:
        now = self.changes.now()
        document = address.document_id(self.tenant)
        wish = DocumentSubmitted(
            event_id=uuid4(),
            tenant_id=self.tenant,
            occurred_at=occurred_at or now,
            observed_at=now,
            document_id=document,
            source=address.source,
            external_id=address.external_id,
            op=op,
            lane=lane,
            source_version=source_version,
            expected_revision=expected,
            actor=self.origin.caller.principal,
            state=state,
            patch=patch,
        )
        resource = Resource(tenant_id=self.tenant, kind="documents", id=document)
        positions = await self.changes.append(wish, action=action, resource=resource, origin=self.origin)
        return Submitted(document_id=document, positions=positions)
