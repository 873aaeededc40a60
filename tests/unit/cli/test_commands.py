import subprocess
import sys

import pytest
from typer.testing import CliRunner

from headwater.cli import main


def test_every_command_is_listed_and_none_of_their_modules_is_imported() -> None:
    """Help must come at once: a module is imported when its command is used."""
    script = (
        "import sys; from headwater.cli.main import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = sorted({'headwater.local', 'confluent_kafka', 'pymilvus', 'httpx'} & set(sys.modules))\n"
        "assert not heavy, heavy"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert [name for name in main.COMMANDS if name not in shown.stdout] == []


def test_a_failure_is_one_sentence_and_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = main.Entry(module="headwater.cli.absent", help="Not there.")
    monkeypatch.setitem(main.COMMANDS, "doctor", absent)
    result = CliRunner().invoke(main.app, ["doctor"])
    assert result.exit_code == 1
    assert result.output == "headwater: `doctor` is not part of this installation: headwater.cli.absent is missing\n"


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_LOCAL__PORTS", "many")
    result = CliRunner().invoke(main.app, ["env"])
    assert result.exit_code == 1
    assert "the setting HEADWATER_LOCAL__PORTS is wrong: Input should be 'fixed' or 'free'" in result.output


def test_a_list_that_is_not_json_is_named_and_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_CONNECTORS__FILESYSTEM_ROOTS", "/srv/canary")
    monkeypatch.setenv("HEADWATER_CONNECTORS__PARALLEL_SYNCS", "3")
    result = CliRunner().invoke(main.app, ["env"])
    assert result.exit_code == 1
    assert result.output == (
        "headwater: a setting is not JSON, which lists and tables are written in, as in "
        '["a", "b"]: HEADWATER_CONNECTORS__FILESYSTEM_ROOTS\n'
    )


def test_an_unknown_process_is_answered_with_the_known_ones() -> None:
    result = CliRunner().invoke(main.app, ["logs", "nobody"])
    assert result.exit_code == 1
    assert "nobody has no log" in result.output
