"""Writing many documents in one request."""

import json

from headwater.access.tokens import decode_token
from schemas.events import DocumentSubmitted
from tests.support.api import FakeApi
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
        assert [result["line"] for result in outcome["results"]] == [1, 2, 3, 4, 5, 6, 7]
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

    async def test_too_many_lines_are_refused(self, api: FakeApi) -> None:
        response = await post_batch(api, ['{"op": "x"}'] * 1_001, await api.key())
        assert (response.status_code, response.json()["code"]) == (413, "content_too_large")

    async def test_an_outage_ends_the_request(self, api: FakeApi) -> None:
        headers = await api.key()
        api.log.away = True
        response = await post_batch(api, [item("a")], headers)
        assert (response.status_code, response.json()["code"]) == (503, "dependency_unavailable")
