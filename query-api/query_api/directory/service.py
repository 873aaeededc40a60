"""Directory records: commands to admission, reads from the replica's memory."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from headwater.ports.heads import Directory, DirectoryEntry, Positions
from headwater.ports.read_model import DocumentReadModel
from query_api.authorization import Action, Resource, authorize
from query_api.changes import ChangeLog, Origin
from query_api.directory.sources import check_source
from query_api.preconditions import ABSENT, check_expected
from query_api.problems import ConflictError, InvalidRequestError, NotFoundError
from query_api.runtime import Runtime
from schemas.events.directory import (
    DirectoryKind,
    DirectoryOp,
    DirectoryRecord,
    DirectorySubmitted,
    KnowledgeBase,
    Source,
)
from schemas.ids import SYSTEM_TENANT, Revision, SourceId, TenantId

_SYSTEM_KINDS: Final = frozenset({DirectoryKind.TENANT, DirectoryKind.GENERATION})
_OPEN_KINDS: Final = frozenset({DirectoryKind.KNOWLEDGE_BASE, DirectoryKind.RETRIEVAL_PROFILE})
_OWN_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
# A tenant's id is part of its keys, hence its narrower form.
_ID_FORMS: Final = {
    DirectoryKind.TENANT: re.compile(r"[a-z0-9][a-z0-9-]{0,62}"),
    DirectoryKind.USER: re.compile(r"[^\s/\x00-\x1f][^/\x00-\x1f]{0,199}"),
    DirectoryKind.GROUP: re.compile(r"[^:\s/\x00-\x1f]{1,100}:[^/\x00-\x1f]{1,200}"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryService:
    """Reads and writes the directory for one caller."""

    origin: Origin
    changes: ChangeLog
    directory: Directory
    documents: DocumentReadModel

    @classmethod
    def of(cls, runtime: Runtime, origin: Origin) -> "DirectoryService":
        """Build one for a request."""
        changes = ChangeLog(events=runtime.events, now=runtime.now)
        return cls(origin=origin, changes=changes, directory=runtime.directory, documents=runtime.documents)

    def get(self, kind: DirectoryKind, record_id: str) -> DirectoryEntry:
        """Return a record; raise NotFoundError where there is none."""
        resource = self._authorize_read(kind, record_id)
        entry = self.directory.get(resource.tenant_id, kind, record_id)
        if entry is None:
            raise NotFoundError(f"{resource}: not found")
        return entry

    def page(
        self, kind: DirectoryKind, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[DirectoryEntry], str | None]:
        """Return up to `limit` records after `cursor`, ordered by id, and the next cursor."""
        resource = self._authorize_read(kind)
        last = "" if cursor is None else _decode_cursor(cursor)
        rest = [entry for entry in self.directory.list(resource.tenant_id, kind) if entry.record_id > last]
        page = rest[:limit]
        return page, _encode_cursor(page[-1].record_id) if len(rest) > limit else None

    async def put(
        self, kind: DirectoryKind, record_id: str, record: DirectoryRecord, *, expected: Revision | None
    ) -> Positions:
        """Submit a record's full state."""
        resource = self._authorize_write(kind, record_id)
        form = _ID_FORMS.get(kind, _OWN_ID)
        if not form.fullmatch(record_id):
            raise InvalidRequestError(
                f"id: not a possible id of {kind.value}",
                field="id",
                remedy="Use letters, digits, `.`, `_` and `-`; groups are named `SOURCE:ID`, tenants in lower case.",
            )
        check_expected(expected, self._current(resource.tenant_id, kind, record_id))
        self._check_references(record)
        if isinstance(record, Source):
            entry = self.directory.get(resource.tenant_id, kind, record_id)
            check_source(record, None if entry is None else entry.record)
        return await self.submit(resource, kind, DirectoryOp.PUT, record=record, expected=expected)

    async def delete(self, kind: DirectoryKind, record_id: str, *, expected: Revision | None) -> Positions:
        """Submit a deletion; NotFoundError where there is no such record."""
        resource = self._authorize_write(kind, record_id)
        current = self._current(resource.tenant_id, kind, record_id)
        if current == ABSENT:
            raise NotFoundError(f"{resource}: not found")
        check_expected(expected, current)
        return await self.submit(resource, kind, DirectoryOp.DELETE, record=None, expected=expected)

    async def remove_source(self, record_id: str, *, expected: Revision | None, confirmed: int) -> Positions:
        """Submit the deletion of a source and of its documents; ConflictError where it has more than `confirmed`."""
        kind = DirectoryKind.SOURCE
        resource = self._authorize_write(kind, record_id)
        current = self._current(resource.tenant_id, kind, record_id)
        if current == ABSENT:
            raise NotFoundError(f"{resource}: not found")
        check_expected(expected, current)
        count = await self.documents.count_documents(resource.tenant_id, SourceId(record_id))
        if count > confirmed:
            raise ConflictError(f"{resource}: has {count} documents, and {confirmed} are confirmed", field="documents")
        return await self.submit(
            resource,
            kind,
            DirectoryOp.DELETE,
            record=None,
            expected=expected,
            with_documents=True,
            action="sources.remove",
        )

    async def submit(
        self,
        resource: Resource,
        kind: DirectoryKind,
        op: DirectoryOp,
        *,
        record: DirectoryRecord | None,
        expected: Revision | None = None,
        action: str | None = None,
        with_documents: bool = False,
    ) -> Positions:
        """Append a command that was authorized."""
        now = self.changes.now()
        wish = DirectorySubmitted(
            event_id=uuid4(),
            tenant_id=resource.tenant_id,
            occurred_at=now,
            observed_at=now,
            kind=kind,
            record_id=resource.id,
            op=op,
            record=record,
            expected_revision=expected,
            actor=self.origin.caller.principal,
            with_documents=with_documents,
        )
        return await self.changes.append(
            wish, action=action or f"directory.{op.value}", resource=resource, origin=self.origin
        )

    def _authorize_read(self, kind: DirectoryKind, record_id: str = "*") -> Resource:
        resource = self._resource(kind, record_id)
        action = Action.READ_COLLECTIONS if kind in _OPEN_KINDS else Action.READ_DIRECTORY
        authorize(self.origin.caller, Action.MANAGE_TENANTS if kind in _SYSTEM_KINDS else action, resource)
        return resource

    def _authorize_write(self, kind: DirectoryKind, record_id: str) -> Resource:
        resource = self._resource(kind, record_id)
        authorize(
            self.origin.caller,
            Action.MANAGE_TENANTS if kind in _SYSTEM_KINDS else Action.WRITE_DIRECTORY,
            resource,
        )
        return resource

    def _resource(self, kind: DirectoryKind, record_id: str) -> Resource:
        tenant = SYSTEM_TENANT if kind in _SYSTEM_KINDS else self.origin.caller.tenant_id
        return Resource(tenant_id=tenant, kind=kind.value, id=record_id)

    def _current(self, tenant: TenantId, kind: DirectoryKind, record_id: str) -> Revision:
        entry = self.directory.get(tenant, kind, record_id)
        return ABSENT if entry is None else entry.revision

    def _check_references(self, record: DirectoryRecord) -> None:
        match record:
            case Source(knowledge_base=named):
                self._check_reference("knowledge_base", DirectoryKind.KNOWLEDGE_BASE, named)
            case KnowledgeBase(retrieval_profile=str(named)):
                self._check_reference("retrieval_profile", DirectoryKind.RETRIEVAL_PROFILE, named)
            case _:
                pass

    def _check_reference(self, field: str, kind: DirectoryKind, named: str) -> None:
        if self.directory.get(self.origin.caller.tenant_id, kind, named) is None:
            raise InvalidRequestError(
                f"{field}: there is no {named!r}",
                field=field,
                remedy=f"Put it first (PUT /v1/directory/{kind.value}/{{id}}), then pass the token of that as `after`.",
            )


def _encode_cursor(record_id: str) -> str:
    return base64.urlsafe_b64encode(record_id.encode()).decode()


def _decode_cursor(cursor: str) -> str:
    try:
        return base64.urlsafe_b64decode(cursor).decode()
    except ValueError as error:
        raise InvalidRequestError("cursor: not one of ours; pass it as a page returned it", field="cursor") from error
