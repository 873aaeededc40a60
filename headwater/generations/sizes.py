"""How large a generation is in each store."""

from dataclasses import dataclass
from typing import Final

from headwater.clients.elasticsearch.connection import open_client, translated
from headwater.clients.elasticsearch.names import chunks_name
from headwater.clients.milvus.holdings import VectorHoldings
from headwater.settings import Settings
from schemas.events.directory import Generation

_FLOAT_BYTES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Rows as readers see them, older revisions within their grace included."""

    words_rows: int
    words_bytes: int  # of the index, without replicas
    vectors_rows: int
    vectors_bytes: int  # of the vectors alone: 4 bytes a dimension


async def size_of(settings: Settings, generation: Generation) -> Size:
    """Ask both stores. Raises RetryableError when one is away, FatalError where the generation was dropped."""
    name = chunks_name(settings.elasticsearch, generation.name)
    async with (
        open_client(settings.elasticsearch) as client,
        translated(settings.elasticsearch),
        VectorHoldings.open(settings.milvus, generation.name) as vectors,
    ):
        counted = await client.count(index=name)
        stored = await client.indices.stats(index=name, metric="store")
        rows = await vectors.count()
    return Size(
        words_rows=int(counted["count"]),
        words_bytes=int(stored["_all"]["primaries"]["store"]["size_in_bytes"]),
        vectors_rows=rows,
        vectors_bytes=rows * generation.dimension * _FLOAT_BYTES,
    )
