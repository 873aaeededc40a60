"""Every command answers programs: one JSON document on standard output, whatever people are told beside it."""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from headwater.cli import demo, main
from headwater.cli.logs import LogTail
from headwater.demo.play import Act, Played, play
from headwater.demo.stage import ActFailedError, Stage
from headwater.local.places import places_of
from headwater.settings import Settings
from tests.architecture.test_documentation_commands import command_of
from tests.support.stub_api import StubApi, run

PATH = "/v1/directory/sources/handbook"
BASE = "/v1/directory/knowledge-bases/kb"
ACCEPTED = {"kind": "sources", "id": "handbook", "token": "t"}


def leaves(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    below = getattr(command, "commands", None)
    if below is None:
        yield name, command
        return
    for word, each in below.items():
        yield from leaves(each, f"{name} {word}")


COMMANDS = dict(leaf for name in main.COMMANDS for leaf in leaves(command_of(name), name))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_json(name: str) -> None:
    assert "--json" in {option for each in COMMANDS[name].params for option in each.opts}


@pytest.mark.parametrize(
    ("arguments", "answers", "told"),
    [
        (["sources", "pause", "handbook"], {f"PUT {PATH}": ACCEPTED}, ACCEPTED | {"paused": True}),
        (["sources", "resume", "handbook"], {f"PUT {PATH}": ACCEPTED}, ACCEPTED | {"paused": False}),
        (
            ["sources", "add", "handbook", "--kind", "s3", "--knowledge-base", "kb"],
            {f"PUT {BASE}": ACCEPTED, f"PUT {PATH}": ACCEPTED},
            ACCEPTED,
        ),
        (["sync", "handbook"], {f"POST {PATH}/sync": {"mode": "full"}}, {"mode": "full"}),
        (["sources", "sync", "handbook", "--cancel"], {f"DELETE {PATH}/sync": {"mode": None}}, {"mode": None}),
        (["sources", "remove", "handbook", "--yes"], {f"DELETE {PATH}": ACCEPTED}, ACCEPTED | {"documents": 41}),
        (
            ["sources", "remove", "handbook", "--keep-documents"],
            {f"DELETE {PATH}": ACCEPTED},
            ACCEPTED | {"documents": 0},
        ),
        (
            ["sources", "approve", "handbook", "--all"],
            {f"POST {PATH}/deletions/approve": {"approved": 3, "left": 0, "token": "t"}},
            {"source": "handbook", "approved": 3, "waiting": 3},
        ),
        (["generations", "drop", "g2", "--dry-run"], {}, {"name": "g2", "removed": False}),
        (["schemas", "add", "DocumentChanged"], {}, {"event": "DocumentChanged", "added": None}),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_what_a_command_did_is_one_document(
    api: StubApi, arguments: list[str], answers: dict[str, Any], told: dict[str, Any]
) -> None:
    newest = "2026-03-02T09:18:00Z"
    api.answers[f"GET {PATH}"] = (200, {"revision": 7, "record": {"paused": False}})
    api.answers[f"GET {PATH}/deletions"] = (200, {"waiting": 3, "source_documents": 41, "newest_at": newest})
    api.answers |= {asked: (202, answer) for asked, answer in answers.items()}
    result = run(api, *arguments, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == told


PROBLEM = {"detail": "documents/x: not found", "remedy": "Check the id.", "code": "not_found"}


def test_a_refusal_of_the_api_is_a_document(api: StubApi) -> None:
    api.answers["GET /v1/documents/x"] = (404, PROBLEM)
    result = run(api, "documents", "show", "x", "--json")
    assert (result.exit_code, "headwater: documents/x: not found" in result.stderr) == (1, True)
    failure = {"message": "documents/x: not found. Check the id.", "code": "not_found", "status": 404}
    assert json.loads(result.stdout) == {"error": failure}
    assert run(api, "documents", "show", "x").stdout == ""


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("HEADWATER_API__PORT", "1", "does not answer"),
        ("HEADWATER_API__PORT", "none", "HEADWATER_API__PORT is wrong"),
        ("HEADWATER_API__KEY", "k\u00e9y", "HEADWATER_API__KEY: holds no API key"),
        ("HEADWATER_API__KEY", "a\nb", "HEADWATER_API__KEY: holds no API key"),
    ],
)
def test_what_else_fails_is_a_document(monkeypatch: pytest.MonkeyPatch, setting: str, value: str, said: str) -> None:
    monkeypatch.setenv("HEADWATER_API__KEY", "hw_test")
    monkeypatch.setenv(setting, value)
    result = CliRunner().invoke(main.app, ["search", "leave", "--json"])
    failure = json.loads(result.stdout)["error"]
    assert (result.exit_code, failure["code"], failure["status"]) == (1, None, None)
    assert said in failure["message"]


def test_the_stacks_settings_are_an_object(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HEADWATER_LOCAL__STATE_FOLDER", str(tmp_path))
    result = CliRunner().invoke(main.app, ["env", "--json"])
    assert json.loads(result.stdout)["HEADWATER_API__PORT"] == "8080"


def test_a_log_is_an_object_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HEADWATER_LOCAL__STATE_FOLDER", str(tmp_path))
    folder = places_of(Settings().local).logs
    folder.mkdir(parents=True)
    (folder / "admit.log").write_text('{"event": "started"}\nplain "text"\n')
    (folder / "embed.log").write_text("busy\n")
    result = CliRunner().invoke(main.app, ["logs", "--json"])
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {"process": "admit", "line": '{"event": "started"}'},
        {"process": "admit", "line": 'plain "text"'},
        {"process": "embed", "line": "busy"},
    ]


def test_a_followed_log_shows_whole_lines_and_survives_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "admit.log"
    path.write_text("before\n")
    tail = LogTail(path=path, name="admit")
    with path.open("a") as log:
        log.write("one\ntw")
        log.flush()
        assert tail.fresh() == ["one"]
        log.write("o\n")
    assert tail.fresh() == ["two"]
    path.write_text("new\n")
    assert tail.fresh() == ["new"]


def refusing(_: Stage) -> list[str]:
    raise ActFailedError("the edit is not found")


def empty_handed(_: Stage) -> list[str]:
    return [{"hits": ""}["sources"]]


@pytest.mark.parametrize(
    ("broken", "failure"),
    [(refusing, "the edit is not found"), (empty_handed, "KeyError: 'sources'")],
)
def test_the_act_that_fails_is_named_and_the_last(
    broken: Any, failure: str, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen: tuple[Act, ...] = (("Ingest", lambda _: ["all there"]), ("Edit", broken), ("Delete", lambda _: ["gone"]))
    announced: list[str] = []
    played = play(
        cast("Stage", None),
        announce=announced.append,
        tell=demo.show_act,
        chosen=chosen,
        follow=lambda _: nullcontext(),
    )
    assert announced == ["Act 1. Ingest", "Act 2. Edit"]
    assert [(each.act, each.said, each.failure) for each in played] == [(1, ("all there",), None), (2, (), failure)]
    assert f"act 2 (Edit) failed: {failure}" in capsys.readouterr().err
    assert isinstance(played[0], Played)
