"""Approvals are submissions: admission judges each by what waits when it reads it."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from headwater.ports.heads import Directory
from headwater.ports.quarantine import Quarantine
from headwater.ports.read_model import DocumentReadModel
from query_api.authorization import Action, Resource, authorize
from query_api.changes import ChangeLog, Origin, newest_of, token_of
from query_api.problems import NotFoundError
from query_api.quarantine.schemas import (
    SHOWN,
    ApprovalAccepted,
    ApprovalBody,
    WaitingDeletion,
    WaitingDeletions,
    WaitingReason,
)
from query_api.runtime import Runtime
from schemas.events import DocumentSubmitted, Lane
from schemas.events.directory import DirectoryKind
from schemas.events.documents import DeletionQuarantined, SubmissionOp
from schemas.ids import SourceId


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineService:
    """Waiting deletions of the caller's tenant."""

    origin: Origin
    changes: ChangeLog
    directory: Directory
    quarantine: Quarantine
    documents: DocumentReadModel

    @classmethod
    def of(cls, runtime: Runtime, origin: Origin) -> "QuarantineService":
        """Build one for a request."""
        changes = ChangeLog(events=runtime.events, now=runtime.now)
        return cls(
            origin=origin,
            changes=changes,
            directory=runtime.directory,
            quarantine=runtime.quarantine,
            documents=runtime.documents,
        )

    async def show(self, source: str) -> WaitingDeletions:
        """Return what waits; raise NotFoundError where there is no such source."""
        resource = self._authorized(source, Action.READ_DIRECTORY)
        waiting = await self._waiting(resource)
        reasons = Counter(each.reason for each in waiting)
        return WaitingDeletions(
            source=source,
            source_documents=await self.documents.count_documents(resource.tenant_id, SourceId(source)),
            waiting=len(waiting),
            reasons=[WaitingReason(reason=reason, count=count) for reason, count in reasons.most_common()],
            oldest_at=waiting[0].quarantined_at if waiting else None,
            newest_at=waiting[-1].quarantined_at if waiting else None,
            documents=[WaitingDeletion.of(each) for each in waiting[:SHOWN]],
        )

    async def approve(self, source: str, wish: ApprovalBody) -> ApprovalAccepted:
        """Submit these deletions again, approved. A document that was submitted meanwhile stays."""
        resource = self._authorized(source, Action.WRITE_DIRECTORY)
        waiting = [
            each for each in await self._waiting(resource) if wish.until is None or each.quarantined_at <= wish.until
        ]
        approved = waiting[: wish.limit]
        if not approved:
            return ApprovalAccepted(source=source, approved=0, left=0, token=None)
        await self.changes.record(
            action="sources.approve",
            resource=resource,
            origin=self.origin,
            outcome="submitted",
            reason=f"{len(approved)} deletions that waited until {approved[-1].quarantined_at.isoformat()}",
        )
        now = self.changes.now()
        sent = await asyncio.gather(*(self.changes.events.send(self._approval(each, now)) for each in approved))
        left = len(waiting) - len(approved)
        return ApprovalAccepted(source=source, approved=len(approved), left=left, token=token_of(newest_of(sent)))

    def _approval(self, waiting: DeletionQuarantined, now: datetime) -> DocumentSubmitted:
        return DocumentSubmitted(
            event_id=uuid4(),
            tenant_id=waiting.tenant_id,
            occurred_at=waiting.occurred_at,
            observed_at=now,
            document_id=waiting.document_id,
            source=waiting.source,
            external_id=waiting.external_id,
            op=SubmissionOp.DELETE,
            lane=Lane.LIVE,
            source_version=None,
            expected_revision=None,
            actor=self.origin.caller.principal,
            state=None,
            patch=None,
            approves=waiting.submitted,
        )

    def _authorized(self, source: str, action: Action) -> Resource:
        tenant = self.origin.caller.tenant_id
        resource = Resource(tenant_id=tenant, kind=DirectoryKind.SOURCE.value, id=source)
        authorize(self.origin.caller, action, resource)
        if self.directory.get(tenant, DirectoryKind.SOURCE, source) is None:
            raise NotFoundError(f"{resource}: not found")
        return resource

    async def _waiting(self, resource: Resource) -> Sequence[DeletionQuarantined]:
        return await self.quarantine.waiting(resource.tenant_id, SourceId(resource.id))
