"""`headwater sources approve`, `remove`: what they ask the API for, and when they stop."""

import json
from typing import Any

import pytest

from tests.support.stub_api import StubApi, run

PATH = "/v1/directory/sources/handbook"
WAITING = f"{PATH}/deletions"
APPROVE = f"POST {WAITING}/approve"
NEWEST = "2026-03-02T09:18:00.760000Z"


def waiting(count: int) -> dict[str, Any]:
    return {"source": "handbook", "waiting": count, "newest_at": NEWEST if count else None}


def documents(count: int) -> tuple[int, dict[str, Any]]:
    return 200, waiting(0) | {"source_documents": count}


def accepted(approved: int, left: int, token: str = "") -> tuple[int, dict[str, Any]]:
    return 202, {"source": "handbook", "approved": approved, "left": left, "token": token}


def bodies(api: StubApi) -> list[dict[str, Any]]:
    return [json.loads(each.body) for each in api.asked if each.method == "POST"]


def test_all_that_were_seen_are_approved_a_page_after_the_other(api: StubApi) -> None:
    api.answers[f"GET {WAITING}"] = (200, waiting(1_200))
    api.queued[APPROVE] = [accepted(1_000, 200, "first"), accepted(200, 0)]
    result = run(api, "sources", "approve", "handbook", "--all")
    assert result.exit_code == 0, result.output
    assert "approved 1200 of 1200" in result.output
    until = "2026-03-02T09:18:00.760000+00:00"
    assert bodies(api) == [{"until": until, "limit": 1_000}, {"until": until, "limit": 200}]
    assert [each.path for each in api.asked[1:]] == [f"{WAITING}/approve", f"{WAITING}/approve?after=first"]


@pytest.mark.parametrize(
    ("options", "body"),
    [
        (["--count", "2"], {"until": "2026-03-02T09:18:00.760000+00:00", "limit": 2}),
        (["--until", "2026-03-02T09:16:00"], {"until": "2026-03-02T09:16:00+00:00", "limit": 3}),
        (["--until", "2026-03-03"], {"until": "2026-03-02T09:18:00.760000+00:00", "limit": 3}),
        (["--all", "--until", "2026-03-02"], {"until": "2026-03-02T00:00:00+00:00", "limit": 3}),
    ],
)
def test_fewer_are_approved_on_request(api: StubApi, options: list[str], body: dict[str, Any]) -> None:
    api.answers[f"GET {WAITING}"] = (200, waiting(3))
    api.answers[APPROVE] = accepted(2, 0)
    assert "approved 2 of 3" in run(api, "sources", "approve", "handbook", *options).output
    assert bodies(api) == [body]


def test_nothing_is_approved_where_nothing_waits_or_nobody_says_which(api: StubApi) -> None:
    api.answers[f"GET {WAITING}"] = (200, waiting(0))
    assert "approved 0 of 0" in run(api, "sources", "approve", "handbook", "--all").output
    assert run(api, "sources", "approve", "handbook").exit_code == 2
    assert bodies(api) == []


@pytest.mark.parametrize(("options", "typed"), [([], "41\n"), (["--yes"], "")])
def test_a_source_is_removed_with_as_many_documents_as_were_confirmed(
    api: StubApi, options: list[str], typed: str
) -> None:
    api.answers[f"GET {WAITING}"] = documents(41)
    api.answers[f"DELETE {PATH}"] = (202, {"kind": "sources", "id": "handbook", "token": "t"})
    result = run(api, "sources", "remove", "handbook", *options, typed=typed)
    assert result.exit_code == 0, result.output
    assert [each.path for each in api.asked if each.method == "DELETE"] == [f"{PATH}?documents=41"]


def test_another_number_removes_nothing(api: StubApi) -> None:
    api.answers[f"GET {WAITING}"] = documents(41)
    assert run(api, "sources", "remove", "handbook", typed="40\n").exit_code == 1
    assert [each.method for each in api.asked] == ["GET"]


def test_the_documents_may_stay(api: StubApi) -> None:
    api.answers[f"DELETE {PATH}"] = (202, {"kind": "sources", "id": "handbook", "token": "t"})
    assert "documents stay" in run(api, "sources", "remove", "handbook", "--keep-documents").output
    assert [each.path for each in api.asked] == [PATH]
