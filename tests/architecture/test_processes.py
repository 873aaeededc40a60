"""What every process of ours does first, and what every line of ours may log."""

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest

from headwater.telemetry.attributes import ALLOWED

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = {
    "schemas": ROOT / "schemas",
    "headwater": ROOT / "headwater",
    "connectors": ROOT / "connectors",
    "streams": ROOT / "streams",
    "query_api": ROOT / "query-api/query_api",
}
MAINS: Final = (
    "streams/__main__.py",
    "connectors/__main__.py",
    "query-api/query_api/__main__.py",
    "headwater/heads/__main__.py",
)
FIRST: Final = ["configure_logging", "configure_tracing", "configure_codec"]
CANARY: Final = "headwater/canary/__main__.py"  # a caller: it reads and writes no events

LEVELS: Final = frozenset({"debug", "info", "warning", "error", "exception", "critical"})
BINDERS: Final = frozenset({"bound_contextvars", "bind_contextvars"})
# Not attributes: what `span` itself and the logger take.
ARGUMENTS: Final = frozenset({"headers", "exc_info"})


@pytest.mark.parametrize("package", PACKAGES)
def test_our_package_names_resolve_to_this_checkout(package: str) -> None:
    spec = find_spec(package)
    assert spec is not None
    assert [Path(place) for place in spec.submodule_search_locations or ()] == [PACKAGES[package]]


@pytest.mark.parametrize("main", MAINS)
def test_a_process_sets_up_logs_traces_and_codec_first(main: str) -> None:
    called = [
        (node.lineno, node.func.id)
        for node in ast.walk(ast.parse((ROOT / main).read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FIRST
    ]
    assert [name for _, name in sorted(called)] == FIRST


def test_the_canary_sets_up_logs_and_traces_first_and_knows_the_api_alone() -> None:
    calls = [node for node in ast.walk(ast.parse((ROOT / CANARY).read_text())) if isinstance(node, ast.Call)]
    named = sorted((node.lineno, node.func.id) for node in calls if isinstance(node.func, ast.Name))
    assert [name for _, name in named if name in FIRST] == FIRST[:2]
    imported = {
        module
        for path in (ROOT / "headwater/canary").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (module := node.module or "").startswith("headwater.clients")
    }
    assert imported == {"headwater.clients.kafka.murmur2"}, "the partitioner is arithmetic; all else is asked"


def leaks(source: str) -> list[str]:
    """Return the calls that log or trace anything but named, allowlisted values, as `line: what`."""
    tree = ast.parse(source)
    loggers = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and _called(node.value) == "get_logger"
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return [
        f"{call.lineno}: {fault}"
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        for fault in _faults(call, loggers)
    ]


def _called(node: ast.expr) -> str | None:
    if not isinstance(node, ast.Call):
        return None
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return None


def _faults(call: ast.Call, loggers: set[str]) -> Iterator[str]:
    match call.func:
        case ast.Attribute(attr=level, value=ast.Name(id=name)) if level in LEVELS and name in loggers:
            yield from _event_faults(call)
            yield from _field_faults(call)
        case ast.Name(id="span"):
            yield from _field_faults(call)
        case ast.Attribute(attr="set_attribute"):
            name_of = call.args[0]
            if not isinstance(name_of, ast.Constant) or name_of.value not in ALLOWED:
                yield f"attribute {ast.unparse(name_of)}"
        case ast.Name(id=binder) | ast.Attribute(attr=binder) if binder in BINDERS:
            yield from _field_faults(call)
        case _:
            return


def _event_faults(call: ast.Call) -> Iterator[str]:
    match call.args:
        case [ast.Constant(value=str(event))] if event.isidentifier():
            return
    yield "an event is one name in quotes; what varies is a field"


def _field_faults(call: ast.Call) -> Iterator[str]:
    for keyword in call.keywords:
        if keyword.arg is None:
            yield "fields are written out, never **"
        elif keyword.arg not in ALLOWED | ARGUMENTS:
            yield f"field {keyword.arg}"
        elif isinstance(keyword.value, ast.JoinedStr) or _called(keyword.value) in {"str", "repr"}:
            yield f"field {keyword.arg} is made-up text: errors are named by their class"


def test_only_allowlisted_names_are_logged_and_traced() -> None:
    sources = [path for folder in PACKAGES.values() for path in sorted(folder.rglob("*.py"))]
    assert len(sources) > 100
    assert [f"{path.relative_to(ROOT)}:{fault}" for path in sources for fault in leaks(path.read_text())] == []


@pytest.mark.parametrize(
    "line",
    [
        "log.info('seen', title=title)",
        "log.info(f'seen {title}')",
        "log.warning('refused', reason=str(error))",
        "log.warning('refused', **fields)",
        "log.error('failed', error=f'{error}')",
        "span('search', question=question)",
        "current.set_attribute('question', question)",
        "structlog.contextvars.bind_contextvars(api_key=key)",
    ],
)
def test_the_check_of_log_lines_bites(line: str) -> None:
    assert len(leaks(f"log = structlog.get_logger(__name__)\n{line}\n")) == 1
