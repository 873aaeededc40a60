from dataclasses import replace

import pytest

from headwater.access.gate import GateView, Verdict, judge_document, judge_row
from headwater.ports.heads import Head
from schemas.events.base import Store
from schemas.events.documents import NOBODY, Access, Clause, DocumentOp
from schemas.ids import (
    EVERYONE,
    DocumentId,
    GenerationName,
    KnowledgeBaseId,
    Principal,
    Revision,
    SourceId,
    TenantId,
)

G1 = GenerationName("g1")
HEAD = Head(
    tenant_id=TenantId("acme"),
    document_id=DocumentId("d" * 32),
    knowledge_base=KnowledgeBaseId("handbook"),
    source=SourceId("files"),
    revision=Revision(9),
    op=DocumentOp.UPSERTED,
    access=Access(clauses=(Clause(principals=(EVERYONE,)),)),
    directory_position=5,
    complete={(G1, Store.VECTORS): Revision(8), (G1, Store.KEYWORDS): Revision(9)},
)
VIEW = GateView(
    tenant=TenantId("acme"),
    principals=frozenset({EVERYONE, Principal("user:ann")}),
    directory_position=5,
    container_exists=lambda _: True,
)


@pytest.mark.parametrize(
    ("head", "view", "verdict"),
    [
        (HEAD, VIEW, Verdict.ADMITTED),
        (None, VIEW, Verdict.UNKNOWN),
        (replace(HEAD, tenant_id=TenantId("other")), VIEW, Verdict.UNKNOWN),
        (replace(HEAD, op=DocumentOp.DELETED), VIEW, Verdict.DELETED),
        (replace(HEAD, directory_position=6), VIEW, Verdict.DIRECTORY_BEHIND),
        (HEAD, replace(VIEW, container_exists=lambda _: False), Verdict.CONTAINER_GONE),
        (replace(HEAD, access=NOBODY), VIEW, Verdict.FORBIDDEN),
    ],
)
def test_the_first_reason_is_named(head: Head | None, view: GateView, verdict: Verdict) -> None:
    assert judge_document(head, view) is verdict
    assert judge_row(head, view, revision=Revision(9), store=Store.KEYWORDS, generation=G1) is verdict


@pytest.mark.parametrize(
    ("revision", "store", "verdict"),
    [
        (9, Store.KEYWORDS, Verdict.ADMITTED),
        (8, Store.KEYWORDS, Verdict.OUTDATED),
        (8, Store.VECTORS, Verdict.ADMITTED),
        (9, Store.VECTORS, Verdict.OUTDATED),  # written, not yet reported complete
        (10, Store.KEYWORDS, Verdict.HEAD_BEHIND),
    ],
)
def test_only_the_newest_complete_revision_of_a_store_passes(revision: int, store: Store, verdict: Verdict) -> None:
    assert judge_row(HEAD, VIEW, revision=Revision(revision), store=store, generation=G1) is verdict


def test_a_complete_revision_waits_for_its_own_rule() -> None:
    """Its report was read before it: the rule that is known is an older revision's."""
    ahead = replace(HEAD, complete={(G1, Store.KEYWORDS): Revision(10)})
    judged = judge_row(ahead, VIEW, revision=Revision(10), store=Store.KEYWORDS, generation=G1)
    assert judged is Verdict.HEAD_BEHIND


def test_a_row_of_another_generation_does_not_pass() -> None:
    judged = judge_row(HEAD, VIEW, revision=Revision(9), store=Store.KEYWORDS, generation=GenerationName("g2"))
    assert judged is Verdict.OUTDATED
