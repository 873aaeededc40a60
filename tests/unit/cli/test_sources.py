"""`headwater sources` and `headwater sync NAME`: what they send, what they print."""

import json
from typing import Any

import pytest

from tests.support.stub_api import StubApi, run

RECORD: dict[str, Any] = {
    "kind": "sources",
    "id": "handbook",
    "revision": 7,
    "record": {
        "name": "Handbook",
        "kind": "filesystem",
        "knowledge_base": "kb",
        "settings": {"root": "/srv/handbook"},
        "max_deletions_per_hour": None,
        "paused": False,
        "secrets": {},
        "schedule": "0 * * * *",
    },
}
SYNC = {"source": "handbook", "ending": "partial", "updated_at": "2026-03-02T09:15:00Z", "message": "1 failed"}
PATH = "/v1/directory/sources/handbook"
BASE = "/v1/directory/knowledge-bases/kb"


def test_list_shows_every_page_with_the_newest_sync(api: StubApi) -> None:
    new = RECORD | {"id": "new"}
    pages = [(200, {"records": [RECORD], "cursor": "c"}), (200, {"records": [new], "cursor": None})]
    api.queued["GET /v1/directory/sources"] = pages
    api.answers["GET /v1/syncs"] = (200, {"syncs": [SYNC]})
    rows = json.loads(run(api, "sources", "list", "--json").output)
    assert [(row["source"], row["sync"], row["schedule"]) for row in rows] == [
        ("handbook", "partial", "0 * * * *"),
        ("new", None, "0 * * * *"),
    ]


def test_show_adds_the_sync_and_does_without_one(api: StubApi) -> None:
    api.answers[f"GET {PATH}"] = (200, RECORD)
    api.answers[f"GET {PATH}/sync"] = (200, SYNC)
    api.answers[f"GET {PATH}/deletions"] = (200, {"waiting": 3, "newest_at": None})
    assert "waiting: 3" in run(api, "sources", "show", "handbook").output
    assert "1 failed" in run(api, "sources", "show", "handbook").output
    api.answers[f"GET {PATH}/sync"] = (404, {"code": "not_found", "detail": "never", "remedy": "sync it"})
    assert json.loads(run(api, "sources", "show", "handbook", "--json").output)["sync"] is None


def test_add_sends_settings_and_where_secrets_are(api: StubApi) -> None:
    api.answers[f"PUT {PATH}"] = (202, {"kind": "sources", "id": "handbook", "token": "t"})
    api.answers[f"GET {PATH}"] = (200, RECORD)
    api.answers[f"PUT {BASE}"] = (412, {"code": "precondition_failed", "detail": "it exists", "remedy": "read it"})
    options = ["--kind", "s3", "--knowledge-base", "kb", "--setting", "bucket=a=b", "--secret", "key=env:KEY"]
    result = run(api, "sources", "add", "handbook", *options, "--schedule", "0 3 * * *")
    assert result.exit_code == 0, result.output
    body = json.loads(api.asked[1].body)
    assert api.asked[2].path == f"{PATH}?after=t", "it is there for the next command"
    assert (body["settings"], body["secrets"], body["schedule"]) == ({"bucket": "a=b"}, {"key": "env:KEY"}, "0 3 * * *")
    assert run(api, "sources", "add", "handbook", *options[:4], "--setting", "bucket").exit_code == 2


def test_add_makes_the_knowledge_base_where_there_is_none(api: StubApi) -> None:
    api.answers[f"PUT {BASE}"] = (202, {"kind": "knowledge-bases", "id": "kb", "token": "made"})
    api.answers[f"PUT {PATH}"] = (202, {"kind": "sources", "id": "handbook", "token": "t"})
    api.answers[f"GET {PATH}"] = (200, RECORD)
    options = ["--kind", "s3", "--knowledge-base", "kb"]
    assert run(api, "sources", "add", "handbook", *options).exit_code == 0
    assert [(each.method, each.path) for each in api.asked] == [
        ("PUT", BASE),
        ("PUT", f"{PATH}?after=made"),  # what names it is judged once it is there
        ("GET", f"{PATH}?after=t"),
    ]
    api.answers[f"PUT {BASE}"] = (403, {"code": "forbidden", "detail": "no right", "remedy": "ask for it"})
    assert run(api, "sources", "add", "handbook", *options).exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "method", "body"),
    [
        (["sync", "handbook"], "POST", {"mode": "incremental", "items": []}),
        (["sync", "source", "handbook", "--mode", "full"], "POST", {"mode": "full", "items": []}),
        (["sources", "sync", "handbook", "--mode", "permissions"], "POST", {"mode": "permissions", "items": []}),
        (["sources", "sync", "handbook", "--item", "a.md"], "POST", {"mode": "items", "items": ["a.md"]}),
        (["sources", "sync", "handbook", "--cancel"], "DELETE", None),
    ],
)
def test_a_sync_is_asked_for(api: StubApi, arguments: list[str], method: str, body: dict[str, Any] | None) -> None:
    api.answers[f"{method} {PATH}/sync"] = (202, {"source": "handbook", "mode": None})
    result = run(api, *arguments)
    assert result.exit_code == 0, result.output
    [asked] = api.asked
    assert (asked.method, asked.path) == (method, f"{PATH}/sync")
    assert (json.loads(asked.body) if asked.body else None) == body


@pytest.mark.parametrize(("command", "paused"), [("pause", True), ("resume", False)])
def test_pausing_changes_nothing_else(api: StubApi, command: str, paused: bool) -> None:
    api.answers[f"GET {PATH}"] = (200, RECORD)
    api.answers[f"PUT {PATH}"] = (202, {"kind": "sources", "id": "handbook", "token": "t"})
    assert run(api, "sources", command, "handbook").exit_code == 0
    assert json.loads(api.asked[1].body) == RECORD["record"] | {"paused": paused}
