"""A real reader whose streams have a state for each of their parts, and what becomes of a key that expires."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from connectors.airbyte.connector import AirbyteConnector
from connectors.airbyte.reader import Reader
from headwater.errors import UnauthorisedError
from headwater.settings import ReaderProgram
from headwater.sources.airbyte import AirbyteSettings
from schemas.ids import KnowledgeBaseId
from tests.support.airbyte_cdk import PARTITIONED, source_declarative_manifest
from tests.support.egress import Asked, answering, reply
from tests.support.sources import Follower

KEY = "t0p-secret"
STREAM = {
    "id": "id",
    "text": "text",
    "updated": "changed",
    "attributes": {"space": "space"},
    "mode": "incremental",
}


@dataclass(slots=True)
class Spaces:
    """A server of spaces with pages, those from `since` on, for whoever shows the key. Implements Followed."""

    program: ReaderProgram
    port: int = 0
    pages: dict[str, dict[str, Any]] = field(default_factory=dict)
    since: list[tuple[str, str]] = field(default_factory=list)  # space and time, as asked for
    refuses_after: int | None = None  # so many pages of pages

    def put(self, space: str, name: str, text: str, changed: str) -> None:
        self.pages[name] = {"id": name, "text": text, "changed": changed, "of": space}

    def connector(self) -> AirbyteConnector:
        settings = {"reader": "spaces", "streams": {"pages": STREAM}, "access": {"readers": ["everyone"]}}
        config = {"url": f"http://127.0.0.1:{self.port}", "token": KEY}
        return AirbyteConnector(
            reader=Reader(name="spaces", program=self.program, config=config, secrets=(KEY,)),
            settings=AirbyteSettings.model_validate(settings),
            knowledge_base=KnowledgeBaseId("wiki"),
        )

    def name_of(self, external_id: str) -> str:
        return external_id.removeprefix("pages/")

    def expire(self) -> None:
        """Refuse the key in the middle of the second space."""
        self.refuses_after = 2

    def renew(self) -> None:
        self.refuses_after = None

    def answer(self, asked: Asked) -> bytes:
        if asked.headers.get("x-key") != KEY or self.refuses_after == 0:
            return reply(401, b"{}", Content_Type="application/json")
        url = urlsplit(asked.target)
        spaces = sorted({each["of"] for each in self.pages.values()})
        if url.path == "/v1/spaces":
            return _said({"spaces": [{"id": each} for each in spaces]})
        if self.refuses_after is not None:
            self.refuses_after -= 1
        space, query = url.path.split("/")[3], parse_qs(url.query)
        (since,), offset = query["since"], int(query.get("offset", ["0"])[0])
        self.since.append((space, since))
        of_it = [each for each in self.pages.values() if each["of"] == space and each["changed"] >= since]
        shown = sorted(of_it, key=lambda each: str(each["changed"]))[offset : offset + 2]
        return _said({"pages": [{name: it for name, it in each.items() if name != "of"} for each in shown]})


def _said(data: dict[str, Any]) -> bytes:
    return reply(200, json.dumps({"data": data}).encode(), Content_Type="application/json")


@pytest.fixture(scope="module")
def program() -> ReaderProgram:
    command = (str(source_declarative_manifest()),)
    return ReaderProgram(command=command, arguments=("--manifest-path", str(PARTITIONED)), silence_timeout_s=60.0)


@pytest.fixture
async def spaces(program: ReaderProgram) -> AsyncIterator[Spaces]:
    spaces = Spaces(program)
    spaces.put("eng", "e1", "one", "2026-01-01T00:00:00Z")
    spaces.put("eng", "e2", "two", "2026-03-01T00:00:00Z")
    spaces.put("eng", "e3", "three", "2026-03-02T00:00:00Z")
    spaces.put("hr", "h1", "four", "2026-02-01T00:00:00Z")
    async with answering(spaces.answer) as server:
        spaces.port = server.port
        yield spaces


async def test_each_part_goes_on_from_its_own_state(spaces: Spaces) -> None:
    follower = Follower(spaces)
    await follower.follow()
    assert {name: text for name, (text, _) in follower.view().items()} == {
        name: each["text"] for name, each in spaces.pages.items()
    }
    assert follower.documents["pages/h1"].attributes["space"] == "hr"

    spaces.put("hr", "h2", "five", "2026-02-02T00:00:00Z")  # older than what the other space has told
    spaces.since.clear()
    assert [each.external_id for each in await follower.follow()] == ["pages/h2"]
    assert {*spaces.since} == {("eng", "2026-03-02T00:00:00Z"), ("hr", "2026-02-01T00:00:00Z")}
    assert (follower.failed, follower.deleted) == ({}, [])


async def test_a_key_that_expires_in_the_middle_ends_as_unauthorised_and_loses_nothing(spaces: Spaces) -> None:
    follower = Follower(spaces)
    spaces.expire()
    with pytest.raises(UnauthorisedError) as refused:
        await follower.follow()
    assert KEY not in str(refused.value)
    begun = set(follower.documents)
    spaces.renew()
    rest = {each.external_id for each in await follower.follow()}
    assert rest.isdisjoint(begun)
    assert rest | begun == {f"pages/{name}" for name in spaces.pages}
    assert follower.deleted == []
