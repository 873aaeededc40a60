"""Milvus expressions: no text ever becomes syntax, and nothing that a filter admits is left out."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.clients.milvus.expressions import ABSENT, UnfoldableTextError, folded, literal, render
from headwater.ports.rows import AllOf, AnyOf, Between, Equals, Not, OneOf, Scope
from headwater.rows.conditions import filter_condition, scope_condition
from tests.support.filters import scopes
from tests.support.rows import scope_of

LITERAL = re.compile(r'"[A-Za-z0-9 :/@#=+,;()_.~%-]*"')
# What an expression may consist of besides literals: names of our own fields, our operators, our punctuation.
SYNTAX = re.compile(
    r"(?:array_contains_any|tenant_id|readers_second|readers|facets|spans|knowledge_base|source|media_type|language"
    r"|document_id|external_id|and|or|not|in|>=|<=|[()\[\], ])*"
)


@given(st.text())
def test_a_literal_cannot_be_left(text: str) -> None:
    assert LITERAL.fullmatch(literal(text))


@given(st.text(), st.text())
def test_distinct_texts_stay_distinct_and_none_is_absent(one: str, other: str) -> None:
    assert (folded(one) == folded(other)) == (one == other)
    assert folded(one) != ABSENT


@given(scopes)
def test_outside_literals_there_is_only_our_own_syntax(scope: Scope) -> None:
    expression = render(scope_condition(scope))
    if isinstance(expression, str):
        assert SYNTAX.fullmatch(LITERAL.sub("", expression))


def test_a_scope_is_always_part_of_the_expression() -> None:
    expression = render(scope_condition(scope_of()))
    assert expression == (
        '(tenant_id in ["acme"] and array_contains_any(readers, ["everyone", "user:ann"])'
        ' and array_contains_any(readers_second, ["everyone", "user:ann"]))'
    )


def test_a_scope_that_admits_nothing_asks_nothing() -> None:
    assert render(scope_condition(scope_of(knowledge_bases=()))) is False
    assert render(scope_condition(scope_of(where=AnyOf(())))) is False


@pytest.mark.parametrize(
    ("where", "expression"),
    [
        (Not(Equals("source", "a")), 'source not in ["a"]'),
        (Not(OneOf("source", ())), True),
        (Not(Equals("attributes.a", "x")), True),
        (Not(Between("attributes.a", 1, None)), True),
        (
            Not(AnyOf((Equals("source", "a"), Equals("language", "b")))),
            '(source not in ["a"] and language not in ["b"])',
        ),
        (Not(AllOf((Equals("source", "a"), Equals("attributes.a", "x")))), True),
        (AnyOf((Equals("source", "a"), Not(Equals("attributes.a", "x")))), True),
        (Not(Not(Equals("source", "a"))), 'source in ["a"]'),
        (AllOf(()), True),
    ],
)
def test_what_milvus_cannot_say_is_left_out_and_never_a_loss(where: Not, expression: str | bool) -> None:
    assert render(filter_condition(where)) == expression


def test_text_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(UnfoldableTextError):
        literal("\ud800")
