"""`python -m connectors`: `worker` runs syncs, `webhooks` asks for them; one source is read or tried by the others."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import structlog
import typer

from connectors.cursors import CursorStore
from connectors.endings import Ending, SyncReport
from connectors.filesystem.connector import FilesystemConnector
from connectors.objects.client import objects_of
from connectors.objects.connector import ObjectsConnector
from connectors.objects.source import settings_of
from connectors.pausing import pauses, unless_paused
from connectors.protocol import Connector, LiveConnector
from connectors.registration import Registration, register
from connectors.runner import Runner
from connectors.worker.process import check_source, run_worker
from headwater import event_loop
from headwater.clients.blobs import ObjectBlobStore
from headwater.clients.egress.client import open_egress
from headwater.clients.kafka.producer import EventProducer
from headwater.clients.kafka.schema_ids import configure_codec
from headwater.errors import HeadwaterError
from headwater.settings import Settings
from headwater.telemetry.logging import configure_logging
from headwater.telemetry.management import Health, ManagementServer
from headwater.telemetry.tracing import configure_tracing
from schemas.ids import KnowledgeBaseId, SourceId, TenantId

T = TypeVar("T")

log = structlog.get_logger(__name__)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help="Run one source.")
SourceName = Annotated[str, typer.Option(help="Name of the source in the directory.")]
KnowledgeBaseName = Annotated[str, typer.Option(help="Where its documents go.")]
TenantName = Annotated[str, typer.Option(help="Whose source it is.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]
_GOOD = frozenset({Ending.COMPLETED, Ending.NOTHING_NEW, Ending.SUSPENDED, Ending.PAUSED})


@app.callback()
def connectors() -> None:
    """Sources: one subcommand each."""


@app.command()
def filesystem(
    path: Annotated[Path, typer.Argument(help="The folder.")],
    source: SourceName = "files",
    knowledge_base: KnowledgeBaseName = "files",
    tenant: TenantName = "default",
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Go on and submit what changes, until stopped.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring a folder tree up to date; `.headwater.yaml` files say who may read what."""
    settings = _set_up(f"connector-{source}")
    registration = _registration(tenant, source, kind="filesystem", knowledge_base=knowledge_base)
    connector = FilesystemConnector(root=path.absolute(), knowledge_base=registration.knowledge_base)
    _report(_ran(_run(settings, connector, registration, watch=watch)), as_json=as_json)


@app.command()
def worker() -> None:
    """Run the syncs that `rag.syncs.requested` asks for, of all sources, until stopped. Start as many as you like."""
    _ran(run_worker(_set_up("connectors")))


@app.command()
def webhooks() -> None:
    """Receive webhooks of all sources (docs/webhooks.md) until stopped. Start as many as you like."""
    from connectors.webhooks.process import run_receiver  # a worker serves no HTTP and need not load a server

    _ran(run_receiver(_set_up("webhooks")))


@app.command()
def check(
    source: Annotated[str, typer.Argument(help="Name of the source in the directory.")],
    tenant: TenantName = "default",
    *,
    as_json: AsJson = False,
) -> None:
    """Check a source's settings, credentials and rights from here, and say what is missing. Nothing is read."""
    settings = _set_up(f"connector-{source}")
    try:
        said, readable = event_loop.run(check_source(settings, (TenantId(tenant), SourceId(source)))), True
    except HeadwaterError as error:
        said, readable = str(error), False
    if as_json:
        typer.echo(json.dumps({"source": source, "readable": readable, "said": said}))
    else:
        typer.echo(said, err=not readable)
    raise typer.Exit(0 if readable else 1)


@app.command()
def objects(
    url: Annotated[str, typer.Argument(help="s3://bucket/prefix/, gs://bucket/ or az://container/.")],
    settings_file: Annotated[
        Path | None, typer.Option("--settings", help="A YAML file: options, include, exclude, access and so on.")
    ] = None,
    source: SourceName = "bucket",
    knowledge_base: KnowledgeBaseName = "bucket",
    tenant: TenantName = "default",
    *,
    as_json: AsJson = False,
) -> None:
    """Bring a bucket up to date; `.headwater.yaml` at its prefix says who may read what (docs/connect-s3.md)."""
    settings = _set_up(f"connector-{source}")
    registration = _registration(tenant, source, kind="objects", knowledge_base=knowledge_base)
    _report(_ran(_run_bucket(settings, url, settings_file, registration)), as_json=as_json)


def _registration(tenant: str, source: str, *, kind: str, knowledge_base: str) -> Registration:
    return Registration(
        tenant=TenantId(tenant),
        source=SourceId(source),
        kind=kind,
        knowledge_base=KnowledgeBaseId(knowledge_base),
    )


def _set_up(process: str) -> Settings:
    settings = Settings()
    configure_logging(settings.telemetry, process=process)
    configure_tracing(settings.telemetry, process=process)
    configure_codec(settings.kafka)
    return settings


def _report(report: SyncReport, *, as_json: bool) -> NoReturn:
    """Say how it ended; so does the exit status."""
    typer.echo(json.dumps({**asdict(report), "message": report.message}) if as_json else report.message)
    raise typer.Exit(0 if report.ending in _GOOD else 1)


def _ran(work: Coroutine[Any, Any, T]) -> T:
    """Return what the work returns; an error of ours is one sentence and exit status 1."""
    try:
        return event_loop.run(work)
    except HeadwaterError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


async def _run_bucket(
    settings: Settings, url: str, settings_file: Path | None, registration: Registration
) -> SyncReport:
    bucket = settings_of(url, settings_file)
    async with open_egress(settings.egress) as egress:
        within = egress.of_bucket(requests_per_s=bucket.requests_per_s, concurrency=bucket.concurrency)
        store = objects_of(bucket, within)
        connector = ObjectsConnector(objects=store, settings=bucket, knowledge_base=registration.knowledge_base)
        return await _run(settings, connector, registration, watch=False)


async def _run(settings: Settings, connector: Connector, registration: Registration, *, watch: bool) -> SyncReport:
    """Register, make a pass, and follow where asked. SIGTERM and SIGINT end it between two batches."""
    health = Health()
    with ManagementServer(settings.management, health):
        async with EventProducer.open(settings, client_id=f"connector-{registration.source}") as producer:
            await register(settings, producer, registration)
            health.ready("kafka")
            runner = Runner(
                settings=settings,
                connector=connector,
                cursors=CursorStore(settings, producer, tenant=registration.tenant, source=registration.source),
                blobs=ObjectBlobStore(settings.blobs),
                producer=producer,
                tenant=registration.tenant,
                source=registration.source,
            )
            tenant, source = registration.tenant, registration.source
            async with aclosing(pauses(settings, producer, tenant=tenant, source=source)) as states:
                return await _until_stopped(runner, connector, health, states, watch=watch)


async def _until_stopped(
    runner: Runner,
    connector: Connector,
    health: Health,
    states: AsyncIterator[bool],
    *,
    watch: bool,
) -> SyncReport:
    async def work() -> SyncReport:
        report = await runner.sync()
        log.info("sync_ended", outcome=report.ending.value, count=report.upserted)
        followed = report.ending in _GOOD | {Ending.PARTIAL}
        if not watch or not followed or not isinstance(connector, LiveConnector):
            return report
        return await runner.follow(connector)

    working = asyncio.create_task(unless_paused(states, work))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, working.cancel)
    while not working.done():
        health.beat()
        await asyncio.wait({working}, timeout=1.0)
    try:
        return working.result()
    except asyncio.CancelledError:
        return SyncReport(ending=Ending.SUSPENDED)


if __name__ == "__main__":
    sys.exit(app())
