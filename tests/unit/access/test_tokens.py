import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.access.scope import TooManyPrincipalsError, store_scope
from headwater.access.tokens import TokenError, decode_token, encode_token, merge_tokens
from schemas.ids import Principal, TenantId

positions = st.dictionaries(
    st.sampled_from(["rag.documents.submitted", "rag.directory.submitted"]),
    st.dictionaries(st.integers(0, 200), st.integers(0, 2**62), min_size=1, max_size=4),
)


@given(positions)
def test_a_token_says_what_was_written(written: dict[str, dict[int, int]]) -> None:
    assert decode_token(encode_token(written)) == written


@given(st.text(max_size=60))
def test_anything_else_is_refused_clearly(text: str) -> None:
    try:
        decode_token(text)
    except TokenError as error:
        assert "after:" in str(error)  # noqa: PT017 - most texts raise, a few are tokens by chance


@pytest.mark.parametrize("wrong", ["", "%%%", "W10", "eyJhIjoxfQ", "x" * 5_000])
def test_known_bad_tokens(wrong: str) -> None:
    with pytest.raises(TokenError, match="after:"):
        decode_token(wrong)


@pytest.mark.parametrize(
    "written",
    [
        '{"t":{"-1":1}}',
        '{"t":{"0":-1}}',
        '{"t":{"0":1.5}}',
        '{"t":{"0":true}}',
        '{"t":{"0":"1"}}',
        '{"t":{"0":1e400}}',
        f'{{"t":{{"0":{2**63}}}}}',
        "[" * 3_000,
    ],
)
def test_what_is_no_position_is_not_waited_for(written: str) -> None:
    with pytest.raises(TokenError, match="after:"):
        decode_token(base64.urlsafe_b64encode(written.encode()).decode())


@given(positions, positions)
def test_a_merged_token_implies_both(first: dict[str, dict[int, int]], second: dict[str, dict[int, int]]) -> None:
    merged = merge_tokens(first, second)
    for token in (first, second):
        for topic, parts in token.items():
            assert all(merged[topic][partition] >= offset for partition, offset in parts.items())


def test_a_caller_in_too_many_groups_is_refused_with_the_setting() -> None:
    principals = frozenset(Principal(f"group:s:{n}") for n in range(11))
    with pytest.raises(TooManyPrincipalsError, match="HEADWATER_API__MAX_PRINCIPALS"):
        store_scope(tenant=TenantId("acme"), principals=principals, knowledge_bases=None, max_principals=10)


def test_a_caller_without_principals_is_nobody() -> None:
    scope = store_scope(tenant=TenantId("acme"), principals=frozenset(), knowledge_bases=None, max_principals=10)
    assert scope.principals == frozenset()
