"""What comes from the distribution: Redis and the English dictionary."""

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from headwater.errors import FatalError
from headwater.local.places import is_root

HUNSPELL_FOLDER = Path("/usr/share/hunspell")
DICTIONARY = ("en_US.aff", "en_US.dic")
INSTALL_TIMEOUT_S = 600.0  # of each call of apt
_PYTHON_LIBRARY = "libpython3.11.so.1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemPackage:
    """A Debian package and how to see that it is there."""

    name: str
    present: Callable[[], bool]


def redis_server() -> Path | None:
    """The server's binary; Debian puts it on PATH."""
    found = shutil.which("redis-server")
    return Path(found) if found else None


def python_library_folder() -> Path | None:
    """Folder of the interpreter's shared library, which Triton's Python backend links to."""
    folders = (sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("LIBPL"), "/usr/lib/x86_64-linux-gnu")
    return next((Path(folder) for folder in folders if folder and (Path(folder) / _PYTHON_LIBRARY).exists()), None)


PACKAGES = (
    SystemPackage(name="redis-server", present=lambda: redis_server() is not None),
    SystemPackage(name="hunspell-en-us", present=lambda: all((HUNSPELL_FOLDER / name).exists() for name in DICTIONARY)),
    SystemPackage(name="libpython3.11", present=lambda: python_library_folder() is not None),
)


def missing_packages() -> tuple[str, ...]:
    return tuple(package.name for package in PACKAGES if not package.present())


def install_missing(progress: Callable[[str], None]) -> None:
    """Install what is missing, as root; raise FatalError that says exactly what to install otherwise."""
    missing = missing_packages()
    if not missing:
        return
    apt = shutil.which("apt-get")
    command = f"apt-get install -y {' '.join(missing)}"
    if apt is None or not is_root():
        raise FatalError(f"system packages are missing: run `sudo {command}` (or your system's like) and set up again")
    progress(f"installing {', '.join(missing)} by apt")
    if not _apt(apt, missing):
        _run([apt, "update"])  # a fresh image has no package lists yet
        if not _apt(apt, missing):
            raise FatalError(f"apt could not install {', '.join(missing)}: run `{command}` and read what it says")
    if still := missing_packages():
        raise FatalError(f"apt installed {', '.join(still)} but its files are not where they belong: reinstall it")


def _apt(apt: str, packages: tuple[str, ...]) -> bool:
    return _run([apt, "install", "-y", "--no-install-recommends", *packages])


def _run(command: list[str]) -> bool:
    # Run level 1 keeps Debian's scripts from starting a Redis of their own on the port that the stack wants.
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    try:
        finished = subprocess.run(  # noqa: S603 - apt-get found on PATH, package names of our own
            command, env=quiet, capture_output=True, timeout=INSTALL_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:  # a mirror that does not answer, or another apt that holds the lock
        return False
    return finished.returncode == 0
