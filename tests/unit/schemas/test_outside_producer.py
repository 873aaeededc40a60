"""The example of a producer that is not ours: what it writes, ours read."""

import ast
import sys
from argparse import Namespace
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest

from headwater.clients.blobs import ObjectBlobStore
from headwater.settings import BlobSettings
from schemas.codec import decode
from schemas.events.documents import DocumentSubmitted, SubmissionOp
from schemas.ids import EVERYONE, KnowledgeBaseId, SourceId, TenantId, document_id
from streams.admit.validation import check_state, check_submission

SCRIPT = Path("docs/examples/outside_producer.py")


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return run_path(str(SCRIPT))


def options(blobs: Path, file: Path | None) -> Namespace:
    return Namespace(
        external_id="2026/q1 \N{EURO SIGN}",
        file=file,
        title=None,
        media_type="text/markdown",
        reader=["everyone"],
        tenant="default",
        source="ledger",
        knowledge_base="finance",
        schemas=Path("schemas"),
        blobs=blobs,
    )


def submitted(script: dict[str, Any], chosen: Namespace) -> DocumentSubmitted:
    raw: bytes = script["framed"](script["submission"](chosen), *script["newest_schema"](chosen.schemas))
    return decode(raw, DocumentSubmitted)


async def test_ours_read_what_it_writes(script: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "q1.md").write_text("# First quarter")
    event = submitted(script, options(tmp_path / "blobs", tmp_path / "q1.md"))
    assert (event.op, event.source) == (SubmissionOp.PUT, SourceId("ledger"))
    assert event.document_id == document_id(TenantId("default"), SourceId("ledger"), "2026/q1 \N{EURO SIGN}")
    assert event.state is not None
    assert event.state.access.clauses[0].principals == (EVERYONE,)
    assert event.state.knowledge_base == KnowledgeBaseId("finance")
    check_submission(event)
    check_state(event.state)
    assert event.state.content is not None
    store = ObjectBlobStore(BlobSettings(url=f"file:{tmp_path / 'blobs'}"))
    pieces = [piece async for piece in store.read(event.tenant_id, event.state.content)]
    assert b"".join(pieces) == b"# First quarter"


def test_without_a_file_it_deletes(script: dict[str, Any], tmp_path: Path) -> None:
    event = submitted(script, options(tmp_path, None))
    assert (event.op, event.state) == (SubmissionOp.DELETE, None)
    check_submission(event)


def test_it_imports_nothing_of_ours() -> None:
    tree = ast.parse(SCRIPT.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} - sys.stdlib_module_names == {"confluent_kafka", "fastavro"}
