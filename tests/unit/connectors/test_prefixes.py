"""Who may read by prefix: every rule on the way down narrows, and one that is none closes what it is about."""

from typing import Any

from connectors.prefixes import PrefixAccess
from headwater.sources.rules import PrefixRules
from schemas.events.documents import NOBODY


def access(**said: Any) -> PrefixAccess:
    return PrefixAccess(rules=PrefixRules.model_validate(said), name="access")


def clauses(of: PrefixAccess, key: str) -> list[tuple[str, ...]]:
    return [tuple(each.principals) for each in of.access(key).clauses]


def test_every_rule_on_the_way_down_narrows_the_shortest_prefix_first() -> None:
    staff, leads, ann = ({"readers": [each]} for each in ("group:hr:staff", "group:hr:leads", "user:ann"))
    of = access(readers=["everyone"], prefixes={"hr/pay": {**ann, "deny": ["user:bob"]}, "hr/": staff, "it/": leads})
    assert clauses(of, "readme") == [("everyone",)]
    assert clauses(of, "hr/plan") == [("everyone",), ("group:hr:staff",)]
    assert clauses(of, "hr/payroll") == [("everyone",), ("group:hr:staff",), ("user:ann",)]
    assert of.access("hr/payroll").deny == ("user:bob",)
    assert clauses(of, "hr") == [("everyone",)]


def test_a_rule_that_does_not_inherit_leaves_out_those_above_it() -> None:
    of = access(
        deny=["user:eve"], readers=["user:ann"], prefixes={"open/": {"readers": ["everyone"], "inherit": False}}
    )
    assert clauses(of, "open/a") == [("everyone",)]
    assert of.access("open/a").deny == ("user:eve",)


def test_nothing_said_is_for_nobody() -> None:
    assert PrefixAccess(rules=None, name="access").access("a") == NOBODY
    assert access().access("a") == NOBODY
    assert access(prefixes={"a": {"readers": ["everyone"]}}).access("b") == NOBODY


def test_a_rule_that_is_none_closes_what_is_below_it_and_is_reported_by_its_prefix() -> None:
    of = access(readers=["everyone"], prefixes={"hr/": {"readers": ["ann"]}, "hr/x": {"readers": ["user:ann"]}})
    assert of.access("hr/a") == of.access("hr/x") == NOBODY
    assert clauses(of, "it/a") == [("everyone",)]
    assert of.broken.keys() == {"hr/"}
    assert str(of.broken["hr/"]).startswith("access: prefixes.hr/: ")
    broken = access(readers=["ann"], prefixes={"hr/": {"readers": ["user:ann"]}})
    assert broken.access("hr/a") == NOBODY
    assert broken.broken.keys() == {""}


def test_what_is_remembered_is_bounded_and_says_the_same(monkeypatch: Any) -> None:
    monkeypatch.setattr("connectors.prefixes._BY_PLACES_KEPT", 2)
    of = access(prefixes={each: {"readers": [f"user:{each}"]} for each in "abcde"})
    for _ in range(2):
        for each in "abcde":
            assert clauses(of, each) == [(f"user:{each}",)]
            assert len(of._known) <= 2
