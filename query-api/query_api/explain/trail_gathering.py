"""Gathers what is known of a document: heads, read model, and how far the stages on its way are."""

import asyncio
from collections.abc import Collection
from dataclasses import replace

from headwater.access.gate import gate_view
from headwater.clients.kafka.config import topic_of
from headwater.ports.heads import Head
from headwater.ports.read_model import DocumentView, LetterFilter
from headwater.settings import Settings
from query_api.explain.evidence import ADMIT, STAGES, Trail
from query_api.explain.expiry_gathering import expired_unread
from query_api.explain.schemas import ExplainRequest
from query_api.identity import Identity
from query_api.retrieval.retriever import legs_of
from query_api.runtime import Runtime
from schemas.events.base import Position, Store
from schemas.events.documents import DocumentOp, DocumentProgressed
from schemas.ids import DocumentId, GenerationName, Revision, TenantId
from schemas.topics import Topic

# Dead letters of one document that are looked through: replays park again, so there may be several of a revision.
_LETTERS = 50


async def gather_trail(
    runtime: Runtime,
    head: Head | None,
    *,
    document: DocumentId,
    request: ExplainRequest,
    subject: Identity,
    generation: GenerationName,
) -> Trail:
    """Return what the log, the stages and the read model tell. The log is asked only where something is under way."""
    tenant, asked = subject.tenant_id, legs_of(request.mode)
    view = gate_view(
        tenant=tenant,
        principals=subject.principals,
        directory=runtime.directory,
        directory_position=runtime.heads.directory_position(),
    )
    recorded, refusal = await asyncio.gather(
        runtime.documents.get_document(tenant, document, generation=generation),
        runtime.documents.last_refusal(tenant, document),
    )
    trail = Trail(
        document=document,
        head=head,
        view=view,
        user=subject.user,
        generation=generation,
        asked_revision=None if request.revision is None else Revision(request.revision),
        asked=asked,
        refusal=refusal,
        purged=_is_purged(head, recorded, runtime.settings),
        reports={} if recorded is None else _reports(recorded),
    )
    stages = _stages_under_way(head, asked, generation)
    if stages:
        trail = await _with_work(runtime, trail, tenant, stages)
    return replace(trail, expired_unread=await expired_unread(runtime, trail, tenant=tenant))


async def _with_work(runtime: Runtime, trail: Trail, tenant: TenantId, stages: Collection[str]) -> Trail:
    page, changed, backlogs = await asyncio.gather(
        runtime.documents.list_letters(LetterFilter(tenant=tenant, document=trail.document), limit=_LETTERS),
        _changed(runtime, trail, tenant),
        runtime.backlogs.of_document(tenant, trail.document, stages=stages, generation=trail.generation),
    )
    # Whatever was done about a letter: a replay is a newer revision, or has its own report.
    letters = tuple(letter.parked for letter in page.letters)
    return replace(trail, letters=letters, changed=changed, backlogs=tuple(backlogs))


async def _changed(runtime: Runtime, trail: Trail, tenant: TenantId) -> Position | None:
    """Return where the newest revision lies in the log, once the read model has it."""
    if trail.head is None:
        return None
    steps = await runtime.documents.lineage(tenant, trail.document)
    return next((step.changed for step in steps if step.revision == trail.head.revision and step.changed), None)


def _stages_under_way(head: Head | None, asked: Collection[Store], generation: GenerationName) -> Collection[str]:
    if head is None:
        return (ADMIT,)
    if head.op is DocumentOp.DELETED:
        return ()
    missing = [store for store in asked if head.complete.get((generation, store)) != head.revision]
    return tuple(dict.fromkeys(stage for store in missing for stage in STAGES[store]))


def _reports(recorded: DocumentView) -> dict[Store, DocumentProgressed]:
    return {store: state.latest for store, state in recorded.stores.items() if state.latest is not None}


def _is_purged(head: Head | None, recorded: DocumentView | None, settings: Settings) -> bool:
    """Say whether the deletion stands for the directory's record: admission carried out that of a knowledge base."""
    if head is None or recorded is None or recorded.state.revision != head.revision:
        return False
    from_directory = recorded.state.submitted.topic == topic_of(settings, Topic.DIRECTORY_CHANGED)
    return from_directory and head.op is DocumentOp.DELETED
