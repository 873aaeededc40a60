"""HTTP goes out by the egress client. Who has a way out of its own is named here, with the decision that lets it."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
EGRESS: Final = ROOT / "headwater/clients/egress"
FOLDERS: Final = (ROOT / "connectors", ROOT / "headwater/clients")
MODULES: Final = sorted(path for folder in FOLDERS for path in folder.rglob("*.py") if EGRESS not in path.parents)
WAYS_OUT: Final = frozenset(
    {
        "aiohttp",
        "asyncio.create_subprocess_exec",
        "asyncio.create_subprocess_shell",
        "asyncio.open_connection",
        "dulwich.client",
        "ftplib",
        "http.client",
        "httpcore",
        "httpx",
        "obstore",
        "requests",
        "socket",
        "subprocess",
        "urllib.request",
        "urllib3",
    }
)  # clients of our own stores (Kafka, Elasticsearch, Milvus, Redis, Triton) call what the operator runs, and no source
# By file: its way out, the decision that lets it, and what that one calls it.
EXCEPTIONS: Final[Mapping[str, tuple[str, str, str]]] = {
    "connectors/airbyte/program.py": ("asyncio.create_subprocess_exec", "0140", "program of the host"),
    "headwater/clients/archive.py": ("obstore", "0118", "archive stay on obstore"),
    "headwater/clients/blobs.py": ("obstore", "0118", "blob store"),
    "headwater/clients/kafka/schema_registry.py": ("httpx", "0020", "SCHEMA_REGISTRY_URL"),
    "headwater/clients/listed_objects.py": ("obstore", "0164", "obstore"),
    "headwater/clients/objects.py": ("obstore", "0164", "obstore"),
    "headwater/clients/openai.py": ("httpx", "0111", "openai.py"),
    "headwater/clients/s3/client.py": ("httpx", "0111", "Egress.httpx_client"),  # it is given a client: see below
}


def ways_out(source: str) -> set[str]:
    return {way for name in _named(ast.parse(source)) for way in WAYS_OUT if name == way or name.startswith(f"{way}.")}


def _named(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield ast.unparse(node)


def test_nothing_has_a_way_out_of_its_own_that_no_decision_lets() -> None:
    found = {str(path.relative_to(ROOT)): ways for path in MODULES if (ways := ways_out(path.read_text()))}
    assert found == {path: {way} for path, (way, _, _) in EXCEPTIONS.items()}, "use headwater/clients/egress"


@pytest.mark.parametrize(("number", "words"), [exception[1:] for exception in EXCEPTIONS.values()], ids=EXCEPTIONS)
def test_each_exception_is_in_its_decision(number: str, words: str) -> None:
    (decision,) = (ROOT / "docs/adr").glob(f"{number}-*.md")
    assert words in decision.read_text()


def test_s3_is_spoken_by_the_client_that_it_is_given() -> None:
    """It is `Egress.httpx_client`: guarded, pinned, capped. A client of its own would be none of that."""
    tree = ast.parse((ROOT / "headwater/clients/s3/client.py").read_text())
    made = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not {name for name in made if name.startswith("httpx.") and name != "httpx.URL"}


@pytest.mark.parametrize(
    "line",
    [
        "import httpx",
        "from urllib import request",
        "from http.client import HTTPSConnection",
        "from obstore.store import S3Store",
        "import asyncio\nasyncio.open_connection('wiki.test', 80)",
    ],
)
def test_the_check_bites(line: str) -> None:
    assert ways_out(line)


@pytest.mark.parametrize("line", ["from urllib.parse import quote", "import asyncio\nasyncio.timeout(1)"])
def test_the_check_lets_pass_what_leads_nowhere(line: str) -> None:
    assert not ways_out(line)
