"""The AsyncAPI document: current, whole, and open for what the catalogue opens alone."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from schemas.asyncapi import ASYNCAPI_FILE, document
from schemas.registry import load_manifest


@pytest.fixture(scope="module")
def committed() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(ASYNCAPI_FILE.read_text("utf-8"))
    return loaded


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for each in node:
            yield from references(each)


def test_the_committed_file_is_current() -> None:
    assert ASYNCAPI_FILE.read_text("utf-8") == document(), "run `headwater schemas asyncapi`"


def test_every_reference_leads_somewhere(committed: dict[str, Any]) -> None:
    found = list(references(committed))
    assert len(found) > 20
    for reference in found:
        file, _, path = reference.partition("#/")
        if file:
            assert (ASYNCAPI_FILE.parent / file).is_file(), reference
        node: Any = committed
        for name in path.split("/") if path else ():
            node = node[name]


def test_others_write_documents_and_read_what_is_public(committed: dict[str, Any]) -> None:
    topics: dict[str, set[str]] = {"receive": set(), "send": set()}
    for operation in committed["operations"].values():
        channel = operation["channel"]["$ref"].rpartition("/")[2]
        topics[operation["action"]].add(committed["channels"][channel]["address"])
    assert topics["receive"] == {"rag.documents.submitted", "rag.documents.backfill"}
    assert {"rag.documents.ingested", "rag.audit.recorded"} <= topics["send"]
    internal = {"rag.directory.changed", "rag.events.parked", "rag.connectors.cursors", "rag.chunks.prepared"}
    assert internal & {channel["address"] for channel in committed["channels"].values()} == set()


def test_a_message_names_the_newest_schema_and_its_id(committed: dict[str, Any]) -> None:
    newest = {each.event: each for each in load_manifest()}  # versions come in order
    for event, message in committed["components"]["messages"].items():
        assert message["x-schema-id"] == newest[event].id
        assert message["payload"]["schema"]["$ref"].endswith(newest[event].file)
