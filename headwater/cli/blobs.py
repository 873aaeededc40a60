"""`headwater blobs gc`: contents that nothing refers to any more."""

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from headwater.blobs.marking import Marks, mark_referred
from headwater.blobs.sweeping import Sweeper, Swept
from headwater.cli.output import AsJson, print_json, print_table
from headwater.clients.blobs import ObjectBlobStore
from headwater.clients.kafka.schema_ids import configure_codec
from headwater.clients.kafka.snapshots import KafkaSourceLog
from headwater.errors import FatalError
from headwater.settings import Settings
from schemas.ids import TenantId

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")]
Tenant = Annotated[str | None, typer.Option("--tenant", help="Only this tenant's.")]


@app.callback()
def blobs() -> None:
    """Contents in the blob store."""


@app.command()
def gc(tenant: Tenant = None, *, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Remove what neither a document, a submission on its way nor a dead letter refers to, after eight days."""
    swept = asyncio.run(_collect(Settings(), tenant, dry_run=dry_run))
    if as_json:
        print_json(asdict(swept) | {"dry_run": dry_run})
        return
    print_table(("what", "would be" if dry_run else "done"), list(asdict(swept).items()))


async def _collect(settings: Settings, tenant: str | None, *, dry_run: bool) -> Swept:
    configure_codec(settings.kafka)
    young_after = datetime.now(UTC) - timedelta(seconds=settings.blobs.orphan_grace_s)
    store = ObjectBlobStore(settings.blobs)
    with Marks.open(settings.local.state_folder) as marks:
        log = KafkaSourceLog(settings, settle_wait_s=0)
        known = await mark_referred(log, marks, replaced_after=young_after)
        if not known:
            raise FatalError(
                "the log knows no document, so every content would go: check HEADWATER_KAFKA__TOPIC_PREFIX, and "
                "restore the log before you collect"
            )
        tenants = await store.tenants() if tenant is None else [TenantId(tenant)]
        return await Sweeper(blobs=store, marks=marks, young_after=young_after, dry_run=dry_run).sweep(tenants)
