"""Two whole installations without an API: what a restore drill loses, and where it goes on."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from typer.testing import CliRunner, Result

from headwater.cli.main import app
from headwater.clients.blobs import ObjectBlobStore
from headwater.clients.kafka.config import topic_of
from headwater.settings import BlobSettings
from schemas.events.base import Position
from schemas.events.documents import BlobRef
from schemas.ids import SourceId
from tests.support.admission import Installation, installation
from tests.support.blobs import pieces_of
from tests.support.heads import ACME, HANDBOOK
from tests.support.installations import installed_stores
from tests.support.stack import RunningStack
from tests.support.wiki import SUBMISSIONS

DIMENSION: Final = 384
FOLDER: Final = SourceId("folder")
# Everything between the log and what a verification compares, and who removes what an edit has left there.
_STAGES: Final = ("prepare", "embed", "index-vectors", "index-keywords", "status", "sweep")
_PATIENCE_S: Final = 120.0


@asynccontextmanager
async def whole_installation(stack: RunningStack, folder: Path, *, partitions: int = 2) -> AsyncIterator[Installation]:
    """Create topics, indices, collections and folders of its own; stop its processes and remove all at the end."""
    folder.mkdir()
    async with installed_stores(stack, dimension=DIMENSION) as settings:
        environment = {
            **stack.environment,
            "HEADWATER_ELASTICSEARCH__INDEX_PREFIX": settings.elasticsearch.index_prefix,
            "HEADWATER_MILVUS__COLLECTION_PREFIX": settings.milvus.collection_prefix,
            "HEADWATER_REDIS__KEY_PREFIX": settings.elasticsearch.index_prefix,
            "HEADWATER_BLOBS__URL": f"file:{folder / 'blobs'}",
            "HEADWATER_LOCAL__STATE_FOLDER": str(folder / "state"),
            "HEADWATER_STAGES__DATADIR": str(folder / "workers"),
            # What a test has just written is judged soon, and not before the sweeper could have been there.
            "HEADWATER_STAGES__REMOVAL_GRACE_S": "0.1",
            "HEADWATER_AUDIT__GRACE_S": "1",
            "HEADWATER_AUDIT__SWEEP_LEEWAY_S": "4",
        }
        own = RunningStack(settings=settings, environment=environment)
        async with installation(own, folder, partitions=partitions) as opened:
            yield opened


async def blob(own: Installation, text: str) -> BlobRef:
    """Put a content into an installation's store."""
    return await blobs_of(own).write(ACME, pieces_of(text.encode()))


def blobs_of(own: Installation) -> ObjectBlobStore:
    """Return an installation's contents."""
    return ObjectBlobStore(BlobSettings(url=own.environment["HEADWATER_BLOBS__URL"]))


def start_stages(own: Installation) -> None:
    """Start everything that fills the stores and the read model."""
    for stage in _STAGES:
        own.start(("-m", "streams", stage))


def lose(own: Installation) -> None:
    """Kill every process."""
    for child in own.children:
        child.kill()


async def synced(own: Installation, folder: Path) -> Mapping[str, Any]:
    """Bring the source FOLDER up to date, once; return the report when admission has settled all that was submitted."""
    command = ("-m", "connectors", "filesystem", str(folder), "--source", FOLDER, "--knowledge-base", HANDBOOK)
    connector = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        *("--tenant", ACME, "--json"),
        env={**os.environ, **own.environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, log = await asyncio.wait_for(connector.communicate(), _PATIENCE_S)
    assert connector.returncode == 0, log.decode()[-3000:]
    ends = await own.admin.end_offsets([topic_of(own.settings, each) for each in SUBMISSIONS])
    last = [
        Position(topic=topic, partition=partition, offset=end - 1)
        for topic, by_partition in ends.items()
        for partition, end in by_partition.items()
        if end
    ]
    await own.settled(*last)
    report: Mapping[str, Any] = json.loads(told)
    return report


async def run(own: Installation, *arguments: str, **variables: str) -> Any:
    """Run one of our commands with an installation's settings; return what it prints as JSON."""
    result = await _invoke(own, arguments, variables)
    assert result.exit_code == 0, f"{result.output} {own.logs()}"
    return json.loads(result.stdout)


async def refused(own: Installation, *arguments: str) -> str:
    """Return why a command refuses, in its one sentence."""
    result = await _invoke(own, arguments, {})
    assert result.exit_code == 1, result.output
    return result.stderr


async def verified(own: Installation, *, documents: int) -> Mapping[str, tuple[int, int, str]]:
    """Run `headwater verify` until it is clean with nothing under way; return what each projection holds.

    That is documents, rows and fingerprint. Until the stages are done, documents that were admitted long ago, as
    restored ones were, are told to be missing. Fails with what differs where that stays so.
    """
    end = time.monotonic() + _PATIENCE_S
    while True:
        result = await _invoke(own, ("verify",), {})
        assert result.exit_code in {0, 1}, f"{result.output} {own.logs()}"
        told = json.loads(result.stdout)
        [tenant] = told["tenants"]
        if told["clean"] and not (told["behind"] or tenant["under_way"]):
            break
        assert time.monotonic() < end, f"{told} {own.logs()}"
    assert result.exit_code == 0
    assert (tenant["documents"], tenant["parked"], told["not_compared"]) == (documents, 0, []), own.logs()
    tallies = tenant["projections"]
    assert set(tallies) == {"vectors", "keywords", "documents"}
    assert all(each["fingerprint"] == each["expected"] for each in tallies.values()), tallies
    return {name: (each["documents"], each["rows"], each["fingerprint"]) for name, each in tallies.items()}


async def _invoke(own: Installation, arguments: tuple[str, ...], variables: Mapping[str, str]) -> Result:
    environment = {**own.environment, **variables}
    return await asyncio.to_thread(CliRunner().invoke, app, [*arguments, "--json"], env=environment)
