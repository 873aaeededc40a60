"""Creating and dropping a generation's collection, so that either can be repeated."""

from typing import Final

from pymilvus import AsyncMilvusClient, MilvusClient

from headwater.clients.milvus.collection import chunk_schema
from headwater.clients.milvus.connection import MilvusRefusedError, is_lite, translated
from headwater.errors import FatalError
from headwater.settings import MilvusSettings

_METRIC: Final = "COSINE"


async def create_collection(client: AsyncMilvusClient, name: str, *, settings: MilvusSettings) -> dict[str, str | int]:
    """Create a collection unless it exists; return what it was made with.

    Raises FatalError where one exists with vectors of another length.
    """
    lite = await is_lite(client, settings)
    index = "FLAT" if lite else "AUTOINDEX"
    if not await _exists(client, name, settings):
        try:
            await _create(client, name, settings, index=index, partitioned=not lite)
        except MilvusRefusedError:
            if not await _exists(client, name, settings):  # else another process was quicker
                raise
    await _check_dimension(client, name, settings)
    return {"index": index, "metric": _METRIC, "dimension": settings.dimension, "server": "lite" if lite else "full"}


async def drop_collection(client: AsyncMilvusClient, name: str, *, settings: MilvusSettings) -> None:
    """Drop a collection if it exists."""
    async with translated(settings):
        await client.drop_collection(name, timeout=settings.request_timeout_s)


async def _create(
    client: AsyncMilvusClient, name: str, settings: MilvusSettings, *, index: str, partitioned: bool
) -> None:
    indexes = MilvusClient.prepare_index_params()
    indexes.add_index("vector", index_type=index, metric_type=_METRIC)
    if partitioned:  # a full server scans every segment for a document without it
        indexes.add_index("document_id", index_type="INVERTED")
    async with translated(settings):
        await client.create_collection(
            name,
            schema=chunk_schema(dimension=settings.dimension, partitioned=partitioned),
            index_params=indexes,
            consistency_level="Strong",
            timeout=settings.request_timeout_s,
        )


async def _exists(client: AsyncMilvusClient, name: str, settings: MilvusSettings) -> bool:
    async with translated(settings):
        return bool(await client.has_collection(name, timeout=settings.request_timeout_s))


async def _check_dimension(client: AsyncMilvusClient, name: str, settings: MilvusSettings) -> None:
    async with translated(settings):
        described = await client.describe_collection(name, timeout=settings.request_timeout_s)
    found = {field["name"]: field.get("params", {}).get("dim") for field in described["fields"]}.get("vector")
    if found is None or int(found) != settings.dimension:
        raise FatalError(
            f"collection {name} holds vectors of {found} numbers, HEADWATER_MILVUS__DIMENSION is {settings.dimension}; "
            "correct the setting, or build a new generation"
        )
