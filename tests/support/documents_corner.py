"""A corner of the documents read model that a test has for itself, and what is asked of it."""

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from headwater.ports.read_model import (
    DocumentPage,
    DocumentReadModel,
    LetterFilter,
    LetterPage,
    Listing,
    RefusedSubmission,
    StoreStates,
)
from headwater.ports.rows import Scope
from schemas.events.base import Position, Store
from schemas.events.documents import (
    Access,
    Clause,
    DocumentChanged,
    DocumentProgressed,
    ProgressOutcome,
)
from schemas.events.parked import EventParked, EventResolved, LetterState
from schemas.ids import (
    EVERYONE,
    DocumentId,
    GenerationName,
    Principal,
    Revision,
    SourceId,
    TenantId,
    document_id,
)
from tests.support.golden import golden
from tests.support.polling import until
from tests.support.rows import scope_of

G1 = GenerationName("g1")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Corner:
    """Documents of a tenant of a test's own."""

    def __init__(self) -> None:
        self.tenant = TenantId(f"tenant-{uuid4().hex}")

    def state(self, name: str, *, revision: int = 7, minutes: int = 0, title: str = "Travel policy") -> DocumentChanged:
        return replace(
            golden(DocumentChanged, "upserted"),
            tenant_id=self.tenant,
            document_id=self.document(name),
            external_id=name,
            revision=Revision(revision),
            title=title,
            access=Access(clauses=(Clause(principals=(EVERYONE,)),)),
            admitted_at=NOON + timedelta(minutes=minutes),
        )

    def progress(
        self,
        name: str,
        store: Store,
        *,
        revision: int = 7,
        outcome: ProgressOutcome = ProgressOutcome.COMPLETE,
        generation: GenerationName = G1,
    ) -> DocumentProgressed:
        return replace(
            golden(DocumentProgressed, "complete"),
            tenant_id=self.tenant,
            document_id=self.document(name),
            revision=Revision(revision),
            store=store,
            outcome=outcome,
            generation=generation,
        )

    def parked(self, name: str, *, offset: int, minutes: int = 0) -> EventParked:
        return replace(
            golden(EventParked, "decoded"),
            origin=Position(topic=f"rag.{self.tenant}", partition=0, offset=offset),
            tenant_id=self.tenant,
            document_id=self.document(name),
            parked_at=NOON + timedelta(minutes=minutes),
        )

    def resolved(self, letter: EventParked, state: LetterState, *, minutes: int = 0) -> EventResolved:
        return replace(
            golden(EventResolved, "replayed"),
            tenant_id=self.tenant,
            occurred_at=NOON + timedelta(minutes=minutes),
            letter=letter,
            state=state,
        )

    def refusal(self, name: str, *, minutes: int = 0) -> RefusedSubmission:
        return RefusedSubmission(
            tenant_id=self.tenant,
            document_id=self.document(name),
            action="documents.put",
            actor=Principal("user:ada"),
            reason="quota_documents",
            detail=f"the tenant has room for {minutes}",
            refused_at=NOON + timedelta(minutes=minutes),
        )

    def document(self, name: str) -> DocumentId:
        return document_id(self.tenant, SourceId("handbook"), name)

    def scope(self, *principals: Principal) -> Scope:
        return scope_of(*principals, tenant=self.tenant)


def at(offset: int) -> Position:
    return Position(topic="rag.documents.changed", partition=0, offset=offset)


async def listed(model: DocumentReadModel, scope: Scope, *, expected: int) -> DocumentPage:
    """List until as many documents are there: listings follow a write within a second."""

    async def found() -> DocumentPage | None:
        page = await model.list_documents(scope, Listing(), generation=G1, limit=50)
        return page if len(page.documents) == expected else None

    return await until(found)


async def store_states(model: DocumentReadModel, corner: Corner, *, generation: GenerationName) -> StoreStates:
    document = corner.document("a")
    return (await model.store_states([(corner.tenant, document)], generation=generation))[document]


async def letters(
    model: DocumentReadModel, tenant: TenantId, *, expected: Collection[int], **wanted: Any
) -> LetterPage:
    """List until the letters with these offsets are there, and no others: listings follow a write within a second."""

    async def found() -> LetterPage | None:
        page = await model.list_letters(LetterFilter(tenant=tenant, **wanted), limit=100)
        return page if sorted(each.parked.origin.offset for each in page.letters) == sorted(expected) else None

    return await until(found)
