"""`headwater schemas`, as it is called in CI and by hand."""

import json

import pytest
from typer.testing import CliRunner

from headwater.cli.schemas import app
from schemas import gate
from schemas.events import EVENT_TYPES
from schemas.registry import load_manifest
from schemas.snapshot import working_tree

RUN = CliRunner()


def test_check_passes_for_this_tree() -> None:
    done = RUN.invoke(app, ["check"])
    assert done.exit_code == 0, done.output
    assert "contracts are FULL compatible" in done.output


def test_check_answers_programs() -> None:
    report = json.loads(RUN.invoke(app, ["check", "--json"]).stdout)
    assert report["problems"] == []


def test_check_names_an_unknown_base() -> None:
    done = RUN.invoke(app, ["check", "--base", "no-such-revision"])
    assert done.exit_code == 1
    assert "--base no-such-revision: git knows no such revision" in done.output


def test_check_fails_with_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "fingerprint", lambda _: "other")
    done = RUN.invoke(app, ["check"])
    assert done.exit_code == 1
    assert "was edited after it was registered" in done.output


def test_list_names_every_id() -> None:
    listed = json.loads(RUN.invoke(app, ["list", "--json"]).stdout)
    assert [each["id"] for each in listed] == [each.id for each in load_manifest()]
    assert all(kind.__name__ in RUN.invoke(app, ["list"]).output for kind in EVENT_TYPES)


@pytest.mark.parametrize("event", [kind.__name__ for kind in EVENT_TYPES])
def test_add_has_nothing_to_do(event: str) -> None:
    before = working_tree()
    done = RUN.invoke(app, ["add", event])
    assert done.exit_code == 0
    assert f"{event} is as its latest schema says" in done.output
    assert working_tree() == before


def test_add_names_the_known_events() -> None:
    done = RUN.invoke(app, ["add", "Nothing"])
    assert done.exit_code == 1
    assert "there is no event Nothing; known are AuditRecorded" in done.output


def test_publish_needs_a_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADWATER_KAFKA__SCHEMA_REGISTRY_URL", raising=False)
    done = RUN.invoke(app, ["publish"])
    assert "HEADWATER_KAFKA__SCHEMA_REGISTRY_URL is not set" in str(done.exception)
