"""Alerts that look at a window, evaluated on series that somebody thought out: `promtool test rules` reads the same."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.support.promql import Labels, Series, evaluate, firing, seconds

FOLDER: Final = Path(__file__).parents[2] / "deploy/observability"
TESTS: Final = yaml.safe_load((FOLDER / "alerts_test.yml").read_text())
_SERIES: Final = re.compile(r"(\w+)\{(.*)\}")
_STRETCH: Final = re.compile(r"(-?\d+)(?:([+-]\d+)x(\d+))?")
_ABSENT: Final = re.compile(r"_x(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One alert at one instant of one story."""

    story: str
    series: tuple[Series, ...]
    alert: str
    at_s: float
    expected: frozenset[Labels]


def rules() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def values(text: str) -> Iterator[float | None]:
    """Yield the samples that promtool reads of `_x3 0+2x30 60`: none so often; a start, a step, how many more."""
    for part in text.split():
        if absent := _ABSENT.fullmatch(part):
            yield from (None for _ in range(int(absent[1])))
            continue
        found = _STRETCH.fullmatch(part)
        assert found, part
        start, step, more = int(found[1]), int(found[2] or 0), int(found[3] or 0)
        yield from (float(start + step * number) for number in range(more + 1))


def series_of(entry: dict[str, str], interval_s: float) -> Series:
    found = _SERIES.fullmatch(entry["series"])
    assert found, entry
    labels = frozenset(re.findall(r'(\w+)="([^"]*)"', found[2]))
    told = enumerate(values(entry["values"]))
    samples = tuple((number * interval_s, value) for number, value in told if value is not None)
    return Series(name=found[1], labels=labels, samples=samples)


def cases() -> Iterator[Case]:
    for test in TESTS["tests"]:
        series = tuple(series_of(entry, seconds(test["interval"])) for entry in test["input_series"])
        for asked in test["alert_rule_test"]:
            yield Case(
                story=test["name"],
                series=series,
                alert=asked["alertname"],
                at_s=seconds(asked["eval_time"]),
                expected=frozenset(frozenset(each["exp_labels"].items()) for each in asked["exp_alerts"]),
            )


@pytest.mark.parametrize("case", list(cases()), ids=lambda case: f"{case.alert}@{case.at_s:g}: {case.story}")
def test_an_alert_fires_when_it_should_and_only_then(case: Case) -> None:
    rule = rules()[case.alert]
    found = firing(
        rule["expr"],
        seconds(rule.get("for", "0s")),
        case.series,
        at_s=case.at_s,
        every_s=seconds(TESTS["evaluation_interval"]),
    )
    severity = ("severity", rule["labels"]["severity"])
    assert {labels | {severity} for labels in found} == case.expected


def test_each_of_them_is_seen_to_fire_and_to_be_silent() -> None:
    with_a_window = {name for name in rules() if re.search("Burns|Canary|Hidden|Expired|SyncFailed", name)}
    by_alert: dict[str, set[bool]] = {}
    for case in cases():
        by_alert.setdefault(case.alert, set()).add(bool(case.expected))
    assert by_alert == {name: {True, False} for name in with_a_window}


def test_what_the_summaries_say_is_what_promtool_would_print() -> None:
    for test in TESTS["tests"]:
        for asked in test["alert_rule_test"]:
            annotations = rules()[asked["alertname"]]["annotations"]
            for alert in asked["exp_alerts"]:
                told = alert["exp_annotations"]
                parts = re.split(r"\{\{[^}]*\}\}", annotations["summary"])
                assert re.fullmatch(".+".join(map(re.escape, parts)), told["summary"])
                assert told["runbook"] == annotations["runbook"]


STEADY: Final = Series(
    name="edits_total",
    labels=frozenset({("lane", "live"), ("process", "a")}),
    samples=tuple((15.0 * number, 3.0 * number) for number in range(41)),
)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("increase(edits_total[5m])", 60.0),
        ("rate(edits_total[5m])", 0.2),
        ('sum(increase(edits_total{lane=~"live|bulk"}[1m])) / sum(increase(edits_total{process="a"}[2m]))', 0.5),
        ("sum(rate(edits_total[5m])) > 2 * 0.05", 0.2),
        ("max(max_over_time(edits_total[5m])) > time() - 500", 120.0),
        ("max by (lane) (max_over_time(edits_total[1m])) - 2 * 10", 100.0),
    ],
)
def test_the_evaluator_reckons_as_prometheus_does(expression: str, value: float) -> None:
    assert list(evaluate(expression, [STEADY], at_s=600.0).values()) == [pytest.approx(value)]


@pytest.mark.parametrize(
    "expression",
    [
        'sum(rate(edits_total{lane="bulk"}[5m]))',
        "rate(edits_total[5m]) > 1",
        "rate(edits_total[10s]) > 0",
        "max(max_over_time(edits_total[5m])) > time() - 400",
    ],
)
def test_the_evaluator_sees_nothing_where_there_is_nothing(expression: str) -> None:
    assert evaluate(expression, [STEADY], at_s=600.0) == {}


@pytest.mark.parametrize(
    "expression", ["avg(edits_total)", 'rate(edits_total{lane!="x"}[5m])', "rate(edits_total[5m])]"]
)
def test_what_the_evaluator_does_not_know_it_does_not_guess(expression: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each in words of its own
        evaluate(expression, [STEADY], at_s=600.0)
