"""`headwater sources undo`: what a bad sync removed is brought back from the log."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from headwater.cli.output import AsJson, complain, print_json, say
from headwater.clients.blobs import ObjectBlobStore
from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.config import topic_of
from headwater.clients.kafka.producer import EventProducer
from headwater.clients.kafka.quarantine import KafkaQuarantine
from headwater.clients.kafka.records import Outgoing
from headwater.clients.kafka.schema_ids import configure_codec
from headwater.clients.kafka.snapshots import KafkaSourceLog
from headwater.settings import Settings
from headwater.undoing import Undo, Undone
from schemas.codec import encode
from schemas.events.documents import DocumentSubmitted
from schemas.ids import Principal, SourceId, TenantId, document_key
from schemas.topics import Topic

TIMES: Final = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%dT%H:%M", "%Y-%m-%d"]
NAMED: Final = 20  # documents that cannot be brought back; --json names all
OPERATOR: Final = Principal("system")


def undo(
    source: Annotated[str, typer.Argument(help="Name of the source in the directory.")],
    since: Annotated[datetime, typer.Option(formats=TIMES, help="Deletions from then on, in UTC.")],
    tenant: Annotated[str, typer.Option(help="Whose source it is.")] = "default",
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would come back.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring back the documents that a source has deleted since then, and drop its deletions that wait.

    Reads the log itself, like a backup. Pause the source first if it would delete them again.
    """
    undone = asyncio.run(_undo(Settings(), TenantId(tenant), SourceId(source), since.replace(tzinfo=UTC), dry_run))
    if as_json:
        print_json(asdict(undone) | {"dry_run": dry_run})
    else:
        verb = "would be submitted" if dry_run else "are submitted"
        say(f"{undone.restored} deleted documents of {source} {verb} again, {undone.kept} waiting deletions dropped")
        for lost in undone.lost[:NAMED]:
            complain(f"{lost.external_id} cannot come back: {lost.why}")
        if undone.lost:
            complain(
                f"{len(undone.lost)} in all. Those that are still at the source come with its next sync "
                f"(`headwater sources sync {source} --mode full`); the others only a backup has"
            )
    if undone.lost:
        raise typer.Exit(1)


async def _undo(settings: Settings, tenant: TenantId, source: SourceId, since: datetime, dry_run: bool) -> Undone:  # noqa: FBT001 - the command's own flag, passed on
    configure_codec(settings.kafka)
    waiting = await KafkaQuarantine(settings, KafkaAdmin(settings.kafka)).waiting(tenant, source)
    async with EventProducer.open(settings, client_id="headwater-undo") as producer:

        async def send(submissions: Sequence[DocumentSubmitted]) -> None:
            if not dry_run:
                await producer.send_many([_outgoing(settings, each) for each in submissions])

        wanted = Undo(
            tenant=tenant,
            source=source,
            since=since,
            now=datetime.now(UTC),
            actor=OPERATOR,
            log=KafkaSourceLog(settings, settle_wait_s=0),
            blobs=ObjectBlobStore(settings.blobs),
            directory_topic=topic_of(settings, Topic.DIRECTORY_CHANGED),
        )
        return await wanted.run({each.document_id: each.quarantined_at for each in waiting}, send)


def _outgoing(settings: Settings, event: DocumentSubmitted) -> Outgoing:
    topic = topic_of(settings, Topic.DOCUMENTS_BACKFILL)
    return Outgoing(topic=topic, key=document_key(event.tenant_id, event.document_id), value=encode(event))
