"""What GitHub says of the difference between two commits. Renames are those of the same content, then of a like one."""

from collections.abc import Mapping
from typing import Any

from tests.support.github_state import FILE, LINK, SUBMODULE, Repo

NO_END = "\n\\ No newline at end of file"


def comparison(repo: Repo, base: str, head: str, *, limit: int) -> dict[str, Any]:
    """Compare from the newest commit that both have."""
    behind, ahead = _ancestors(repo, base), _ancestors(repo, head)
    merge = next(sha for sha in ahead if sha in behind) if set(ahead) & set(behind) else None
    if base == head:
        status = "identical"
    elif merge == base:
        status = "ahead"
    else:
        status = "behind" if merge == head else "diverged"
    files = _files(repo, repo.commits[merge].tree if merge else {}, repo.commits[head].tree)
    return {"status": status, "files": files[:limit]}


def _ancestors(repo: Repo, sha: str) -> list[str]:
    found, at = [], [sha]
    while at and at[0] in repo.commits:
        found.append(at[0])
        at = list(repo.commits[at[0]].parents)
    return found


def _files(repo: Repo, old: Mapping[str, tuple[str, str]], new: Mapping[str, tuple[str, str]]) -> list[dict[str, Any]]:
    gone = {path: entry for path, entry in old.items() if path not in new}
    sources = _sources(repo, gone, {path: entry for path, entry in sorted(new.items()) if path not in old})
    found: list[dict[str, Any]] = []
    for path, (mode, sha) in sorted(new.items()):
        if old.get(path) == (mode, sha):
            continue
        said: dict[str, Any] = {"filename": path, "sha": sha, "status": "modified", "additions": 1}
        if path in sources:
            exact = gone.pop(sources[path]) == (mode, sha)
            said |= {"status": "renamed", "previous_filename": sources[path], "additions": 0 if exact else 1}
        elif path not in old:
            said["status"] = "added"
        elif old[path][1] == sha:
            said |= {"status": "changed", "additions": 0}
        if said["additions"]:
            said |= _patch(repo, mode, sha)
        found.append(said)
    removed = [
        {"filename": path, "sha": sha, "status": "removed"} | _patch(repo, mode, sha, sign="-") | {"additions": 0}
        for path, (mode, sha) in sorted(gone.items())
    ]
    return sorted(found + removed, key=lambda each: str(each["filename"]))


def _sources(repo: Repo, gone: Mapping[str, tuple[str, str]], new: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Return, by new path, the path that it had."""
    found: dict[str, str] = {}
    for is_alike in (lambda one, other: one == other, lambda one, other: _is_like(repo, one, other)):
        for path, entry in new.items():
            source = next(
                (each for each, was in gone.items() if each not in found.values() and is_alike(was, entry)), None
            )
            if path not in found and source is not None:
                found[path] = source
    return found


def _is_like(repo: Repo, one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Say whether two files share half of their lines."""
    if (one[0], other[0]) != (FILE, FILE):
        return False
    lines, others = (set(repo.blobs[sha].splitlines()) for _, sha in (one, other))
    return 2 * len(lines & others) >= max(len(lines), len(others), 1)


def _patch(repo: Repo, mode: str, sha: str, sign: str = "+") -> dict[str, Any]:
    if mode == SUBMODULE:
        return {"patch": f"@@ -0,0 +1 @@\n{sign}Subproject commit {sha}"}
    content = repo.blobs[sha]
    if b"\0" in content:
        return {"additions": 0}
    lines = content.decode().split("\n")
    ended = content.endswith(b"\n") and mode != LINK
    shown = [sign + line for line in (lines[:-1] if ended else lines)]
    return {"patch": "@@ -0,0 +1 @@\n" + "\n".join(shown) + ("" if ended else NO_END), "additions": len(shown)}
