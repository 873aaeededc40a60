"""Contents in a folder on a disk without room: refused for now, nothing half-written, written when there is room."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from headwater.errors import RetryableError

WITNESS = "tests.support.full_disk"
OWN_MOUNTS = ("unshare", "--map-root-user", "--mount")


def ran(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(params=["limit", "tmpfs"])
def disk(request: pytest.FixtureRequest) -> Sequence[str]:
    """How to run the witness: under a limit that ends its writes, or on a file system that is really full."""
    how: str = request.param
    if how == "limit":
        return (sys.executable, "-m", WITNESS, how)
    if ran(*OWN_MOUNTS, "mount", "-t", "tmpfs", "none", "/mnt").returncode != 0:
        pytest.skip("this kernel permits no mount namespaces")
    return (*OWN_MOUNTS, sys.executable, "-m", WITNESS, how)


def test_a_full_disk_refuses_for_now_and_keeps_no_part_of_a_content(disk: Sequence[str], tmp_path: Path) -> None:
    witness = ran(*disk, str(tmp_path))
    assert witness.returncode == 0, witness.stderr
    for seen in json.loads(witness.stdout):
        assert seen["error"] == RetryableError.__name__
        assert "is there space left" in seen["says"]
        assert seen["left"] == []
        assert (seen["kept"], seen["written"]) == (True, True)
