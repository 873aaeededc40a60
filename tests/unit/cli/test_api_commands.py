"""Commands that call the API: what they send, what they print, how they fail."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from headwater.cli.main import app
from tests.support.stub_api import StubApi, stub_api

META = {"timings_ms": {"total": 12.0}, "as_of": "2026-11-21T16:00:00Z", "query_id": "q_1", "degraded": []}
HIT = {
    "score": 0.9,
    "title": "leave",
    "section": ["Leave", "Sick leave"],
    "highlight": {"text": "Tell the duty officer", "spans": []},
}
LETTER = {
    "origin": {"topic": "rag.documents.changed", "partition": 1, "offset": 7},
    "stage": "prepare",
    "error": "MalformedDocumentError",
    "reason": "the PDF is damaged",
    "document_id": "d" * 32,
    "attempts": 1,
    "parked_at": "2026-11-21T16:00:00Z",
}


@pytest.fixture
def api() -> Iterator[StubApi]:
    with stub_api() as running:
        yield running


def run(api: StubApi, *arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env=dict(api.environment()))


def test_search_prints_passages(api: StubApi) -> None:
    api.answers["POST /v1/search"] = (200, {"hits": [HIT], "meta": META})
    result = run(api, "search", "sick leave", "--kb", "handbook", "--mode", "keyword")
    assert result.exit_code == 0, result.output
    assert "Leave > Sick leave" in result.output
    asked = json.loads(api.asked[0].body)
    assert (asked["query"], asked["knowledge_bases"], asked["mode"]) == ("sick leave", ["handbook"], "keyword")


def test_asking_as_another_user_mints_a_short_key_and_calls_with_it(api: StubApi) -> None:
    api.answers["POST /v1/keys"] = (201, {"key": "hw_minted"})
    answer = {"answer": "By phone.", "sources": [], "passages": [], "meta": META}
    api.answers["POST /v1/query"] = (200, answer)
    result = run(api, "ask", "How do I report sick?", "--as", "sam", "--json")
    assert result.exit_code == 0, result.output
    minted, asked = api.asked
    assert json.loads(minted.body)["user"] == "sam"
    assert json.loads(minted.body)["expires_in_s"] <= 600
    assert (minted.key, asked.key) == ("hw_test", "hw_minted")


def test_an_unanswered_question_is_said(api: StubApi) -> None:
    api.answers["POST /v1/query"] = (200, {"answer": None, "sources": [], "passages": [], "meta": META})
    assert "does not answer" in run(api, "ask", "Who?").output


def test_a_problem_is_one_sentence_with_its_remedy(api: StubApi) -> None:
    problem = {"detail": "query: too long", "remedy": "Shorten it.", "code": "invalid_request"}
    api.answers["POST /v1/search"] = (422, problem)
    result = run(api, "search", "x")
    assert result.exit_code == 1
    assert "query: too long. Shorten it." in result.output


def test_an_absent_api_is_one_sentence_with_the_remedy() -> None:
    environment = {"HEADWATER_API__PORT": "1", "HEADWATER_API__KEY": "hw_test"}
    result = CliRunner().invoke(app, ["search", "x"], env=environment)
    assert result.exit_code == 1
    assert "headwater up" in result.output


def test_a_missing_key_names_the_file_and_the_setting(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["search", "x"], env={"HEADWATER_API__BOOTSTRAP_KEY_FILE": str(tmp_path / "none.key")}
    )
    assert result.exit_code == 1
    assert "HEADWATER_API__KEY" in result.output


def test_a_document_is_put_with_its_content_and_readers(api: StubApi, tmp_path: Path) -> None:
    file = tmp_path / "note.md"
    file.write_text("# Note")
    api.answers["PUT /v1/documents/api/bm90ZS5tZA"] = (202, {"document_id": "d1", "token": "t"})
    result = run(api, "documents", "put", str(file), "--source", "api", "--reader", "everyone")
    assert result.exit_code == 0, result.output
    assert b"# Note" in api.asked[0].body
    assert b'"principals": ["everyone"]' in api.asked[0].body


def test_dead_letters_are_found_across_pages(api: StubApi) -> None:
    api.answers["GET /v1/parked"] = (200, {"letters": [LETTER], "cursor": None})
    listed = run(api, "parked", "list", "--json")
    assert json.loads(listed.output)[0]["stage"] == "prepare"
    shown = run(api, "parked", "show", "rag.documents.changed/1/7")
    assert "the PDF is damaged" in shown.output
    missing = run(api, "parked", "show", "rag.documents.changed/1/8")
    assert missing.exit_code == 1


def test_a_new_key_is_printed_once_and_alone(api: StubApi) -> None:
    api.answers["POST /v1/keys"] = (201, {"key": "hw_new", "id": "k1"})
    result = run(api, "keys", "create", "laptop", "--scope", "read")
    assert result.stdout.strip().endswith("hw_new")
    assert json.loads(api.asked[0].body) == {"name": "laptop", "scopes": ["read"], "expires_in_s": 365 * 24 * 3600}


FRESHNESS = {
    "met": False,
    "objectives": [
        {
            "name": "meaning",
            "target_ms": 2000,
            "percent": 95,
            "met": False,
            "burn_rate": 20.0,
            "recent_burn_rate": None,
            "error_budget_left": -19.0,
            "views": [{"within": 0, "total": 0}, {"within": 0, "total": 4}],
        }
    ],
    "legs": [{"name": "words", "count": 2, "p50_ms": 71.4, "p95_ms": 80.0, "p99_ms": None}],
    "canary": {
        "steps": [{"name": "write", "count": 1, "p50_ms": 6, "p95_ms": 6, "p99_ms": 6, "failed": 0}],
        "partitions": [{"partition": 3, "rounds": 2, "failed": {"found_by_meaning": 2}}],
    },
    "oldest": {"stage": "index-vectors", "events": 4, "age_ms": 90_000},
}


def test_freshness_shows_what_is_not_met_and_says_so_by_its_exit(api: StubApi) -> None:
    api.answers["GET /v1/freshness"] = (200, FRESHNESS)
    result = run(api, "freshness", "--window", "600")
    assert result.exit_code == 1
    assert api.asked[0].path.endswith("window_s=600")
    for part in ("meaning", "p95 2000 ms", "NO", "-1900%", "71 ms", "found_by_meaning 2", "90.0 s for index-vectors"):
        assert part in result.output
    api.answers["GET /v1/freshness"] = (200, {**FRESHNESS, "met": True, "canary": {"steps": [], "partitions": []}})
    result = run(api, "freshness")
    assert result.exit_code == 0
    assert "has reported no round" in result.output
    assert json.loads(run(api, "freshness", "--json").output)["met"] is True
