"""A generation with another embedding model, of another dimension: built, switched to, rolled back, dropped.

All the while questions are asked, and none fails or finds nothing.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from headwater.cli.api_client import ApiClient, open_api
from headwater.clients.milvus.collection import collection_name
from headwater.clients.milvus.connection import open_client
from headwater.clients.triton import generator, reranker
from headwater.demo.stage import wait_until
from headwater.local.ports import free_ports
from schemas.ids import GenerationName
from tests.support.asker import asking, asking_at
from tests.support.library import READER, Library
from tests.support.lifecycle import feeding, headwater, listed, states, succeed, vectors_of, wait_until_built
from tests.support.platform import KEYS_VALID_S, Platform
from tests.support.second_triton import SMALL, SMALL_DIMENSION, second_triton

# The first of these tests in a run waits until the whole product is up: minutes on a machine that many share.
pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

OTHER = "small"
TEXTS = {
    "leave": "# Leave\n\nEmployees have 25 days of holiday a year, and ask their manager for them.",
    "pump": "# Pump\n\nThe feed pump stops at a pressure of 6.5 bar.",
    "ferry": "# Ferry\n\nThe night ferry leaves the harbour at nine.",
}
WORDS = "night ferry"
BY_WORDS = frozenset({"keywords_only"})
QUESTION = "How long may I be on vacation?"


def dimensions(platform: Platform, *generations: str) -> list[int]:
    """Return how long the vectors of each generation's collection are."""

    async def asked() -> list[int]:
        settings = platform.settings.milvus
        async with open_client(settings) as client:
            names = [collection_name(settings, GenerationName(each)) for each in generations]
            found = [await client.describe_collection(name, timeout=settings.request_timeout_s) for name in names]
        return [
            next(int(field["params"]["dim"]) for field in each["fields"] if field["name"] == "vector") for each in found
        ]

    return asyncio.run(asked())


@contextmanager
def replica(platform: Platform, leads_to: Mapping[str, str]) -> Iterator[ApiClient]:
    """Run another replica of the API, with another model server; yield a reader's client."""
    port = free_ports()["api"]
    settings = platform.settings.api.model_copy(update={"port": port})
    with (
        platform.child("-m", "query_api", log="query-api-small", HEADWATER_API__PORT=str(port), **leads_to),
        open_api(settings) as admin,
    ):
        reader, _ = wait_until("the replica to start", lambda: admin.acting_as(READER, valid_s=KEYS_VALID_S))
        yield reader
        reader._client.close()


def test_a_generation_with_another_model_comes_serves_and_goes(
    platform: Platform, library: Library, tmp_path: Path
) -> None:
    accepted = {name: library.put(name, text) for name, text in TEXTS.items()}
    create = ("generations", "create", OTHER, "--embedding-model", SMALL)
    refused = headwater(platform, *create)
    assert (refused.returncode, f"model {SMALL}" in refused.stderr) == (1, True), refused.stderr
    assert OTHER not in listed(platform)
    body = {"query": QUESTION, "knowledge_bases": [library.name], "mode": "vector"}
    assert library.found(WORDS)  # the first question opens what the others use

    models = platform.settings.triton.tokenizer_file.parents[2]
    with ExitStack() as running:
        beside = (models / reranker.MODEL, models / generator.MODEL)
        leads_to = running.enter_context(second_triton(tmp_path, beside=beside))
        for each in accepted.values():
            library.settled(each)
        # Each replica has the model of one generation, and answers by words where the other one serves.
        own = running.enter_context(asking(library, WORDS, may_be=BY_WORDS))

        succeed(platform, *create, **leads_to)
        with feeding(platform, OTHER, **leads_to):
            wait_until_built(platform, OTHER)
            row = listed(platform)[OTHER]
            assert (row["model"], row["dimension"]) == (SMALL, SMALL_DIMENSION)
            assert dimensions(platform, "g1", OTHER) == [384, SMALL_DIMENSION]
            assert vectors_of(library, accepted["leave"]["document_id"], OTHER) == (1, 1, 0), "no vector is reused"
            assert set(own.generations) == {"g1"}

            succeed(platform, "generations", "switch", OTHER, **leads_to)
            assert states(platform) == {"g1": "fed", OTHER: "serving"}
            # Only now: a replica does not start without the model of the generation that serves.
            reader = running.enter_context(replica(platform, leads_to))

            def answered() -> Any:
                found = reader.call("POST", "/search", json=body)
                return found if found["meta"]["generation"] == OTHER else None

            found, _ = wait_until("an answer of the other generation", answered)
            assert (found["hits"][0]["external_id"], found["meta"]["degraded"]) == ("leave", [])
            others = running.enter_context(asking_at(reader, library, WORDS, may_be=BY_WORDS))
            # This platform's own replica asks a model server that lacks the model: never another vector space.
            by_words = library.answer(WORDS)
            assert (by_words["meta"]["generation"], by_words["meta"]["degraded"]) == (OTHER, [*BY_WORDS])

            refused = headwater(platform, "generations", "rollback", **leads_to)
            assert (refused.returncode, "model text_embedding on" in refused.stderr) == (1, True), refused.stderr
            succeed(platform, "generations", "rollback")

            def back() -> bool:
                meta = library.answer(QUESTION, mode="vector")["meta"]
                return bool((meta["generation"], meta["degraded"]) == ("g1", []))

            wait_until("an answer of the first generation", back)
        succeed(platform, "generations", "drop", OTHER, "--force")
        own.until_answered_by("g1")
        others.until_answered_by("g1")
    for asker in (own, others):
        asker.check()
        assert set(asker.generations) == {"g1", OTHER}
    assert states(platform) == {"g1": "serving"}
