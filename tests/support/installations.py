"""An installation of a test's own in the shared stores."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from headwater.clients.elasticsearch.connection import open_client
from headwater.clients.elasticsearch.names import Index, index_name
from headwater.migrations import open_migrator
from headwater.migrations.indices import allow_auto_creation, drop_index
from headwater.settings import Settings
from tests.support.stack import RunningStack


def own_settings(stack: RunningStack, *, dimension: int) -> Settings:
    """Return settings whose indices and collections nobody else uses."""
    name = f"t{uuid4().hex[:12]}"
    settings = stack.settings
    return settings.model_copy(
        update={
            "elasticsearch": settings.elasticsearch.model_copy(update={"index_prefix": name}),
            "milvus": settings.milvus.model_copy(update={"collection_prefix": name, "dimension": dimension}),
        }
    )


@asynccontextmanager
async def installed_stores(stack: RunningStack, *, dimension: int) -> AsyncIterator[Settings]:
    """Create every index and collection under a name of its own, and remove them at the end."""
    settings = own_settings(stack, dimension=dimension)
    async with open_migrator(settings) as migrator:
        try:
            await migrator.apply()
            yield settings
        finally:
            await migrator.rollback(to=0, force=True)
            await remove_records(settings)


async def remove_records(settings: Settings) -> None:
    """Remove what a rollback keeps: the record of migrations and the guard."""
    async with open_client(settings.elasticsearch) as client:
        records = index_name(settings.elasticsearch, Index.MIGRATIONS)
        await drop_index(client, records, settings=settings.elasticsearch)
        await allow_auto_creation(client, settings=settings.elasticsearch)
