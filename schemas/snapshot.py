"""The contract files of one moment: of the working tree, or of a git revision."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import ContractError
from schemas.registry import SCHEMAS_FOLDER

_GIT_TIMEOUT_S = 30.0
_MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Texts of the contract files, by path below `schemas/`."""

    manifest: str
    schemas: Mapping[str, bytes]  # by file name below avro/
    catalogue: Mapping[str, str]  # by file name below catalogue/


def working_tree(folder: Path = SCHEMAS_FOLDER) -> Snapshot:
    """Read the files as they are now."""
    return Snapshot(
        manifest=(folder / _MANIFEST).read_text(encoding="utf-8"),
        schemas={path.name: path.read_bytes() for path in sorted((folder / "avro").glob("*.avsc"))},
        catalogue={path.name: path.read_text("utf-8") for path in sorted((folder / "catalogue").glob("*.yaml"))},
    )


def at_revision(revision: str, *, folder: Path = SCHEMAS_FOLDER) -> Snapshot | None:
    """Read the files of a revision; None when it had no contracts yet. Raises ContractError for an unknown one."""
    commit = _git(folder, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if commit is None:
        raise ContractError(f"--base {revision}: git knows no such revision here (in CI, fetch enough history)")
    manifest = _show(folder, commit, _MANIFEST)
    if manifest is None:
        return None
    return Snapshot(
        manifest=manifest.decode(),
        schemas=dict(_folder(folder, commit, "avro", ".avsc")),
        catalogue={name: content.decode() for name, content in _folder(folder, commit, "catalogue", ".yaml")},
    )


def default_base(*, folder: Path = SCHEMAS_FOLDER) -> str | None:
    """Return the commit that this tree's contracts must follow: where it left main, or the commit before HEAD.

    None outside a git checkout and in a first commit.
    """
    head = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    for main in ("origin/main", "main"):
        base = _git(folder, "merge-base", "HEAD", main)
        if base is not None and base != head:
            return base
    return _git(folder, "rev-parse", "--verify", "--quiet", "HEAD~1")


def _folder(folder: Path, commit: str, name: str, suffix: str) -> list[tuple[str, bytes]]:
    listing = _git(folder, "ls-tree", "--full-tree", "--name-only", f"{commit}:./{name}") or ""
    files = [each for each in listing.splitlines() if each.endswith(suffix)]
    return [(each, content) for each in files if (content := _show(folder, commit, f"{name}/{each}")) is not None]


def _show(folder: Path, commit: str, path: str) -> bytes | None:
    return _run(folder, "show", f"{commit}:./{path}")


def _git(folder: Path, *arguments: str) -> str | None:
    output = _run(folder, *arguments)
    return None if output is None else output.decode().strip()


def _run(folder: Path, *arguments: str) -> bytes | None:
    """Return git's output, or None when it fails: no repository, no such revision, no such file."""
    command = ("git", "-C", str(folder), *arguments)
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=_GIT_TIMEOUT_S)  # noqa: S603 - fixed program, arguments are no shell
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None
