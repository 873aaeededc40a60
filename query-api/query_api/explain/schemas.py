"""What an explanation takes and gives."""

from typing import Annotated

from pydantic import BaseModel, Field

from query_api.documents.views import ReadMeta
from query_api.explain.verdicts import ExpiredUnread, Refused, Verdict
from query_api.retrieval.retriever import Degradation
from query_api.search.schemas import MAX_TOP_K, QueryModel
from schemas.events.queries import QueryKind
from schemas.ids import DocumentId, Revision


class ExplainRequest(QueryModel, frozen=True):
    """A question that did not find the document, as it was asked."""

    kind: QueryKind = Field(
        default=QueryKind.ANSWER, description="How it was asked: `answer` (POST /v1/query) or `search`."
    )
    top_k: int = Field(default=10, ge=1, le=MAX_TOP_K, description="As the search had it; an answer has none.")
    as_user: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Who did not find it; left out: the caller. For administrators; it is in the audit trail.",
    )
    revision: int | None = Field(default=None, ge=1, description="Left out: the newest.")


class ExplainResponse(BaseModel, frozen=True):
    """The first thing on the document's way that keeps it from being found, or where it stands if it is."""

    document_id: DocumentId
    user: str
    revision: Revision | None = Field(description="The revision that is explained; null where there is none.")
    verdict: Annotated[Verdict, Field(discriminator="cause")]
    detail: str
    remedy: str
    refused_since: Refused | None = Field(
        description="A newer submission that was not admitted: the verdict is about the state before it. Told to "
        "administrators and to maintainers of the source."
    )
    expired_unread: tuple[ExpiredUnread, ...] = Field(
        description="Submissions in the document's partition that expired before admission had read them, and that "
        "nobody has dealt with: a newer one of this document may have been among them. Of `never_submitted` they are "
        "the evidence, and stand there. Told to administrators and to maintainers of the source."
    )
    degraded: tuple[Degradation, ...] = Field(description="What was away: with it the verdict might be another.")
    meta: ReadMeta
