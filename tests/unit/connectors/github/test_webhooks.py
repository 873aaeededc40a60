"""Deliveries ask for looks, and nothing in them is believed."""

import json
from typing import Any

import pytest

from connectors.github.webhooks import DeliveryError, work_of_delivery
from connectors.work import Work

REPOSITORY: dict[str, Any] = {"repository": {"id": 7, "full_name": "acme/other"}}


@pytest.mark.parametrize(
    ("event", "payload", "work"),
    [
        ("push", REPOSITORY | {"ref": "refs/heads/main"}, Work(items=frozenset({"repo:7"}))),
        ("repository", REPOSITORY | {"action": "deleted"}, Work(items=frozenset({"repo:7"}))),
        *(
            ("repository", REPOSITORY | {"action": action}, Work(items=frozenset({"repo:7"})))
            for action in ("archived", "unarchived", "renamed", "transferred", "privatized", "publicized")
        ),
        ("member", REPOSITORY, Work(items=frozenset({"repo:7"}))),
        ("public", REPOSITORY, Work(items=frozenset({"repo:7"}))),
        ("team_add", REPOSITORY, Work(items=frozenset({"repo:7"}))),
        ("delete", REPOSITORY | {"ref_type": "branch"}, Work(items=frozenset({"repo:7"}))),
        ("issues", REPOSITORY | {"issue": {"number": 3}}, Work(items=frozenset({"repo:7/issue/3"}))),
        ("pull_request", REPOSITORY | {"pull_request": {"number": 4}}, Work(items=frozenset({"repo:7/issue/4"}))),
        ("issue_comment", REPOSITORY | {"issue": {"number": 3}}, Work(items=frozenset({"repo:7/issue/3"}))),
        (
            "pull_request_review",
            REPOSITORY | {"pull_request": {"number": 4}},
            Work(items=frozenset({"repo:7/issue/4"})),
        ),
        ("release", REPOSITORY | {"release": {"id": 5}}, Work(items=frozenset({"repo:7/release/5"}))),
        ("discussion", REPOSITORY | {"discussion": {"number": 6}}, Work(items=frozenset({"repo:7/discussion/6"}))),
        (
            "discussion_comment",
            REPOSITORY | {"discussion": {"number": 6}},
            Work(items=frozenset({"repo:7/discussion/6"})),
        ),
        (
            "pull_request_review_comment",
            REPOSITORY | {"pull_request": {"number": 4}},
            Work(items=frozenset({"repo:7/issue/4"})),
        ),
        ("create", REPOSITORY | {"ref_type": "branch"}, Work(items=frozenset({"repo:7"}))),
        ("gollum", REPOSITORY | {"pages": []}, Work(items=frozenset({"repo:7/wiki"}))),
        ("team", {"action": "edited"}, Work(permissions=True)),
        ("organization", {"action": "member_removed"}, Work(permissions=True)),
        ("installation", {}, Work(changes=True)),
        ("membership", {"member": {"login": "ann"}}, Work(permissions=True)),
        ("installation_repositories", {}, Work(changes=True)),
        ("ping", {"zen": "Half measures"}, Work()),
        ("star", REPOSITORY, Work()),
    ],
)
def test_what_a_delivery_asks_for(event: str, payload: dict[str, Any], work: Work) -> None:
    for name in ("x-github-event", "X-GitHub-Event"):
        assert work_of_delivery({name: event}, json.dumps(payload).encode()) == work


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b"{}"),
        ({"X-GitHub-Event": "push"}, b"payload=%7B%7D"),
        ({"X-GitHub-Event": "push"}, b"[]"),
        ({"X-GitHub-Event": "push"}, b'{"repository": {"id": "7/file/x"}}'),
        ({"X-GitHub-Event": "push"}, b'{"repository": {"id": true}}'),
        ({"X-GitHub-Event": "push"}, b'{"repository": {"id": 0}}'),
        ({"X-GitHub-Event": "push"}, b'{"repository": {"id": 1000000000000000000}}'),
        ({"X-GitHub-Event": "push"}, b"[" * 100_000),
        ({"X-GitHub-Event": "issues"}, b'{"repository": {"id": 7}}'),
        ({"X-GitHub-Event": "ping"}, b"["),
    ],
)
def test_what_is_no_delivery_is_refused(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(DeliveryError):
        work_of_delivery(headers, body)
