"""A program that imports nothing of ours submits a document in Avro, and later its deletion."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from headwater.cli.api_client import ApiProblemError
from headwater.clients.kafka.config import topic_of
from headwater.demo.stage import wait_until
from schemas.topics import Topic
from tests.support.library import READER, Library
from tests.support.platform import Platform

# The first of these tests in a run waits until the whole product is up: minutes on a machine that many share.
pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]


def produced(library: Library, external_id: str, *arguments: str) -> dict[str, Any]:
    """Run the example as its guide says; return what it prints."""
    settings = library.platform.settings
    command = [sys.executable, "-I", "docs/examples/outside_producer.py", external_id]
    command += ["--source", library.name, "--knowledge-base", library.name, *arguments]
    command += ["--bootstrap", settings.kafka.bootstrap_servers]
    command += ["--topic", topic_of(settings, Topic.DOCUMENTS_SUBMITTED)]
    command += ["--blobs", settings.blobs.url.removeprefix("file:")]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def test_an_outside_producer_submits_and_deletes_under_its_own_source(platform: Platform, tmp_path: Path) -> None:
    library = Library(platform=platform, name=f"ledger-{uuid4().hex[:10]}")
    platform.directory(
        (f"users/{READER}", {"name": READER}),
        (f"knowledge-bases/{library.name}", {"name": library.name}),
        (f"sources/{library.name}", {"name": "Ledger", "kind": "outside", "knowledge_base": library.name}),
    )
    file = tmp_path / "q1.md"
    file.write_text("# First quarter\n\nThe drydock was amortised.")
    submitted = produced(library, "2026/q1", "--file", str(file), "--reader", f"user:{READER}")
    wait_until("the document to be found", lambda: library.found("amortised", mode="keyword") == {"2026/q1"})
    assert library.state(submitted["document_id"])["external_id"] == "2026/q1"

    with pytest.raises(ApiProblemError) as refused:
        library.put("2026/q1", "taken over")
    assert refused.value.status == 409, "the source is the producer's own"

    produced(library, "2026/q1")
    wait_until("the document to be gone", lambda: not library.found("amortised", mode="keyword"))
