"""`headwater sources undo`: what it says to people and to programs, and how it ends."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from headwater.cli import source_undo
from headwater.errors import FatalError
from headwater.undoing import Lost, Undone
from tests.support.stub_api import StubApi, run

ASKED = ("sources", "undo", "handbook", "--since", "2026-03-02T08:00")
LOST = [Lost(external_id=f"{number}.md", why="its content is collected") for number in range(source_undo.NAMED + 1)]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return what the log was asked for; it answers with the first of these, which a test puts there."""
    calls: list[Any] = []

    async def answer(settings: object, *wanted: object) -> Undone:
        result = calls.pop()
        calls.append(wanted)
        if isinstance(result, Exception):
            raise result
        assert isinstance(result, Undone)
        return result

    monkeypatch.setattr(source_undo, "_undo", answer)
    return calls


@pytest.mark.parametrize(("options", "dry_run"), [([], False), (["--dry-run"], True)])
def test_what_comes_back_is_counted(api: StubApi, asked: list[Any], options: list[str], dry_run: bool) -> None:
    asked.append(Undone(restored=3, kept=2))
    told = run(api, *ASKED, *options)
    verb = "would be submitted" if dry_run else "are submitted"
    assert (told.exit_code, told.stdout) == (0, "")
    assert told.stderr == f"3 deleted documents of handbook {verb} again, 2 waiting deletions dropped\n"
    assert asked == [("default", "handbook", datetime(2026, 3, 2, 8, tzinfo=UTC), dry_run)]
    asked[:] = [Undone(restored=3, kept=2)]
    program = run(api, *ASKED, *options, "--tenant", "acme", "--json")
    assert json.loads(program.stdout) == {"restored": 3, "kept": 2, "lost": [], "dry_run": dry_run}
    assert asked[0][0] == "acme"


def test_what_cannot_come_back_is_named_and_fails(api: StubApi, asked: list[Any]) -> None:
    asked.append(Undone(restored=1, lost=LOST))
    told = run(api, *ASKED)
    assert told.exit_code == 1
    assert "0.md cannot come back: its content is collected" in told.stderr
    assert f"{LOST[-1].external_id} cannot" not in told.stderr
    assert "21 in all" in told.stderr
    assert "`headwater sources sync handbook --mode full`" in told.stderr
    asked[:] = [Undone(restored=1, lost=LOST)]
    program = run(api, *ASKED, "--json")
    assert (program.exit_code, len(json.loads(program.stdout)["lost"])) == (1, len(LOST))


def test_a_refusal_of_the_log_is_told(api: StubApi, asked: list[Any]) -> None:
    """The command reads the log with its own rights."""
    asked.append(FatalError("Kafka refuses: the group may not be read; grant it"))
    told = run(api, *ASKED, "--json")
    assert (told.exit_code, "headwater: Kafka refuses" in told.stderr) == (1, True)
    assert json.loads(told.stdout)["error"]["message"].startswith("Kafka refuses")


@pytest.mark.parametrize("since", [[], ["--since", "yesterday"]])
def test_since_when_must_be_said(api: StubApi, asked: list[Any], since: list[str]) -> None:
    assert run(api, *ASKED[:3], *since).exit_code == 2
    assert asked == []
