"""Writing many documents in one request."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from headwater.access.tokens import decode_token
from headwater.errors import RetryableError
from headwater.settings import ApiSettings, Settings
from schemas.events import DocumentSubmitted, Event, Position
from tests.support.api import FakeApi, fake_api
from tests.support.document_writes import item, post_batch


class TestBatch:
    """NDJSON."""

    async def test_a_line_that_is_refused_stops_no_other(self, api: FakeApi) -> None:
        lines = [
            item("a"),
            "{not json",
            item("b", titel="x"),
            item("c", source="none"),
            item("d", access={"clauses": [{"principals": ["eve"]}]}),
            json.dumps({"op": "delete", "source": "wiki", "external_id": "unknown"}),
            "",
            item("e"),
        ]
        outcome = (await post_batch(api, lines, await api.key())).json()
        assert [result["status"] for result in outcome["results"]] == [202, 422, 422, 404, 422, 404, 202]
        assert [result["line"] for result in outcome["results"]] == [1, 2, 3, 4, 5, 6, 8]
        assert (outcome["accepted"], outcome["refused"]) == (2, 5)
        assert outcome["results"][2]["problem"]["field"] == "titel"
        assert {event.external_id for event in api.log.sent(DocumentSubmitted)} == {"a", "e"}  # type: ignore[attr-defined]  # by its type

    async def test_lines_about_one_document_take_effect_in_order(self, api: FakeApi) -> None:
        lines = [item("a", title=str(n)) for n in range(5)]
        lines.append(json.dumps({"op": "patch", "source": "wiki", "external_id": "a", "title": "5", "if_match": 5}))
        lines.append(json.dumps({"op": "delete", "source": "wiki", "external_id": "a", "if_match": 6}))
        outcome = (await post_batch(api, lines, await api.key())).json()
        assert outcome["refused"] == 0
        assert [event.op.value for event in api.log.sent(DocumentSubmitted)] == ["put"] * 5 + ["patch", "delete"]  # type: ignore[attr-defined]  # by its type

    async def test_the_token_covers_all_lines(self, api: FakeApi) -> None:
        outcome = (await post_batch(api, [item(str(n)) for n in range(70)], await api.key())).json()
        assert outcome["accepted"] == 70
        offsets = decode_token(outcome["token"])["rag.documents.submitted"]
        last = max(n for n, event in enumerate(api.log.events) if isinstance(event, DocumentSubmitted))
        assert offsets == {0: last}

    async def test_a_line_that_is_too_long_stops_no_other(self) -> None:
        settings = Settings(api=ApiSettings(max_body_bytes=500, max_batch_bytes=100_000))
        async with fake_api(settings) as api:
            lines = [item("a"), item("b", text="x" * 70_000), item("c"), item("d", text="x" * 501)]
            outcome = (await post_batch(api, lines, await api.key())).json()
        assert [result["status"] for result in outcome["results"]] == [202, 413, 202, 413]
        assert outcome["resume_at_line"] is None


LINES = 50  # more than a window


@pytest.fixture
async def small() -> AsyncIterator[FakeApi]:
    """A replica that takes fewer lines than are sent, and soon loses its patience."""
    async with fake_api(Settings(api=ApiSettings(max_batch_items=LINES - 10, request_timeout_s=4))) as running:
        yield running


def sent_ids(api: FakeApi) -> list[str]:
    return [event.external_id for event in api.log.sent(DocumentSubmitted)]  # type: ignore[attr-defined]  # by its type


class TestStopped:
    """A batch that is not done to its end says what was done, and where to go on."""

    async def test_past_the_limit_the_rest_is_named(self, small: FakeApi) -> None:
        headers = await small.key()
        lines = ["", *(item(f"{n:02}") for n in range(LINES))]
        response = await post_batch(small, lines, headers)
        problem, batch = response.json(), response.json()["batch"]
        assert (response.status_code, problem["code"], problem["field"]) == (413, "content_too_large", "body")
        assert [result["line"] for result in batch["results"]] == list(range(2, 42))
        assert (batch["accepted"], batch["resume_at_line"]) == (40, 42)
        assert decode_token(batch["token"])
        rest = await post_batch(small, lines[batch["resume_at_line"] - 1 :], headers)
        assert (rest.status_code, rest.json()["accepted"], rest.json()["resume_at_line"]) == (200, 10, None)
        assert sorted(sent_ids(small)) == [f"{n:02}" for n in range(LINES)]

    @pytest.mark.parametrize("declared", [True, False])
    async def test_a_body_that_is_too_large_says_what_was_done_of_it(self, *, declared: bool) -> None:
        body = "\n".join(item(f"{n:02}") for n in range(LINES)).encode()

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(body), 1_000):
                yield body[start : start + 1_000]

        async with fake_api(Settings(api=ApiSettings(max_batch_bytes=len(body) // 2))) as api:
            headers = {**await api.key(), "Content-Type": "application/x-ndjson"}
            response = await api.client.post(
                "/v1/documents/batch", content=body if declared else pieces(), headers=headers
            )
            batch = response.json()["batch"]
            assert (response.status_code, len(sent_ids(api))) == (413, batch["accepted"])
            assert batch["resume_at_line"] == batch["accepted"] + 1
            assert (batch["accepted"] == 0) is declared

    async def test_an_outage_names_the_lines_that_are_not_certain(
        self, api: FakeApi, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        headers = await api.key()
        send = api.log.send

        async def failing(event: Event) -> Position:
            if isinstance(event, DocumentSubmitted) and event.external_id == "40":
                raise RetryableError("kafka: away")
            return await send(event)

        monkeypatch.setattr(api.log, "send", failing)
        response = await post_batch(api, [item(f"{n:02}") for n in range(100)], headers)
        problem, batch = response.json(), response.json()["batch"]
        assert (response.status_code, problem["code"]) == (503, "dependency_unavailable")
        assert response.headers["retry-after"]
        assert [result["line"] for result in batch["results"] if result["status"] == 503] == [41]
        assert (batch["resume_at_line"], len(batch["results"])) == (41, 64)
        assert len(sent_ids(api)) == batch["accepted"] == 63

    async def test_an_answer_comes_before_the_request_is_ended(
        self, small: FakeApi, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        headers = await small.key()
        send = small.log.send

        async def hanging(event: Event) -> Position:
            if isinstance(event, DocumentSubmitted) and event.external_id == "35":
                await asyncio.Event().wait()
            return await send(event)

        monkeypatch.setattr(small.log, "send", hanging)
        response = await post_batch(small, [item(f"{n:02}") for n in range(LINES)], headers)
        batch = response.json()["batch"]
        assert (response.status_code, response.json()["code"]) == (504, "timeout")
        assert (batch["accepted"], batch["resume_at_line"]) == (32, 33)

    async def test_an_outage_at_the_first_line_is_a_plain_outage(self, api: FakeApi) -> None:
        headers = await api.key()
        api.log.away = True
        response = await post_batch(api, [item("a")], headers)
        assert (response.status_code, response.json()["code"]) == (503, "dependency_unavailable")
        assert (response.json()["batch"]["accepted"], response.json()["batch"]["resume_at_line"]) == (0, 1)
