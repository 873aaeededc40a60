"""`headwater backup DESTINATION` and `headwater restore SOURCE`."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from headwater.archive.expiring import Expired, expire_runs
from headwater.archive.manifests import Manifest
from headwater.archive.restoring import Restore, Restored
from headwater.archive.runs import choose_run, read_run, run_names
from headwater.archive.taking import BackupPlan, BackupRun
from headwater.cli.output import AsJson, complain, print_json, print_table, say
from headwater.clients.archive import ObjectArchive
from headwater.clients.blobs import ObjectBlobStore
from headwater.clients.kafka.restoring import KafkaTargetLog
from headwater.clients.kafka.schema_ids import configure_codec
from headwater.clients.kafka.snapshots import KafkaSourceLog
from headwater.settings import Settings

Address = Annotated[str, typer.Argument(help="A folder, or the URL of a bucket: s3://, gs://, az://.")]
Full = Annotated[bool, typer.Option("--full", help="Begin anew instead of going on from the last run.")]
Expire = Annotated[bool, typer.Option("--expire", help="Then remove runs older than HEADWATER_BACKUP__RETENTION_DAYS.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything, write nothing.")]
Run = Annotated[str | None, typer.Option("--run", help="Which run; the newest by default.")]
List = Annotated[bool, typer.Option("--list", help="Only show the runs there are.")]


def backup(destination: Address, *, full: Full = False, expire: Expire = False, as_json: AsJson = False) -> None:
    """Copy what is new: log, directory, cursors, deletions that wait, contents. Harmless at any time."""
    settings = Settings()
    manifest, expired = asyncio.run(_backup(settings, destination, full=full, expire=expire))
    if as_json:
        print_json(_facts(manifest) | {"expired": None if expired is None else asdict(expired)})
    else:
        _show([manifest])
        if expired is not None:
            say(f"expired: {expired.runs} runs, {expired.segments} segments, {expired.blobs} blobs")
    if not manifest.cursors_current:
        complain("admission has not settled what was submitted before: the cursors are those of an earlier run")
    for missing in manifest.blobs_missing[:10]:
        complain(f"the blob store lacks {missing}: its document is in the backup without its content")


def restore(
    source: Address, run: Run = None, *, only_list: List = False, dry_run: DryRun = False, as_json: AsJson = False
) -> None:
    """Bring a backup back into an empty installation, before any of its processes is started."""
    settings = Settings()
    if only_list:
        runs = asyncio.run(_runs(settings, source))
        if as_json:
            print_json([_facts(each) for each in runs])
        else:
            _show(runs)
        return
    restored = asyncio.run(_restore(settings, source, run, dry_run=dry_run))
    if restored is None:
        say("the installation is empty and the run is readable: nothing was written")
        return
    if as_json:
        print_json(asdict(restored))
    else:
        print_table(("what", "restored"), [(name, value) for name, value in asdict(restored).items()])
    for missing in restored.blobs_missing[:10]:
        complain(f"the archive lacks the content {missing}: its document will be parked until it is submitted again")


async def _backup(settings: Settings, destination: str, *, full: bool, expire: bool) -> tuple[Manifest, Expired | None]:
    configure_codec(settings.kafka)
    archive = ObjectArchive(destination, settings.backup)
    now = datetime.now(UTC)
    plan = BackupPlan(settings=settings.backup, topic_prefix=settings.kafka.topic_prefix, now=now, full=full)
    manifest = await BackupRun(
        plan,
        source=KafkaSourceLog(settings, settle_wait_s=settings.backup.settle_wait_s),
        blobs=ObjectBlobStore(settings.blobs),
        archive=archive,
    ).take()
    if not expire:
        return manifest, None
    return manifest, await expire_runs(
        archive, now=now, retention_days=settings.backup.retention_days, folder=settings.local.state_folder
    )


async def _restore(settings: Settings, source: str, run: str | None, *, dry_run: bool) -> Restored | None:
    configure_codec(settings.kafka)
    archive = ObjectArchive(source, settings.backup)
    target = KafkaTargetLog(settings)
    manifest = await choose_run(archive, run)
    if dry_run:
        await target.require_empty()
        return None
    restoring = Restore(
        manifest,
        archive=archive,
        target=target,
        blobs=ObjectBlobStore(settings.blobs),
        topic_prefix=settings.kafka.topic_prefix,
    )
    return await restoring.run(read_back=KafkaSourceLog(settings, settle_wait_s=0), folder=settings.local.state_folder)


async def _runs(settings: Settings, source: str) -> Sequence[Manifest]:
    archive = ObjectArchive(source, settings.backup)
    return [await read_run(archive, name) for name in await run_names(archive)]


def _show(runs: Sequence[Manifest]) -> None:
    columns = ("run", "kind", "records", "segments", "contents copied", "bytes", "missing")
    print_table(columns, [[_facts(each)[name.replace(" ", "_")] for name in columns] for each in runs])


def _facts(manifest: Manifest) -> dict[str, object]:
    segments = [each for archive in manifest.topics.values() for each in archive.segments]
    because = manifest.full_because
    return {
        "run": manifest.name,
        "kind": "incremental" if because is None else f"full: {because}",
        "records": sum(each.records for each in segments),
        "segments": len(segments),
        "contents_copied": manifest.blobs_copied,
        "bytes": manifest.bytes_copied,
        "missing": len(manifest.blobs_missing),
    }
