"""A machine that is set up needs no network to be set up again."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

NOT_PERMITTED: Final = 77
SET_UP: Final = "from headwater.cli.main import app; app(['setup', '--json'])"
# A network namespace of its own, with nothing in it: Maven, apt and whatever else asks for a host fails at once.
APART: Final = f"""
from streams.prepare.confinement import leave_network
if not leave_network():
    raise SystemExit({NOT_PERMITTED})
{SET_UP}
"""


def ran(program: str, state: Path) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "HEADWATER_LOCAL__STATE_FOLDER": str(state)}
    return subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False, timeout=500
    )


def test_a_second_set_up_downloads_nothing(tmp_path: Path) -> None:
    first = ran(SET_UP, tmp_path)
    assert first.returncode == 0, first.stderr
    second = ran(APART, tmp_path)
    if second.returncode == NOT_PERMITTED:
        pytest.skip("this kernel permits no network namespaces")
    assert second.returncode == 0, second.stderr
    assert json.loads(second.stdout) == json.loads(first.stdout)
    told = second.stderr.splitlines()
    assert [line for line in told if not line.startswith("models: building the model repository where it has")] == []
