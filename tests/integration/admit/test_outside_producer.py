"""A program that imports nothing of ours submits in Avro; admission holds it to what it holds everybody to."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from headwater.clients.kafka.config import topic_of
from schemas.events.base import Position
from schemas.events.directory import DirectoryKind, Source
from schemas.events.documents import DocumentOp
from schemas.ids import EVERYONE, SourceId, document_id
from schemas.topics import Topic
from tests.support.admission import Installation
from tests.support.heads import ACME, HANDBOOK, command

pytestmark = pytest.mark.real

LEDGER = SourceId("ledger")


async def produced(own: Installation, external_id: str, *arguments: str, source: str = LEDGER) -> Position:
    """Run the example as its guide says; return where the broker stored what it sent."""
    topic = topic_of(own.settings, Topic.DOCUMENTS_SUBMITTED)
    command = ["-I", "docs/examples/outside_producer.py", external_id, "--tenant", ACME, "--source", source]
    command += ["--knowledge-base", HANDBOOK, "--blobs", str(own.folder / "blobs"), "--topic", topic, *arguments]
    command += ["--bootstrap", own.settings.kafka.bootstrap_servers]
    script = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)
    output, _ = await script.communicate()
    assert script.returncode == 0
    printed: dict[str, Any] = json.loads(output)
    assert printed["document_id"] == document_id(ACME, SourceId(source), external_id)
    return Position(topic=topic, partition=printed["partition"], offset=printed["offset"])


async def test_it_writes_its_own_source_and_no_unknown_one(own: Installation, tmp_path: Path) -> None:
    page = tmp_path / "q1.md"
    page.write_text("# First quarter")
    await own.admission()
    await own.settle_in()
    ledger = Source(name="Ledger", kind="outside", knowledge_base=HANDBOOK)
    await own.settled(*await own.direct(command(DirectoryKind.SOURCE, LEDGER, ledger)))

    given = ("--file", str(page), "--reader", "everyone")
    positions = await asyncio.gather(
        produced(own, "2026/q1", *given), produced(own, "2026/q2", *given), produced(own, "q1", *given, source="nobody")
    )
    await own.settled(*positions, await produced(own, "2026/q2"))

    first, *others = sorted(await own.changes(), key=lambda change: (change.external_id, change.revision))
    assert (first.external_id, first.source, first.op) == ("2026/q1", LEDGER, DocumentOp.UPSERTED)
    assert first.access.clauses[0].principals == (EVERYONE,)
    assert [(each.external_id, each.op) for each in others] == [
        ("2026/q2", DocumentOp.UPSERTED),
        ("2026/q2", DocumentOp.DELETED),
    ]
    assert await own.letters() == []
