"""Documents, what stores hold of them, and their disagreements, for tests of the audit."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st

from headwater.access.policies import Policy, policy_of
from headwater.audit.judging import Horizon, LoggedDocument, StoreReports
from headwater.ports.consistency import Holding, Projection
from schemas.events.base import Store
from schemas.events.documents import DocumentOp
from schemas.ids import DocumentId, Revision, SourceId, TenantId

ACME, RIVAL = TenantId("acme"), TenantId("rival")
EVERYBODY, FEW = policy_of(["everyone"], ["everyone"]), policy_of(["user:ann"], ["user:ann"])
OLD_MS, YOUNG_MS, NOW_MS = 0, 9_990_000, 10_000_000
HORIZON = Horizon(now_ms=NOW_MS, grace_ms=60_000, removal_ms=45_000, behind=False)
ROWS = 4


def logged(number: int = 1, *, revision: int = 7, **changes: object) -> LoggedDocument:
    """A document that both stores reported complete long ago."""
    document = LoggedDocument(
        tenant_id=ACME,
        document_id=document_named(number),
        source=SourceId("files"),
        external_id=f"{number}.md",
        revision=Revision(revision),
        op=DocumentOp.UPSERTED,
        policy=EVERYBODY,
        admitted_ms=OLD_MS,
        reports=dict.fromkeys(Store, StoreReports(complete=Revision(revision), rows=ROWS, reported_ms=OLD_MS)),
    )
    return replace(document, **changes)  # type: ignore[arg-type] # a test names fields as it needs them


def document_named(number: int) -> DocumentId:
    """An id; ids of neighbouring numbers lie far apart."""
    return DocumentId(f"{number * 0x9E3779B97F4A7C15F39CC0605CEDC834 % (1 << 128):032x}")


def held_of(
    document: LoggedDocument, *, revision: int | None = None, rows: int = ROWS, policy: Policy | None = None
) -> Holding:
    """What a store that agrees holds of a document, but for what a test names."""
    return Holding(
        tenant_id=document.tenant_id,
        document_id=document.document_id,
        revision=document.revision if revision is None else Revision(revision),
        rows=rows,
        policy=document.policy if policy is None else policy,
    )


def all_of(documents: Sequence[LoggedDocument]) -> dict[Projection, list[Holding]]:
    """What all projections hold when they agree."""
    live = [each for each in documents if each.op is DocumentOp.UPSERTED]
    return {
        Projection.VECTORS: [held_of(each) for each in live],
        Projection.KEYWORDS: [held_of(each) for each in live],
        Projection.DOCUMENTS: [held_of(each, rows=1) for each in documents],
    }


populations = st.sets(st.integers(1, 10_000), max_size=60).map(lambda found: [logged(each) for each in sorted(found)])
