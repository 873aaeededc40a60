"""Feedback becomes an event; the join with its query happens in the index."""

from dataclasses import dataclass
from uuid import uuid4

from query_api.feedback.schemas import FeedbackAccepted, FeedbackRequest
from query_api.identity import Identity
from query_api.problems import NotFoundError
from query_api.retrieval.query_ids import QueryIdError, QuerySigner
from query_api.runtime import Runtime
from schemas.events.queries import FeedbackReceived


@dataclass(frozen=True, slots=True)
class FeedbackService:
    """Takes feedback."""

    runtime: Runtime

    async def give(self, request: FeedbackRequest, *, caller: Identity) -> FeedbackAccepted:
        """Return once the log holds it; raise NotFoundError for a query that was not this caller's."""
        try:
            QuerySigner(self.runtime.secret).verify(request.query_id, caller.tenant_id, caller.user)
        except QueryIdError as error:
            raise NotFoundError(str(error), field="query_id") from error
        now = self.runtime.now()
        event = FeedbackReceived(
            event_id=uuid4(),
            tenant_id=caller.tenant_id,
            occurred_at=now,
            observed_at=now,
            query_id=request.query_id,
            user=caller.principal,
            rating=request.rating,
            type=request.type,
            comment=request.comment,
        )
        await self.runtime.events.send(event)
        return FeedbackAccepted(query_id=request.query_id, event_id=str(event.event_id))
