"""Sources through the API: a wrong setting and a credential in plain are refused, and neither told nor kept."""

from dataclasses import replace
from typing import Any

import pytest

from schemas.events.directory import DirectoryKind, Source
from schemas.ids import KnowledgeBaseId
from tests.support.api import FakeApi

CANARY = "canary-c0ffee"
PATH = "/v1/directory/sources/code"
CODE = {
    "name": "Code",
    "kind": "github",
    "knowledge_base": "handbook",
    "settings": {"organisation": "acme"},
    "secrets": {"token": "env:code"},
}


@pytest.mark.parametrize(
    ("changed", "field", "remedy"),
    [
        ({"settings": {"organisation": "acme", "branch": CANARY}}, "settings.branch", "Correct the source"),
        ({"settings": {"organisation": "acme", "issues": CANARY}}, "settings.issues", "Correct the source"),
        ({"settings": {"organisation": "acme", "token": CANARY}}, "settings.token", "env:NAME or file:NAME"),
        ({"settings": {"url": f"https://ann:{CANARY}@x.example/"}}, "settings.url", "env:NAME or file:NAME"),
        ({"kind": "outside", "settings": {"password": CANARY}}, "settings.password", "env:NAME or file:NAME"),
        ({"secrets": {"token": CANARY}}, "secrets.token", ""),
        ({"secrets": {"token": f"env:ghp_{CANARY}"}}, "secrets.token", "where it is"),
    ],
)
async def test_what_may_not_be_written_is_named_and_not_quoted(
    api: FakeApi, changed: dict[str, Any], field: str, remedy: str, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = await api.client.put(PATH, json=CODE | changed, headers=await api.key())
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert remedy in answer.json()["remedy"]
    assert api.log.events == []
    assert CANARY not in answer.text + str(capfd.readouterr())


async def test_other_kinds_say_what_they_like(api: FakeApi) -> None:
    headers = await api.key()
    for kind, settings in (("api", {}), ("outside", {"colour": "blue", "url": "https://x.example/"}), ("objects", {})):
        body = {"name": "S", "kind": kind, "knowledge_base": "handbook", "settings": settings}
        assert (await api.client.put(PATH, json=body, headers=headers)).status_code == 202


async def test_what_the_directory_says_already_is_not_judged_again(api: FakeApi) -> None:
    """Whoever pauses a source sends all of its record, which may be older than a rule."""
    headers = await api.key()
    old = Source(
        name="Code",
        kind="github",
        knowledge_base=KnowledgeBaseId("handbook"),
        settings={"organisation": "acme", "gone": "x"},
        secrets={"token": "env:ghp_0123456789abcdef"},
    )
    await api.put(DirectoryKind.SOURCE, "code", old)
    record = (await api.client.get(PATH, headers=headers)).json()["record"]
    assert record["settings"] == dict(old.settings)
    assert (await api.client.put(PATH, json=record | {"paused": True}, headers=headers)).status_code == 202
    for change in (
        {"kind": "airbyte"},
        {"settings": {**old.settings, "more": "y"}},
        {"secrets": {"a": "env:ghp_" + "b" * 20}},
    ):
        assert (await api.client.put(PATH, json=record | change, headers=headers)).status_code == 422
    await api.put(DirectoryKind.SOURCE, "code", replace(old, settings={"organisation": "acme"}))
    assert (await api.client.put(PATH, json=record, headers=headers)).status_code == 422
