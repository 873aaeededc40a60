from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.credentials import ServerSecret
from query_api.retrieval.query_ids import QueryIdError, QuerySigner
from schemas.ids import TenantId

ACME = TenantId("acme")
NOW = datetime(2026, 11, 21, 12, 0, 0, 123_000, tzinfo=UTC)
SIGNER = QuerySigner(ServerSecret(b"k" * 32))


def test_the_caller_who_asked_is_recognised() -> None:
    assert SIGNER.verify(SIGNER.sign(ACME, "ann", now=NOW), ACME, "ann") == NOW


@pytest.mark.parametrize(("tenant", "user"), [("acme", "bob"), ("other", "ann"), ("acm", "eann")])
def test_nobody_else_is(tenant: str, user: str) -> None:
    with pytest.raises(QueryIdError):
        SIGNER.verify(SIGNER.sign(ACME, "ann", now=NOW), TenantId(tenant), user)


def test_another_installation_cannot_sign() -> None:
    forged = QuerySigner(ServerSecret(b"x" * 32)).sign(ACME, "ann", now=NOW)
    with pytest.raises(QueryIdError):
        SIGNER.verify(forged, ACME, "ann")


@given(st.text(max_size=60))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(QueryIdError, match="query_id:"):
        SIGNER.verify(text, ACME, "ann")


def test_two_queries_have_two_ids() -> None:
    assert SIGNER.sign(ACME, "ann", now=NOW) != SIGNER.sign(ACME, "ann", now=NOW)
