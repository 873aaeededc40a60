"""What one would write without Headwater: a script that embeds with ONNX Runtime and writes the same two stores."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from headwater.clients.elasticsearch.chunks import ElasticsearchKeywordIndex
from headwater.clients.milvus.index import MilvusVectorIndex
from headwater.rows import rows
from headwater.settings import Settings
from schemas.events import ChunksEmbedded
from schemas.events.chunks import embedding_text
from tests.performance.embedder import onnx_encoders
from tests.support.installations import installed_stores
from tests.support.stack import RunningStack

_DIMENSION = 384
_WRITE = 64  # rows a request


async def run_script(settings: Settings, batches: Sequence[ChunksEmbedded]) -> float:
    """Return the seconds from chunks to rows in both stores, with collection and index of its own.

    It is given the chunks: parsing and cutting cost it nothing. It embeds all of them in one go, sorted by length,
    which pads least, and serves nobody meanwhile.
    """
    texts = [
        embedding_text(batch.content_title, chunk.section, chunk.text) for batch in batches for chunk in batch.chunks
    ]
    written = [row for batch in batches for row in rows(batch)]
    with TemporaryDirectory() as folder:
        _, encode = await asyncio.to_thread(onnx_encoders, Path(folder))
        async with (
            installed_stores(RunningStack(settings=settings, environment={}), dimension=_DIMENSION) as own,
            MilvusVectorIndex.open(own.milvus, own.generation) as vectors,
            ElasticsearchKeywordIndex.open(own.elasticsearch, own.generation) as keywords,
        ):
            began = time.perf_counter()
            found = await asyncio.to_thread(encode, texts)
            for first in range(0, len(written), _WRITE):
                some = slice(first, first + _WRITE)
                await vectors.upsert(written[some], found[some])
                await keywords.upsert(written[some])
            return time.perf_counter() - began
