import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.access.clauses import ANYONE, MAX_ROW_READERS, AccessRuleError, check_access, permits, row_readers
from schemas.events.documents import NOBODY, Access, Clause
from schemas.ids import EVERYONE, Principal

PRINCIPALS = [Principal(f"user:{n}") for n in range(4)] + [Principal(f"group:hr:{n}") for n in range(3)] + [EVERYONE]
principals = st.sampled_from(PRINCIPALS)
clauses = st.lists(principals, max_size=4).map(lambda found: Clause(principals=tuple(found)))
rules = st.builds(
    Access,
    clauses=st.lists(clauses, max_size=4).map(tuple),
    deny=st.lists(principals, max_size=2).map(tuple),
)


def rule(*clauses: list[str], deny: tuple[str, ...] = ()) -> Access:
    return Access(
        clauses=tuple(Clause(principals=tuple(map(Principal, clause))) for clause in clauses),
        deny=tuple(map(Principal, deny)),
    )


def test_a_document_without_clauses_is_for_nobody() -> None:
    assert not permits(NOBODY, frozenset(PRINCIPALS))
    assert row_readers(NOBODY) == ((), ())


def test_every_clause_must_match() -> None:
    access = rule(["group:hr:1"], ["user:1", "user:2"])
    assert permits(access, {Principal("group:hr:1"), Principal("user:2")})
    assert not permits(access, {Principal("group:hr:1")})


def test_deny_wins() -> None:
    assert not permits(rule(["everyone"], deny=("user:1",)), {EVERYONE, Principal("user:1")})


def test_an_empty_clause_matches_nobody() -> None:
    assert not permits(rule([]), frozenset(PRINCIPALS))


@given(access=rules, held=st.frozensets(principals))
def test_the_readers_of_a_row_are_a_superset_of_the_gate(access: Access, held: frozenset[Principal]) -> None:
    first, second = row_readers(access)
    in_filter = not held.isdisjoint(first) and not held.isdisjoint(second)
    assert in_filter or not permits(access, held)


def test_a_clause_too_large_for_a_row_is_left_to_the_gate() -> None:
    large = [f"user:{n}" for n in range(MAX_ROW_READERS + 1)]
    first, second = row_readers(rule(large, ["group:hr:1"]))
    assert (first, second) == (("group:hr:1",), (ANYONE,))


def test_the_narrowest_clauses_are_carried() -> None:
    assert row_readers(rule(["everyone"], ["user:1", "user:2"], ["group:hr:1"])) == (
        ("group:hr:1",),
        ("user:1", "user:2"),
    )


@pytest.mark.parametrize("wrong", ["", "*", "alice", "user:", "group:hr", "user:a b", "everyone "])
def test_a_malformed_principal_is_named(wrong: str) -> None:
    with pytest.raises(AccessRuleError, match=r"access\.clauses\[1\].*user:ID"):
        check_access(rule(["user:1"], [wrong]))


def test_too_many_clauses_are_refused() -> None:
    with pytest.raises(AccessRuleError, match="at most 32"):
        check_access(rule(*[["user:1"]] * 33))
