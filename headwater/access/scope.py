"""The one place that adds tenant, knowledge bases and access to a query of the stores."""

from collections.abc import Sequence

from headwater.access.clauses import ANYONE
from headwater.errors import PoisonError
from headwater.ports.rows import AllOf, Filter, Scope
from schemas.ids import KnowledgeBaseId, Principal, TenantId

EVERYTHING: Filter = AllOf(())


class TooManyPrincipalsError(PoisonError):
    """A caller is in more groups than a store's filter takes."""


def store_scope(
    *,
    tenant: TenantId,
    principals: frozenset[Principal],
    knowledge_bases: Sequence[KnowledgeBaseId] | None,
    where: Filter = EVERYTHING,
    max_principals: int,
) -> Scope:
    """Build what a caller may be shown at all; raise TooManyPrincipalsError above `max_principals`."""
    if len(principals) > max_principals:
        raise TooManyPrincipalsError(
            f"the caller holds {len(principals)} principals, at most {max_principals} are taken; "
            "nest fewer groups, or raise HEADWATER_API__MAX_PRINCIPALS"
        )
    return Scope(
        tenant_id=tenant,
        principals=principals | {ANYONE} if principals else frozenset(),
        knowledge_bases=None if knowledge_bases is None else tuple(knowledge_bases),
        where=where,
    )
