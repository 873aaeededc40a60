"""Connectors go out by the egress client: none imports an HTTP client or a socket of its own."""

import ast
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
CONNECTORS: Final = sorted((ROOT / "connectors").rglob("*.py"))
WAYS_OUT: Final = frozenset(
    {"aiohttp", "ftplib", "http.client", "httpcore", "httpx", "requests", "socket", "urllib.request", "urllib3"}
)


def ways_out(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in found if any(name == way or name.startswith(f"{way}.") for way in WAYS_OUT)]


@pytest.mark.parametrize("path", CONNECTORS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_connector_has_no_way_out_of_its_own(path: Path) -> None:
    assert ways_out(path.read_text()) == [], "use headwater/clients/egress"


@pytest.mark.parametrize(
    "line", ["import httpx", "from urllib import request", "from http.client import HTTPSConnection"]
)
def test_the_check_bites(line: str) -> None:
    assert ways_out(line)
