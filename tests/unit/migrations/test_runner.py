"""Which steps go when one generation goes, with the records of what was applied in memory."""

from collections.abc import Mapping, Sequence
from typing import Any
from unittest.mock import create_autospec

from elasticsearch import AsyncElasticsearch
from pymilvus import AsyncMilvusClient

from headwater.migrations.model import Findings, Migration, Target
from headwater.migrations.runner import Migrator
from headwater.settings import Settings
from schemas.ids import GenerationName


async def test_what_generations_share_stays_whatever_its_number() -> None:
    applied = {"0001", "0002-g1", "0002-g2", "0003-g2", "0004"}
    reverted: list[int] = []

    async def mget(*, ids: Sequence[str], **_: object) -> Mapping[str, Any]:
        return {"docs": [{"_id": key, "found": key in applied} for key in ids]}

    async def bulk(*, operations: Sequence[Mapping[str, Any]], **_: object) -> Mapping[str, Any]:
        (operation,) = operations
        applied.remove(operation["delete"]["_id"])
        return {"items": [{"delete": {"status": 200}}]}

    elasticsearch = create_autospec(AsyncElasticsearch, instance=True)
    elasticsearch.mget, elasticsearch.bulk = mget, bulk
    target = Target(
        settings=Settings(),
        generation=GenerationName("g2"),
        elasticsearch=elasticsearch,
        milvus=create_autospec(AsyncMilvusClient, instance=True),
    )
    steps = [_step(number, reverted, per_generation=number in {2, 3, 5}) for number in range(1, 6)]
    await Migrator(target, steps).remove_generation()
    assert reverted == [3, 2], "newest first, and only what was applied"
    assert applied == {"0001", "0002-g1", "0004"}


def _step(number: int, reverted: list[int], *, per_generation: bool) -> Migration:
    async def apply(_target: Target) -> Findings:
        return {}

    async def revert(_target: Target) -> None:
        reverted.append(number)

    return Migration(
        number=number,
        name=f"step-{number}",
        per_generation=per_generation,
        apply=apply,
        revert=revert,
        revert_destroys="nothing",
    )
