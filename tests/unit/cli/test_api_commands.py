"""Commands that call the API: what they send, what they print, how they fail."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from typer.testing import CliRunner

from headwater.cli.main import app
from tests.support.stub_api import StubApi, run

META = {"timings_ms": {"total": 12.0}, "as_of": "2026-11-21T16:00:00Z", "query_id": "q_1", "degraded": []}
HIT = {
    "score": 0.9,
    "title": "leave",
    "section": ["Leave", "Sick leave"],
    "highlight": {"text": "Tell the duty officer", "spans": []},
}
LETTER = {
    "origin": {"topic": "rag.documents.changed", "partition": 1, "offset": 7},
    "tenant_id": "acme",
    "stage": "prepare",
    "error": "MalformedDocumentError",
    "reason": "the PDF is damaged",
    "document_id": "d" * 32,
    "revision": 7,
    "state": "parked",
    "attempts": 1,
    "parked_at": "2026-11-21T16:00:00Z",
}


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


EXPLAINED = {
    "verdict": {"cause": "waiting", "places": [{"stage": "embed", "behind": 17}], "answering": None},
    "detail": "it waits at embed, behind at most 17 events of partition 3",
    "remedy": "Wait a moment and ask again.",
    "refused_since": {"reason": "file_too_large", "explanation": "content: 10 bytes, and a file may have 9"},
    "expired_unread": [{"lane": "live", "partition": 3, "found_at": "2026-03-02T12:00:00Z"}],
    "degraded": ["keywords_only"],
}


def test_explaining_prints_cause_remedy_and_evidence(api: StubApi) -> None:
    document = "d" * 32
    api.answers[f"POST /v1/documents/{document}/explain"] = (200, EXPLAINED)
    result = run(api, "documents", "explain", document, "--question", "annual leave", "--as", "sam", "--kb", "handbook")
    assert result.exit_code == 0, result.output
    assert "waiting: it waits at embed, behind at most 17 events" in result.output
    assert "Wait a moment" in result.output
    assert "behind: 17" in result.output
    assert "refused (file_too_large)" in result.output
    assert "a file may have 9" in result.output
    assert "expired unread in its partition (3, lane live; found at 2026-03-02T12:00:00Z)" in result.output
    assert "degraded: keywords_only" in result.output
    (asked,) = api.asked  # with the caller's own key: the verdict may be one that sam must not be told
    assert asked.key == "hw_test"
    assert json.loads(asked.body) == {
        "query": "annual leave",
        "as_user": "sam",
        "kind": "answer",
        "knowledge_bases": ["handbook"],
        "mode": "hybrid",
    }


def test_a_document_is_explained_by_its_address_and_as_json(api: StubApi) -> None:
    api.answers["POST /v1/documents/wiki/bm90ZS5tZA/explain"] = (200, EXPLAINED)
    result = run(api, "documents", "explain", "note.md", "--source", "wiki", "--question", "x", "--json")
    assert json.loads(result.stdout) == EXPLAINED


def test_what_the_caller_may_not_know_of_is_one_sentence(api: StubApi) -> None:
    problem = {"detail": "documents/x: not found", "remedy": "Check the id.", "code": "not_found"}
    api.answers["POST /v1/documents/x/explain"] = (404, problem)
    result = run(api, "documents", "explain", "x", "--question", "leave")
    assert result.exit_code == 1
    assert "documents/x: not found. Check the id." in result.output


CAUSE = {"stage": "prepare", "error": "MalformedDocumentError", "count": 1, "oldest": "x", "newest": "y"}
PLACE = "rag.documents.changed/1/7"


def result_of(offset: int, **changes: Any) -> dict[str, Any]:
    origin = {"topic": "rag.documents.changed", "partition": 1, "offset": offset}
    result = {"origin": origin, "document_id": "d" * 32, "revision": 7, "verdict": "rerun", "detail": "newest"}
    return result | {"ended": "done", "token": "t"} | changes


def report_of(*results: dict[str, Any], stopped: str | None = None, cursor: str | None = None) -> dict[str, Any]:
    return {"dry_run": False, "results": results, "stopped": stopped, "cursor": cursor}


def bodies(api: StubApi) -> list[dict[str, Any]]:
    return [json.loads(each.body) for each in api.asked]


def test_dead_letters_are_listed_by_cause_and_shown(api: StubApi) -> None:
    api.answers["GET /v1/parked"] = (200, {"causes": [CAUSE], "letters": [LETTER], "cursor": None})
    listed = run(api, "parked", "list", "--stage", "prepare", "--since", "2026-11-21T10:00:00", "--json")
    assert json.loads(listed.output)["letters"][0]["stage"] == "prepare"
    asked = parse_qs(api.asked[0].path.partition("?")[2])
    assert asked == {
        "stage": ["prepare"],
        "parked_from": ["2026-11-21T10:00:00Z"],
        "state": ["parked"],
        "limit": ["50"],
    }
    assert PLACE in run(api, "parked", "list", "--state", "all", "--tenant", "other").output
    assert "state" not in api.asked[1].path
    assert "tenant=other" in api.asked[1].path
    api.answers[f"GET /v1/parked/{PLACE}"] = (200, LETTER)
    assert "the PDF is damaged" in run(api, "parked", "show", PLACE).output


def test_a_letter_that_is_not_there_is_said(api: StubApi) -> None:
    problem = {"detail": "not found", "remedy": "Check.", "code": "not_found"}
    api.answers[f"GET /v1/parked/{PLACE}"] = (404, problem)
    missing = run(api, "parked", "show", PLACE)
    assert missing.exit_code == 1
    assert "headwater parked list" in missing.output


def test_a_replay_goes_on_while_only_the_time_of_a_request_was_over(api: StubApi) -> None:
    api.queued["POST /v1/parked/replay"] = [
        (200, report_of(result_of(9), result_of(8), stopped="time", cursor="c8")),
        (200, report_of(result_of(7))),
    ]
    replayed = run(api, "parked", "replay", "--error", "X", "--limit", "120", "--policy", "stop")
    assert replayed.exit_code == 0, replayed.output
    assert [(body["limit"], body["cursor"], body["error"]) for body in bodies(api)] == [
        (100, None, "X"),
        (100, "c8", "X"),
    ]


@pytest.mark.parametrize(("last", "stopped"), [({"ended": "failed"}, "failed_again"), ({"ended": "pending"}, "time")])
def test_a_replay_that_stops_says_why(api: StubApi, last: dict[str, str], stopped: str) -> None:
    answer = report_of(result_of(9), result_of(8, **last), stopped=stopped, cursor="c")
    api.answers["POST /v1/parked/replay"] = (200, answer)
    replayed = run(api, "parked", "replay", "--json")
    assert replayed.exit_code == 1
    assert len(api.asked) == 1
    assert json.loads(replayed.stdout)["stopped"] == stopped


def test_named_letters_are_replayed_and_discarded(api: StubApi) -> None:
    api.answers["POST /v1/parked/replay"] = (200, report_of(result_of(7, verdict="superseded", ended=None)))
    assert "superseded" in run(api, "parked", "replay", PLACE, "--dry-run").output
    origin = {"topic": "rag.documents.changed", "partition": 1, "offset": 7}
    api.answers["POST /v1/parked/discard"] = (200, {"dry_run": False, "discarded": [origin], "cursor": None})
    assert f"discarded {PLACE}" in run(api, "parked", "discard", PLACE, "--reason", "damaged").output
    replayed, discarded = bodies(api)
    assert (replayed["origins"], replayed["dry_run"]) == ([origin], True)
    assert (discarded["origins"], discarded["reason"]) == ([origin], "damaged")
    wrong = run(api, "parked", "replay", "nonsense")
    assert wrong.exit_code == 2
    assert len(api.asked) == 2


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
