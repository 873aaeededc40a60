"""Metrics, alerts, dashboard and runbooks name each other, and nothing that does not exist."""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from headwater.local.ports import FIRST_MANAGEMENT_PORT, MANAGED

ROOT: Final = Path(__file__).parents[2]
METRICS_FILE: Final = ROOT / "headwater/telemetry/metrics.py"
OBSERVABILITY: Final = ROOT / "deploy/observability"
RUNBOOKS: Final = ROOT / "docs/runbooks"

SUFFIXES: Final = {"Counter": ("",), "Gauge": ("",), "Histogram": ("_bucket", "_sum", "_count")}
# What Prometheus and its Python client add by themselves.
FOREIGN: Final = {"up": frozenset[str](), "process_start_time_seconds": frozenset[str]()}
SCRAPE_LABELS: Final = frozenset({"job", "instance", "process"})
FUNCTIONS: Final = frozenset(
    {
        "and",
        "sum",
        "max",
        "by",
        "rate",
        "increase",
        "changes",
        "min_over_time",
        "max_over_time",
        "time",
        "bool",
        "histogram_quantile",
        "ignoring",
        "group_left",
    }
)
# Labels are closed sets. These would be as many as there are customers, documents or people.
OPEN_SETS: Final = frozenset(
    {"tenant", "tenant_id", "document", "document_id", "user", "source", "query", "key", "path", "url", "reason_text"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    name: str
    kind: str
    labels: frozenset[str]
    comment: str  # of the lines right above its declaration


def declared() -> tuple[Metric, ...]:
    lines = METRICS_FILE.read_text().splitlines()
    return tuple(
        _metric(node.value, _comment_above(lines, node.lineno))
        for node in ast.parse(METRICS_FILE.read_text()).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
    )


def _metric(call: ast.Call, comment: str) -> Metric:
    assert isinstance(call.func, ast.Name)
    name = ast.literal_eval(call.args[0])
    labels = frozenset(ast.literal_eval(call.args[2])) if len(call.args) > 2 else frozenset[str]()
    return Metric(name=name, kind=call.func.id, labels=labels, comment=comment)


def _comment_above(lines: list[str], line: int) -> str:
    found: list[str] = []
    for text in reversed(lines[: line - 1]):
        if not text.startswith("#"):
            break
        found.insert(0, text.removeprefix("#").strip())
    return " ".join(found)


METRICS: Final = declared()
SAMPLES: Final[Mapping[str, frozenset[str]]] = FOREIGN | {
    metric.name + suffix: metric.labels | ({"le"} if suffix == "_bucket" else set())
    for metric in METRICS
    for suffix in SUFFIXES[metric.kind]
}


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((OBSERVABILITY / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    dashboard = json.loads((OBSERVABILITY / "dashboard.json").read_text())
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def faults(expression: str) -> list[str]:
    """Return what a PromQL expression names that no process of ours exposes."""
    bare = re.sub(r'"[^"]*"', '""', expression).replace("$__rate_interval", "1m")
    selectors = re.findall(r"\{([^}]*)\}", bare)
    groupings = re.findall(r"\b(?:by|ignoring)\s*\(([^)]*)\)", bare)
    outside = re.sub(r"\{[^}]*\}|\b(?:by|ignoring)\s*\([^)]*\)|\[[^\]]*\]", " ", bare)
    names = set(re.findall(r"\b[a-z_]\w*", outside)) - FUNCTIONS
    known = {label for name in names & SAMPLES.keys() for label in SAMPLES[name]} | SCRAPE_LABELS
    labels = {label for part in (*selectors, *groupings) for label in re.findall(r"\b[a-z_]\w*", part)}
    problems = [f"metric {name}" for name in sorted(names - SAMPLES.keys())]
    problems += [f"label {label}" for label in sorted(labels - known)]
    if any(bare.count(opening) != bare.count(closing) for opening, closing in ("()", "{}", "[]")):
        problems.append("brackets")
    return problems


def runbooks_named(text: str) -> Iterator[str]:
    for name in re.findall(r"runbook ([a-z-]+)", text):
        yield f"docs/runbooks/{name}.md"
    yield from re.findall(r"docs/[\w/-]+\.md", text)


def test_metrics_are_found() -> None:
    assert len(METRICS) > 15


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_metric_says_what_to_do_and_has_closed_labels(metric: Metric) -> None:
    assert metric.name.startswith("headwater_")
    assert metric.name.endswith("_total") is (metric.kind == "Counter")
    assert len(metric.comment) > 40, "say right above it what to do when it moves"
    assert metric.labels & OPEN_SETS == set()
    assert [name for name in runbooks_named(metric.comment) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_names_metrics_that_exist_and_its_runbook(rule: dict[str, Any]) -> None:
    assert re.fullmatch(r"Headwater[A-Z]\w+", rule["alert"])
    assert faults(rule["expr"]) == []
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"]
    runbook = ROOT / rule["annotations"]["runbook"]
    assert runbook.parent == RUNBOOKS
    assert runbook.exists()
    assert f"`{rule['alert']}`" in runbook.read_text(), "the runbook's symptom names the alert"
    assert rule["alert"] in (RUNBOOKS / "README.md").read_text()


def test_alerts_have_names_of_their_own() -> None:
    names = [rule["alert"] for rule in alerts()]
    assert len(names) == len(set(names))


def test_every_runbook_belongs_to_an_alert_and_is_complete() -> None:
    named = {ROOT / rule["annotations"]["runbook"] for rule in alerts()}
    written = {path for path in RUNBOOKS.glob("*.md") if path.name != "README.md"}
    assert written == named
    for path in written:
        text = path.read_text()
        assert all(re.search(rf"^## {part}", text, re.MULTILINE) for part in ("Symptom", "Checks", "Action")), path.name


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_a_panel_names_metrics_that_exist(panel: dict[str, Any]) -> None:
    assert [faults(target["expr"]) for target in panel["targets"]] == [[] for _ in panel["targets"]]
    assert [name for name in runbooks_named(panel["description"]) if not (ROOT / name).exists()] == []


def test_every_metric_is_on_the_dashboard() -> None:
    shown = " ".join(target["expr"] for panel in panels() for target in panel["targets"])
    missing = [metric.name for metric in METRICS if metric.name not in shown]
    assert missing == [], "add a panel to deploy/observability/dashboard.json"


def test_every_process_is_scraped() -> None:
    [job] = yaml.safe_load((OBSERVABILITY / "prometheus.yml").read_text())["scrape_configs"]
    scraped = {entry["labels"]["process"]: entry["targets"] for entry in job["static_configs"]}
    assert scraped == {name: [f"127.0.0.1:{FIRST_MANAGEMENT_PORT + nth}"] for nth, name in enumerate(MANAGED)}, (
        "deploy/observability/prometheus.yml lists the processes of headwater/local/ports.py"
    )


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("rate(headwater_events_parkd_total[5m]) > 0", "metric headwater_events_parkd_total"),
        ("sum by (tenant) (rate(headwater_events_parked_total[5m]))", "label tenant"),
        ('rate(headwater_queries_total{status="500"}[5m])', "label status"),
        ("histogram_quantile(0.95, rate(headwater_freshness_seconds[5m]))", "metric headwater_freshness_seconds"),
        ("sum(rate(headwater_queries_total[5m])", "brackets"),
    ],
)
def test_the_check_of_expressions_bites(expression: str, fault: str) -> None:
    assert faults(expression) == [fault]
