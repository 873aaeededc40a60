"""Which knobs a request is answered with."""

from collections.abc import Sequence
from typing import Final

from headwater.ports.heads import Directory
from query_api.problems import InvalidRequestError
from schemas.events.directory import DirectoryKind, KnowledgeBase, RetrievalProfile
from schemas.ids import KnowledgeBaseId, TenantId

DEFAULT_PROFILE = "default"
# What a tenant without a profile gets; measured, see docs/retrieval.md. The event's own defaults stand for fields that
# an older record lacks: those never change.
MEASURED: Final = RetrievalProfile(candidates=50, rerank_candidates=10)


def choose_profile(
    directory: Directory, tenant: TenantId, *, named: str | None, knowledge_bases: Sequence[KnowledgeBaseId] | None
) -> RetrievalProfile:
    """Return the profile a request names, else that of its only knowledge base, else the tenant's `default`.

    Raise InvalidRequestError for a named profile that does not exist.
    """
    if named is not None:
        found = _profile(directory, tenant, named)
        if found is None:
            raise InvalidRequestError(f"there is no retrieval profile {named!r}", field="profile")
        return found
    own = _knowledge_base_profile(directory, tenant, knowledge_bases)
    return (own and _profile(directory, tenant, own)) or _profile(directory, tenant, DEFAULT_PROFILE) or MEASURED


def _profile(directory: Directory, tenant: TenantId, name: str) -> RetrievalProfile | None:
    entry = directory.get(tenant, DirectoryKind.RETRIEVAL_PROFILE, name)
    return entry.record if entry and isinstance(entry.record, RetrievalProfile) else None


def _knowledge_base_profile(
    directory: Directory, tenant: TenantId, knowledge_bases: Sequence[KnowledgeBaseId] | None
) -> str | None:
    if not knowledge_bases or len(knowledge_bases) != 1:
        return None
    entry = directory.get(tenant, DirectoryKind.KNOWLEDGE_BASE, knowledge_bases[0])
    return entry.record.retrieval_profile if entry and isinstance(entry.record, KnowledgeBase) else None
