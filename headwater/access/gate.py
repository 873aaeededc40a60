"""The gate: after the stores, before anything is shown, sent to a model or cached."""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from headwater.access.clauses import permits
from headwater.ports.heads import Directory, Head
from schemas.events.base import Store
from schemas.events.directory import DirectoryKind
from schemas.events.documents import DocumentOp
from schemas.ids import SYSTEM_TENANT, GenerationName, KnowledgeBaseId, Principal, Revision, TenantId


class Verdict(StrEnum):
    """Why a row may be shown, or the first reason why not. A closed set: safe as a metric label."""

    ADMITTED = "admitted"
    UNKNOWN = "unknown"  # this replica has no head: not yet read, or never admitted
    DELETED = "deleted"
    OUTDATED = "outdated"  # not the newest complete revision in its store
    HEAD_BEHIND = "head_behind"  # the replica must first read this revision's own rule
    DIRECTORY_BEHIND = "directory_behind"  # the replica must first read what the writer had seen
    CONTAINER_GONE = "container_gone"  # the tenant or the knowledge base is deleted
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateView:
    """What the replica knows at one moment, for one caller; the same for every row of a request."""

    tenant: TenantId
    principals: AbstractSet[Principal]
    directory_position: int
    container_exists: Callable[[KnowledgeBaseId], bool]


def gate_view(
    *, tenant: TenantId, principals: AbstractSet[Principal], directory: Directory, directory_position: int
) -> GateView:
    """Bind a caller to the directory as of now. A knowledge base is looked up once a view, not once a row."""

    @cache
    def container_exists(knowledge_base: KnowledgeBaseId) -> bool:
        return (
            directory.get(SYSTEM_TENANT, DirectoryKind.TENANT, tenant) is not None
            and directory.get(tenant, DirectoryKind.KNOWLEDGE_BASE, knowledge_base) is not None
        )

    return GateView(
        tenant=tenant,
        principals=principals,
        directory_position=directory_position,
        container_exists=container_exists,
    )


def judge_document(head: Head | None, view: GateView) -> Verdict:
    """Decide on a document, whatever its rows: known, not deleted, its containers too, and readable now."""
    if head is None or head.tenant_id != view.tenant:
        return Verdict.UNKNOWN
    if head.op is DocumentOp.DELETED:
        return Verdict.DELETED
    if head.directory_position > view.directory_position:
        return Verdict.DIRECTORY_BEHIND
    if not view.container_exists(head.knowledge_base):
        return Verdict.CONTAINER_GONE
    if not permits(head.access, view.principals):
        return Verdict.FORBIDDEN
    return Verdict.ADMITTED


def judge_row(
    head: Head | None, view: GateView, *, revision: Revision, store: Store, generation: GenerationName
) -> Verdict:
    """Decide on one row of one store: its document passes and it is of the newest complete revision there.

    That a revision is complete may be read before the revision itself: until then an older one's rule would decide.
    """
    verdict = judge_document(head, view)
    if verdict is not Verdict.ADMITTED or head is None:
        return verdict
    if revision > head.revision:
        return Verdict.HEAD_BEHIND
    if head.complete.get((generation, store)) != revision:
        return Verdict.OUTDATED
    return Verdict.ADMITTED
