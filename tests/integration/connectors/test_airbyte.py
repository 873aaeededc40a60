"""A real reader, pinned and in an environment of its own, feeds documents and cursors. It reads a server of ours."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from connectors.airbyte.connector import AirbyteConnector
from connectors.airbyte.reader import Reader
from headwater.settings import ReaderProgram
from headwater.sources.airbyte import AirbyteSettings
from schemas.ids import KnowledgeBaseId
from tests.support.airbyte_cdk import MANIFEST, source_declarative_manifest
from tests.support.egress import Asked, answering, reply
from tests.support.sources import Follower

TOKEN = "t0p-secret"


@pytest.fixture(scope="module")
def program() -> ReaderProgram:
    """Return the reader as a host's settings name it. Its time is not the tests': it is installed once."""
    command = (str(source_declarative_manifest()),)
    return ReaderProgram(command=command, arguments=("--manifest-path", str(MANIFEST)), silence_timeout_s=60.0)


@dataclass(slots=True)
class Wiki:
    """A server of articles: two a page, those from `since` on, for the bearer of the token."""

    program: ReaderProgram
    port: int = 0
    downloads: int = 0
    articles: dict[int, dict[str, Any]] = field(default_factory=dict)
    since: list[str] = field(default_factory=list)

    def put(self, number: int, body: str, updated_at: str) -> None:
        named = {"id": number, "title": f"Article {number}", "link": f"https://wiki.example/{number}"}
        self.articles[number] = {**named, "body": body, "updated_at": updated_at}

    def connector(self) -> AirbyteConnector:
        stream = {
            "id": "id",
            "text": "body",
            "title": "title",
            "url": "link",
            "updated": "updated_at",
            "mode": "incremental",
        }
        settings = {"reader": "wiki", "streams": {"articles": stream}, "access": {"readers": ["everyone"]}}
        config = {"url": f"http://127.0.0.1:{self.port}", "token": TOKEN}
        return AirbyteConnector(
            reader=Reader(name="wiki", program=self.program, config=config, secrets=(TOKEN,)),
            settings=AirbyteSettings.model_validate(settings),
            knowledge_base=KnowledgeBaseId("wiki"),
        )

    def answer(self, asked: Asked) -> bytes:
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return reply(401, b"{}", Content_Type="application/json")
        query = parse_qs(urlsplit(asked.target).query)
        (since,), after = query["since"], int(query.get("after", ["0"])[0])
        self.since.append(since)
        found = sorted(number for number in self.articles if self.articles[number]["updated_at"] >= since)
        page = [self.articles[number] for number in found if number > after][:2]
        left = bool(page) and page[-1]["id"] != found[-1]
        body = {"items": page, "next": page[-1]["id"] if left else None}
        return reply(200, json.dumps(body).encode(), Content_Type="application/json")


@pytest.fixture
async def wiki(program: ReaderProgram) -> AsyncIterator[Wiki]:
    wiki = Wiki(program)
    async with answering(wiki.answer) as server:
        wiki.port = server.port
        yield wiki


async def test_a_real_reader_brings_documents_and_goes_on_from_its_state(wiki: Wiki) -> None:
    wiki.put(1, "one", "2026-01-01T00:00:00Z")
    wiki.put(2, "two", "2026-02-01T00:00:00Z")
    wiki.put(3, "three", "2026-03-01T00:00:00Z")
    follower = Follower(wiki)  # type: ignore[arg-type]  # what it needs of a harness to follow one
    connector = wiki.connector()

    first = await follower.submit(connector.changes({}))
    assert sorted(each.external_id for each in first) == ["articles/1", "articles/2", "articles/3"]
    assert follower.documents["articles/3"].text == "three"
    assert follower.failed == {}

    del wiki.articles[1]  # what an incremental reading does not tell stays
    wiki.put(4, "four", "2026-03-02T00:00:00Z")
    wiki.since.clear()
    second = await follower.submit(connector.changes(dict(follower.cursor)))
    assert [each.external_id for each in second] == ["articles/4"]
    assert set(wiki.since) == {"2026-03-01T00:00:00Z"}, "it went on from the state of the first pass"
    assert follower.deleted == []
    assert second[0].occurred_at.isoformat() == "2026-03-02T00:00:00+00:00"
