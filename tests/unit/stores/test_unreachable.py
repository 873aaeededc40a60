"""Stores that are away or refuse: our errors, at once, without a word of what was sent."""

import time

import pytest

from headwater.clients.elasticsearch import ElasticsearchKeywordIndex
from headwater.clients.elasticsearch.connection import (
    ElasticsearchAccessError,
    ElasticsearchBusyError,
    ElasticsearchRefusedError,
    IndexMissingError,
    judged,
)
from headwater.clients.milvus import MilvusVectorIndex
from headwater.clients.milvus.collection import collection_name
from headwater.errors import FatalError, HeadwaterError, RetryableError
from headwater.settings import ElasticsearchSettings, MilvusSettings
from schemas.ids import GenerationName
from tests.support.rows import chunk_row, scope_of, vectors_for

G1 = GenerationName("g1")


async def test_a_milvus_that_is_away_is_busy_at_once() -> None:
    async with MilvusVectorIndex.open(MilvusSettings(url="http://127.0.0.1:1"), G1) as index:
        began = time.monotonic()
        with pytest.raises(RetryableError, match=r"http://127\.0\.0\.1:1"):
            await index.search(scope_of(), vectors_for(1)[0], limit=3)
        with pytest.raises(RetryableError):
            await index.upsert([chunk_row()], vectors_for(1))
        assert time.monotonic() - began < 5


async def test_an_elasticsearch_that_is_away_is_busy_at_once() -> None:
    async with ElasticsearchKeywordIndex.open(ElasticsearchSettings(url="http://127.0.0.1:1"), G1) as index:
        began = time.monotonic()
        with pytest.raises(RetryableError, match=r"http://127\.0\.0\.1:1"):
            await index.search(scope_of(), "ferries", limit=3)
        with pytest.raises(RetryableError):
            await index.upsert([chunk_row()])
        assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("status", "error_type", "expected"),
    [
        (400, "mapper_parsing_exception", ElasticsearchRefusedError),
        (401, "security_exception", ElasticsearchAccessError),
        (403, "security_exception", ElasticsearchAccessError),
        (403, "cluster_block_exception", ElasticsearchBusyError),
        (404, "index_not_found_exception", IndexMissingError),
        (413, "content_too_long", ElasticsearchRefusedError),
        (429, "es_rejected_execution_exception", ElasticsearchBusyError),
        (503, "no_shard_available_action_exception", ElasticsearchBusyError),
    ],
)
def test_a_status_says_what_to_do_next(status: int, error_type: str, expected: type[HeadwaterError]) -> None:
    error = judged(status, error_type)
    assert type(error) is expected
    assert error_type in str(error)


@pytest.mark.parametrize("generation", ["G-1", "g 1", "g1/../x"])
def test_a_generation_that_cannot_name_a_store_is_refused_clearly(generation: str) -> None:
    with pytest.raises(FatalError, match="HEADWATER_GENERATION"):
        collection_name(MilvusSettings(), GenerationName(generation))
