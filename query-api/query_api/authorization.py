"""The one place that says who may do what. What a caller may not know of looks as if it did not exist."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from query_api.identity import Identity, Scope
from query_api.problems import ForbiddenError, NotFoundError
from schemas.ids import TenantId


class Action(StrEnum):
    """What can be asked of the API. Whether a document may be read is decided by the gate, after this."""

    SEARCH = "search"
    GIVE_FEEDBACK = "feedback.give"
    READ_DOCUMENTS = "documents.read"
    WRITE_DOCUMENTS = "documents.write"
    EXPLAIN_FOR_OTHERS = "documents.explain"  # with another user's eyes
    READ_COLLECTIONS = "collections.read"  # knowledge bases and retrieval profiles: names, no members
    READ_DIRECTORY = "directory.read"
    WRITE_DIRECTORY = "directory.write"
    SYNC_SOURCES = "sources.sync"
    MANAGE_OWN_KEYS = "keys.own"
    MANAGE_KEYS = "keys.manage"
    READ_PARKED = "parked.read"
    RESOLVE_PARKED = "parked.resolve"
    OPERATE_PARKED = "parked.operate"  # dead letters of every tenant, and of none
    READ_FRESHNESS = "freshness.read"
    REPORT_ROUNDS = "freshness.report"
    READ_CONSISTENCY = "consistency.read"
    MANAGE_TENANTS = "tenants.manage"


# Any one of these scopes allows the action; an empty set: every authenticated caller.
_ALLOWED_BY: Final = {
    Action.SEARCH: {Scope.READ},
    Action.GIVE_FEEDBACK: {Scope.READ},
    Action.READ_DOCUMENTS: {Scope.READ},
    Action.WRITE_DOCUMENTS: {Scope.WRITE},
    Action.EXPLAIN_FOR_OTHERS: {Scope.ADMIN},
    Action.READ_COLLECTIONS: {Scope.READ, Scope.ADMIN},
    Action.READ_DIRECTORY: {Scope.ADMIN},
    Action.WRITE_DIRECTORY: {Scope.ADMIN},
    Action.SYNC_SOURCES: {Scope.ADMIN},
    Action.MANAGE_OWN_KEYS: frozenset(Scope),
    Action.MANAGE_KEYS: {Scope.ADMIN},
    Action.READ_PARKED: {Scope.ADMIN},
    Action.RESOLVE_PARKED: {Scope.ADMIN},
    Action.OPERATE_PARKED: {Scope.SYSTEM},
    Action.READ_FRESHNESS: {Scope.ADMIN, Scope.SYSTEM},
    Action.REPORT_ROUNDS: {Scope.WRITE},
    Action.READ_CONSISTENCY: {Scope.ADMIN},
    Action.MANAGE_TENANTS: {Scope.SYSTEM},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What an action is about: `kind/id` of a tenant."""

    tenant_id: TenantId
    kind: str
    id: str = "*"

    def __str__(self) -> str:
        return f"{self.kind}/{self.id}"


class RefusedError(ForbiddenError):
    """A known caller asked for what their key does not allow. The audit trail gets it before the caller does."""

    def __init__(
        self, detail: str, *, caller: Identity, action: Action, resource: Resource, field: str | None = None
    ) -> None:
        super().__init__(detail, field=field)
        self.caller, self.action, self.resource = caller, action, resource


def authorize(caller: Identity, action: Action, resource: Resource) -> None:
    """Return where the caller may; raise NotFoundError across tenants, RefusedError where a scope is missing."""
    if resource.tenant_id != caller.tenant_id and action is not Action.MANAGE_TENANTS:
        raise NotFoundError(f"{resource}: not found")
    allowed_by = _ALLOWED_BY[action]
    if caller.scopes.isdisjoint(allowed_by):
        needed = " or ".join(sorted(allowed_by))
        detail = f"{action} needs a key with the scope {needed}"
        raise RefusedError(detail, caller=caller, action=action, resource=resource)
