"""What `make setup` would run: everything on a fresh machine, nothing that downloads on one that is set up."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[3]
READ: Final = ("Makefile", "pyproject.toml", "uv.lock", ".ci/uv.txt")
LONG_AGO_S: Final = 1_700_000_000
MADE: Final = (".headwater/tools/uv/.installed", ".venv/bin/.synced")
FETCHING: Final = ("pip install", "uv sync")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What make looks at, as old as one another; nothing is installed."""
    for name in READ:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
        os.utime(tmp_path / name, (LONG_AGO_S, LONG_AGO_S))
    return tmp_path


def set_up(checkout: Path) -> None:
    """Leave what a set-up leaves, a minute later."""
    for later, name in enumerate(MADE, 1):
        (checkout / name).parent.mkdir(parents=True)
        (checkout / name).touch()
        os.utime(checkout / name, (LONG_AGO_S + 60 * later, LONG_AGO_S + 60 * later))


def make(checkout: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run make as from a shell: what the `make` above this test exports is not for it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", f"PYTHON={sys.executable}", *arguments]
    return subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def fetching(planned: str) -> list[str]:
    return [step for step in FETCHING if step in planned]


def test_a_fresh_machine_gets_uv_and_then_the_lock(checkout: Path) -> None:
    planned = make(checkout, "-n", "setup").stdout
    assert fetching(planned) == ["pip install", "uv sync"]
    assert "--require-hashes" in planned
    assert "sync --locked" in planned
    assert planned.splitlines()[-1] == ".venv/bin/headwater setup"


@pytest.mark.parametrize("target", ["setup", "demo", "test"])
def test_a_second_run_has_nothing_to_fetch(checkout: Path, target: str) -> None:
    set_up(checkout)
    planned = make(checkout, "-n", target).stdout
    assert fetching(planned) == []
    assert planned.splitlines()[0] == ".venv/bin/headwater setup"


@pytest.mark.parametrize(("changed", "again"), [("uv.lock", ["uv sync"]), (".ci/uv.txt", ["pip install", "uv sync"])])
def test_what_was_pinned_anew_is_fetched_anew(checkout: Path, changed: str, again: list[str]) -> None:
    set_up(checkout)
    (checkout / changed).touch()
    assert fetching(make(checkout, "-n", "setup").stdout) == again


def test_a_machine_without_python_is_told_in_one_sentence_what_to_install(checkout: Path) -> None:
    refused = make(checkout, "PYTHON=/nowhere/python3.11", "setup")
    assert refused.returncode == 2
    [sentence, ended] = refused.stderr.splitlines()
    assert sentence == (
        "Python 3.11 is missing: install it (Debian: apt-get install python3.11 python3.11-venv), "
        "or name it: make PYTHON=/path/to/python3.11"
    )
    assert ended.startswith("make: ***")
