"""A Milvus that is killed and started again: busy meanwhile, nothing lost, loaded without being asked."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from headwater.clients.milvus import MilvusVectorIndex
from headwater.clients.milvus.collection import collection_name
from headwater.clients.milvus.connection import open_client
from headwater.errors import RetryableError
from headwater.local.ports import free_ports
from headwater.migrations.collections import create_collection
from headwater.ports.rows import StoreHit
from headwater.settings import MilvusSettings
from schemas.ids import GenerationName, Revision
from tests.support.polling import until
from tests.support.rows import ACME, DIMENSION, HANDBOOK, rows_of, scope_of, vectors_for

pytestmark = pytest.mark.real

G1 = GenerationName("g1")


@asynccontextmanager
async def milvus_lite(database: Path, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a server of the test's own; it is killed at the end, as by a power cut."""
    spec = find_spec("milvus_lite")
    if spec is None or spec.origin is None:
        pytest.skip("milvus-lite is not installed; see the extra `embedded`")
    library = Path(spec.origin).parent / "lib"
    process = await asyncio.create_subprocess_exec(
        str(library / "milvus"),
        str(database),
        f"127.0.0.1:{port}",
        "ERROR",
        env={**os.environ, "LD_LIBRARY_PATH": str(library)},
        cwd=database.parent,
    )
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def test_a_restart_is_waited_out_and_loses_nothing(tmp_path: Path) -> None:
    port = free_ports()["milvus"]
    settings = MilvusSettings(url=f"http://127.0.0.1:{port}", dimension=DIMENSION, request_timeout_s=20.0)
    rows, vectors = rows_of(HANDBOOK, revision=7, chunks=3), vectors_for(3)

    async with MilvusVectorIndex.open(settings, G1) as index:

        async def found() -> list[StoreHit] | None:
            try:
                return list(await index.search(scope_of(), vectors[0], limit=5))
            except RetryableError:
                return None

        async with milvus_lite(tmp_path / "m.db", port):
            async with open_client(settings) as client:

                async def created() -> bool:
                    try:
                        await create_collection(client, collection_name(settings, G1), settings=settings)
                    except RetryableError:
                        return False
                    return True

                assert await until(created, within_s=60)
            await index.upsert(rows, vectors)
            assert len(await until(found)) == 3

        with pytest.raises(RetryableError):
            await index.upsert(rows, vectors)

        async with milvus_lite(tmp_path / "m.db", port):
            assert len(await until(found, within_s=60)) == 3
            await index.upsert(rows, vectors)
            assert await index.revisions(ACME, HANDBOOK) == {Revision(7): 3}
