"""Explaining: who may know, what is known, what follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from headwater.access.gate import Verdict as GateVerdict
from headwater.access.gate import gate_view, judge_document
from headwater.ports.heads import Head
from query_api.authorization import Action, Resource, authorize
from query_api.changes import ChangeLog, Origin
from query_api.documents.service import API_KIND
from query_api.documents.views import ReadMeta
from query_api.explain import trail_checks
from query_api.explain.evidence import Evidence, Question, Trail
from query_api.explain.question_gathering import gather_question
from query_api.explain.schemas import ExplainRequest, ExplainResponse
from query_api.explain.trail_gathering import gather_trail
from query_api.explain.verdicts import ExpiredUnread, NeverSubmitted, Refused, Verdict
from query_api.explain.walk import judge
from query_api.explain.wording import word
from query_api.identity import Identity
from query_api.identity import Scope as KeyScope
from query_api.problems import InvalidRequestError, NotFoundError
from query_api.retrieval.retriever import Degradation
from query_api.runtime import Runtime
from query_api.search.service import session_for
from schemas.events.directory import DirectoryKind, Source
from schemas.ids import DocumentId, Principal, SourceId

EXPLAINED: Final = "explained"  # outcome in the audit trail


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainService:
    """Explains documents to one caller."""

    runtime: Runtime
    origin: Origin

    async def explain(
        self, document: DocumentId, request: ExplainRequest, *, as_of: datetime, source: SourceId | None = None
    ) -> ExplainResponse:
        """Return why the document does not answer the question, or where it stands.

        `source` is known where the document was named by its address. Raise NotFoundError, from memory alone and
        alike for what is missing and what is hidden, to those who may not know of the document.
        """
        resource = Resource(tenant_id=self._caller.tenant_id, kind="documents", id=document)
        authorize(self._caller, Action.READ_DOCUMENTS, resource)
        subject = self._subject(request, resource)
        head = self.runtime.heads.head(self._caller.tenant_id, document)
        if not self._may_know(head, source):
            raise NotFoundError(f"documents/{document}: not found")
        _check_revision(request, head)
        if subject.user != self._caller.user:
            await self._audit(resource, subject.principal)
        generation = self.runtime.directory.serving_generation() or self.runtime.settings.generation
        trail = await gather_trail(
            self.runtime, head, document=document, request=request, subject=subject, generation=generation
        )
        question, degraded = await self._question(trail, request, subject)
        verdict = judge(Evidence(trail=trail, question=question))
        wording = word(verdict)
        return ExplainResponse(
            document_id=document,
            user=subject.user,
            revision=trail.revision,
            verdict=verdict,
            detail=wording.detail,
            remedy=wording.remedy,
            refused_since=self._refused_since(trail, verdict, source),
            expired_unread=self._expired_unread(trail, verdict, source),
            degraded=tuple(degraded),
            meta=ReadMeta(as_of=as_of, generation=generation),
        )

    @property
    def _caller(self) -> Identity:
        return self.origin.caller

    def _subject(self, request: ExplainRequest, resource: Resource) -> Identity:
        """Return who did not find the document; raise InvalidRequestError for a user whom the tenant does not have."""
        if request.as_user is None or request.as_user == self._caller.user:
            return self._caller
        authorize(self._caller, Action.EXPLAIN_FOR_OTHERS, resource)
        principals = self.runtime.directory.principals(self._caller.tenant_id, request.as_user)
        if not principals:
            raise InvalidRequestError(f"as_user: there is no {request.as_user!r}", field="as_user")
        return replace(self._caller, user=request.as_user, principals=principals)

    def _may_know(self, head: Head | None, source: SourceId | None) -> bool:
        """Say whether the caller may learn that the document exists: administrator, maintainer, or reader."""
        if self._maintains(head, source):
            return True
        view = gate_view(
            tenant=self._caller.tenant_id,
            principals=self._caller.principals,
            directory=self.runtime.directory,
            directory_position=self.runtime.heads.directory_position(),
        )
        return judge_document(head, view) is GateVerdict.ADMITTED

    def _maintains(self, head: Head | None, source: SourceId | None) -> bool:
        """Say whether the caller is told of everything that happens to the document."""
        if KeyScope.ADMIN in self._caller.scopes:
            return True
        owner = source if head is None else head.source
        return KeyScope.WRITE in self._caller.scopes and owner is not None and self._is_api_source(owner)

    def _refused_since(self, trail: Trail, verdict: Verdict, source: SourceId | None) -> Refused | None:
        """Return the refusal of a newer submission, unless that is the verdict: it says who tried to write what."""
        if isinstance(verdict, Refused) or not self._maintains(trail.head, source):
            return None
        return trail_checks.refused_since(trail)

    def _expired_unread(self, trail: Trail, verdict: Verdict, source: SourceId | None) -> tuple[ExpiredUnread, ...]:
        """Return what else may have been submitted, unless it is the verdict's own evidence."""
        if isinstance(verdict, NeverSubmitted) or not self._maintains(trail.head, source):
            return ()
        return trail.expired_unread

    def _is_api_source(self, source: SourceId) -> bool:
        entry = self.runtime.directory.get(self._caller.tenant_id, DirectoryKind.SOURCE, source)
        return entry is not None and isinstance(entry.record, Source) and entry.record.kind == API_KIND

    async def _audit(self, resource: Resource, subject: Principal) -> None:
        """Record that somebody looked with another's eyes, before they do."""
        changes = ChangeLog(events=self.runtime.events, now=self.runtime.now)
        await changes.record(
            action="documents.explain",
            resource=resource,
            origin=self.origin,
            outcome=EXPLAINED,
            reason=f"as {subject}",
        )

    async def _question(
        self, trail: Trail, request: ExplainRequest, subject: Identity
    ) -> tuple[Question | None, Sequence[Degradation]]:
        """Ask the question again where an answer could have had the document at all."""
        session = await session_for(self.runtime, request, subject)
        admitted = judge_document(trail.head, trail.view) is GateVerdict.ADMITTED
        held = any(trail.revision is not None and trail.complete(store) == trail.revision for store in trail.asked)
        if not admitted or not held:
            return None, ()
        return await gather_question(self.runtime, session, trail, request)


def _check_revision(request: ExplainRequest, head: Head | None) -> None:
    if request.revision is not None and head is not None and request.revision > head.revision:
        raise InvalidRequestError(
            f"revision: the document is at {head.revision}", field="revision", remedy="Leave it out for the newest."
        )
