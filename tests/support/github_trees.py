"""What the API tells of git's trees. Shapes: docs.github.com/rest, version 2022-11-28."""

import re
from typing import Any

from tests.support.github_answers import RefusedError
from tests.support.github_state import SUBMODULE, Repo, Tree, tree_sha


def tree_shape(repo: Repo, sha: str, *, recursive: bool, most: int) -> dict[str, Any]:
    """Show a folder, or with all below it; `most` entries, more are truncated."""
    tree = _known_tree(repo, sha)
    entries = [
        {"path": path, "mode": mode, "type": "commit" if mode == SUBMODULE else "blob", "sha": blob}
        | ({"size": len(repo.blobs[blob])} if blob in repo.blobs else {})
        for path, (mode, blob) in tree.items()
        if recursive or "/" not in path
    ]
    folders = {path[: at.start()] for path in tree for at in re.finditer("/", path)}
    entries += [_folder(tree, each) for each in folders if recursive or "/" not in each]
    entries.sort(key=lambda each: str(each["path"]))
    return {"sha": sha, "tree": entries[:most], "truncated": len(entries) > most}


def _folder(tree: Tree, path: str) -> dict[str, Any]:
    return {"path": path, "mode": "040000", "type": "tree", "sha": tree_sha(_below(tree, path))}


def _below(tree: Tree, folder: str) -> Tree:
    return {path[len(folder) + 1 :]: entry for path, entry in tree.items() if path.startswith(f"{folder}/")}


def _known_tree(repo: Repo, sha: str) -> Tree:
    if sha in repo.commits:
        return repo.commits[sha].tree
    for commit in reversed(repo.commits.values()):
        for folder in {path[: at.start()] for path in commit.tree for at in re.finditer("/", path)}:
            below = _below(commit.tree, folder)
            if tree_sha(below) == sha:
                return below
    raise RefusedError(404)
