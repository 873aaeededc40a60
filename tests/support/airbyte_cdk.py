"""A real reader: the one of Airbyte's development kit that runs a manifest, in an environment of its own."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
REQUIREMENTS: Final = ROOT / ".ci/airbyte-cdk.txt"
FOLDER: Final = ROOT / ".headwater/tools/airbyte-cdk"
INSTALLED_WITHIN_S: Final = 300.0
MANIFEST: Final = Path(__file__).with_name("airbyte_manifest.yaml")
PARTITIONED: Final = Path(__file__).with_name("airbyte_partitions.yaml")


def source_declarative_manifest() -> Path:
    """Return the program, installed as `.ci/airbyte-cdk.txt` says: once, and again when that changes."""
    installed, wanted = FOLDER / ".installed", hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    FOLDER.mkdir(parents=True, exist_ok=True)
    with FOLDER.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process of the same run may want it too
        if not installed.is_file() or installed.read_text() != wanted:
            installed.unlink(missing_ok=True)
            _install()
            installed.write_text(wanted)
    return FOLDER / "bin/source-declarative-manifest"


def _install() -> None:
    """Build the environment with the project's own uv, from wheels whose hashes are those of the file."""
    own = ROOT / ".headwater/tools/uv/bin/uv"
    uv = str(own) if own.exists() else shutil.which("uv") or ""
    assert uv, f"{own} is missing: `make setup` installs it"
    pinned = ["--require-hashes", "--only-binary", ":all:", "--no-deps", "-r", str(REQUIREMENTS)]
    # As the Makefile says: the interpreter is this one, certificates are the system's.
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_NATIVE_TLS": "true"}
    for command in (
        ["venv", "--quiet", "--clear", "--python", sys.executable, str(FOLDER)],
        ["pip", "install", "--quiet", "--python", str(FOLDER / "bin/python"), *pinned],
    ):
        subprocess.run([uv, *command], check=True, env=environment, timeout=INSTALLED_WITHIN_S)
