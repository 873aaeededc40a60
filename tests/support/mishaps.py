"""What can happen to a document on a replica of fakes: each mishap is made where it happens, and can be combined."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import httpx

from headwater.ports.read_model import RefusedSubmission
from query_api.explain.verdicts import Cause
from schemas.events.base import Position, Store
from schemas.events.directory import DirectoryKind, RetrievalProfile
from schemas.events.documents import DocumentChanged, DocumentOp, DocumentProgressed, ProgressOutcome
from schemas.events.parked import SUBMISSIONS_EXPIRED, EventParked
from schemas.ids import DocumentId, Principal, Revision, TenantId
from tests.support.answering import ALL_STAFF, G1, AnsweringApi, for_only
from tests.support.golden import golden

QUESTION: Final = "annual leave roster"
TEXT: Final = "annual leave begins three weeks later"
BETTER: Final = "annual leave roster"
LOST_AT: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)  # when admission found that submissions had expired unread


@dataclass(slots=True, kw_only=True)
class Case:
    """A document of a tenant of its own, twice published and found, and the request that is explained."""

    replica: AnsweringApi
    tenant: TenantId
    document: DocumentId
    headers: Mapping[str, str]
    body: dict[str, Any] = field(default_factory=lambda: {"query": QUESTION})
    profile: dict[str, Any] = field(default_factory=dict)
    crowded: bool = False

    @classmethod
    async def open(cls, replica: AnsweringApi, tenant: TenantId) -> "Case":
        """Make the tenant, the document and an administrator's key."""
        await replica.api.tenant(tenant)
        for text in ("an older text", TEXT):
            document = await replica.publish("policy.md", text, tenant=tenant, access=ALL_STAFF)
        return cls(replica=replica, tenant=tenant, document=document, headers=await replica.api.key(tenant=tenant))

    def change_head(self, **changes: Any) -> None:
        """Let the replica read another head, unless there is none any more."""
        heads = self.replica.api.heads.documents
        if (self.tenant, self.document) in heads:
            heads[self.tenant, self.document] = replace(heads[self.tenant, self.document], **changes)

    async def report(self, outcome: ProgressOutcome, **fields: Any) -> None:
        """Record what both stores reported of the newest revision."""
        event = replace(
            golden(DocumentProgressed, "failed"),
            tenant_id=self.tenant,
            document_id=self.document,
            revision=Revision(2),
            generation=G1,
            outcome=outcome,
            **fields,
        )
        progress = self.replica.api.documents.progress
        for step in [step for step in progress if step[1] == self.document]:
            del progress[step]  # a revision ends in one way
        await self.replica.api.documents.record_progress([replace(event, store=store) for store in Store])

    async def record(self, **fields: Any) -> None:
        """Record the newest state in the read model: reports are read beside it."""
        state = replace(
            golden(DocumentChanged, "upserted"),
            tenant_id=self.tenant,
            document_id=self.document,
            revision=Revision(2),
            **fields,
        )
        await self.replica.api.documents.record_states(
            [(state, Position(topic="rag.documents.changed", partition=3, offset=41))]
        )

    async def explain(self) -> httpx.Response:
        """Ask why."""
        record = RetrievalProfile(**{"vector_weight": 0.0, "rerank_candidates": 10, **self.profile})
        await self.replica.api.put(DirectoryKind.RETRIEVAL_PROFILE, "default", record, tenant=self.tenant)
        return await self.replica.api.client.post(
            f"/v1/documents/{self.document}/explain", json=self.body, headers=dict(self.headers)
        )


Mishap: TypeAlias = Callable[[Case], Awaitable[None]]


async def never_submitted(case: Case) -> None:
    case.replica.api.heads.documents.pop((case.tenant, case.document), None)


async def undecided(case: Case) -> None:
    await never_submitted(case)
    case.replica.api.backlogs.waiting["admit"] = 12


async def expired_unread(case: Case) -> None:
    await never_submitted(case)
    await lose_unread(case)


async def lose_unread(case: Case, *, partition: int = 3, topic: str = "rag.documents.submitted") -> EventParked:
    """Record that submissions expired before admission had read them, in the document's partition unless told."""
    letter = replace(
        golden(EventParked, "decoded"),
        origin=Position(topic=topic, partition=partition, offset=len(case.replica.api.documents.parked)),
        stage="admit",
        error=SUBMISSIONS_EXPIRED,
        parked_at=LOST_AT,
        tenant_id=None,
        document_id=None,
        revision=None,
    )
    await case.replica.api.documents.record_parked([letter])
    return letter


async def refused(case: Case) -> None:
    await never_submitted(case)
    await refuse_newest(case)


async def refuse_newest(case: Case) -> None:
    """Record that admission refused the newest submission, whatever was admitted before."""
    refusal = RefusedSubmission(
        tenant_id=case.tenant,
        document_id=case.document,
        action="documents.put",
        actor=Principal("user:ada"),
        reason="quota_documents",
        detail="the tenant has room for 5 documents",
        refused_at=datetime(2026, 3, 2, tzinfo=UTC),
    )
    await case.replica.api.documents.record_refusals([refusal])


async def deleted(case: Case) -> None:
    case.change_head(op=DocumentOp.DELETED)


async def expired(case: Case) -> None:
    case.replica.api.directory.entries.pop((case.tenant, DirectoryKind.KNOWLEDGE_BASE, "handbook"), None)


async def replica_behind(case: Case) -> None:
    case.change_head(directory_position=1_000_000)


async def superseded(case: Case) -> None:
    case.body["revision"] = 1


async def parked(case: Case) -> None:
    case.change_head(complete={})
    await case.record()
    await case.report(ProgressOutcome.FAILED, stage="prepare", error="UnreadableFileError", reason="content: not a PDF")


async def waiting(case: Case) -> None:
    case.change_head(complete={})
    case.replica.api.backlogs.waiting["prepare"] = 17


async def hidden(case: Case) -> None:
    case.change_head(access=for_only("user:bob"))


async def filtered_out(case: Case) -> None:
    case.body["filters"] = {"field": "attributes.status", "equals": "final"}


async def empty(case: Case) -> None:
    await _lose_rows(case)
    await case.record()
    await case.report(ProgressOutcome.COMPLETE, rows=0, stage=None, error=None, reason=None)


async def rows_missing(case: Case) -> None:
    await _lose_rows(case)


async def below_depth(case: Case) -> None:
    await _competitors(case)
    case.profile |= {"candidates": 2, "rerank_candidates": 2, "context_passages": 2}


async def lost_in_fusion(case: Case) -> None:
    await _competitors(case)
    case.profile |= {"rerank_candidates": 2, "context_passages": 2}


async def reranked_out(case: Case) -> None:
    await case.replica.publish("best.md", BETTER, tenant=case.tenant)
    case.profile["context_passages"] = 1


async def cut_by_budget(case: Case) -> None:
    await case.replica.publish("long.md", BETTER + " x" * 100, tenant=case.tenant)
    case.profile["context_tokens"] = 30


async def found(case: Case) -> None:
    """Nothing happens."""


# In the order of the way: of two mishaps the one that stands first here is the verdict.
MISHAPS: Final[Mapping[Mishap, Cause]] = {
    refused: Cause.REFUSED,
    undecided: Cause.WAITING,
    never_submitted: Cause.NEVER_SUBMITTED,
    expired_unread: Cause.NEVER_SUBMITTED,
    deleted: Cause.DELETED,
    replica_behind: Cause.WAITING,
    expired: Cause.EXPIRED,
    hidden: Cause.HIDDEN,
    superseded: Cause.SUPERSEDED,
    parked: Cause.PARKED,
    waiting: Cause.WAITING,
    empty: Cause.EMPTY,
    rows_missing: Cause.ROWS_MISSING,
    filtered_out: Cause.FILTERED_OUT,
    below_depth: Cause.BELOW_DEPTH,
    lost_in_fusion: Cause.LOST_IN_FUSION,
    reranked_out: Cause.RERANKED_OUT,
    cut_by_budget: Cause.CUT_BY_BUDGET,
    found: Cause.FOUND,
}


async def _lose_rows(case: Case) -> None:
    for index in (case.replica.vectors, case.replica.keywords):
        await index.remove_older(case.tenant, case.document, than=Revision(3))


async def _competitors(case: Case) -> None:
    if case.crowded:
        return  # published once more, their older rows would be refused and the question would go deeper
    case.crowded = True
    for number in range(12):
        await case.replica.publish(f"better {number}", BETTER, tenant=case.tenant)


async def verdict_of(case: Case, *happened: Mishap) -> dict[str, Any]:
    """Return the explanation once all of it has happened."""
    for mishap in happened:
        await mishap(case)
    response = await case.explain()
    assert response.status_code == 200, response.text
    explained: dict[str, Any] = response.json()
    return explained
