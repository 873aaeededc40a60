"""Dead letters in a fake API, and what became of them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from headwater.ports.heads import Head
from schemas.events import (
    AuditRecorded,
    DocumentProgressed,
    EventParked,
    EventResolved,
    LetterState,
    Position,
    Store,
)
from schemas.events.documents import NOBODY, DocumentOp, ProgressOutcome
from schemas.ids import (
    DocumentId,
    GenerationName,
    Revision,
    SourceId,
    TenantId,
    document_id,
)
from tests.support.api import ACME, ALL_SCOPES, FakeApi
from tests.support.golden import golden
from tests.support.heads import changed

WIKI = SourceId("wiki")
OTHER = TenantId("other")
CHANGED, SUBMITTED = "rag.documents.changed", "rag.documents.submitted"
Body = dict[str, Any]


def document(name: str, tenant: TenantId = ACME) -> DocumentId:
    return document_id(tenant, WIKI, name)


async def park(api: FakeApi, name: str | None, offset: int, *, revision: int = 5, **changes: Any) -> EventParked:
    """Park a letter, of a document unless told otherwise."""
    tenant: TenantId | None = changes.get("tenant_id", ACME)
    letter = replace(
        golden(EventParked, "decoded"),
        origin=Position(topic=changes.pop("topic", CHANGED), partition=0, offset=offset),
        document_id=None if name is None or tenant is None else document(name, tenant),
        revision=None if name is None else Revision(revision),
        parked_at=api.clock() + timedelta(seconds=offset),
        tenant_id=changes.pop("tenant_id", ACME),
        **changes,
    )
    await api.documents.record_parked([letter])
    return letter


async def admit(api: FakeApi, name: str, revision: int, *, op: DocumentOp = DocumentOp.UPSERTED) -> DocumentId:
    """Put a state into the log: head and read model know it."""
    state = changed(document(name), tenant_id=ACME, source=WIKI, external_id=name, revision=Revision(revision), op=op)
    await api.documents.record_states([(state, Position(topic=CHANGED, partition=0, offset=revision))])
    api.heads.documents[ACME, state.document_id] = Head(
        tenant_id=ACME,
        document_id=state.document_id,
        knowledge_base=state.knowledge_base,
        source=WIKI,
        revision=state.revision,
        op=op,
        access=NOBODY,
        directory_position=0,
    )
    return state.document_id


async def ended(api: FakeApi, name: str, revision: int, outcome: ProgressOutcome) -> None:
    """Record how a revision will end in both stores, and its state."""
    state = api.documents.states[document(name)]
    newer = replace(state, revision=Revision(revision))
    await api.documents.record_states([(newer, Position(topic=CHANGED, partition=0, offset=revision))])
    await api.documents.record_progress(
        [
            replace(
                golden(DocumentProgressed, "complete"),
                tenant_id=ACME,
                document_id=newer.document_id,
                revision=newer.revision,
                generation=GenerationName("g1"),
                store=store,
                outcome=outcome,
            )
            for store in Store
        ]
    )


async def call(api: FakeApi, action: str, *, scopes: tuple[str, ...] = ALL_SCOPES, **body: Any) -> Body:
    answer = await api.client.post(f"/v1/parked/{action}", headers=await api.key(scopes=scopes), json=body)
    assert answer.status_code == 200, answer.text
    report: Body = answer.json()
    return report


def verdicts(report: Body) -> list[tuple[str, int]]:
    return [(result["verdict"], result["origin"]["offset"]) for result in report["results"]]


def said(api: FakeApi) -> list[tuple[str, str, str, str | None]]:
    """What the audit trail says of letters."""
    events = [event for event in api.log.events if isinstance(event, AuditRecorded)]
    return [(event.action, event.resource, event.outcome, event.reason) for event in events]


def resolutions(api: FakeApi) -> list[tuple[int, LetterState]]:
    events = [event for event in api.log.events if isinstance(event, EventResolved)]
    return [(event.letter.origin.offset, event.state) for event in events]
