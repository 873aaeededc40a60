"""What a path is in a commit, by the trees of the folders above it (ADR 0186)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from connectors.github.client import GithubClient
from connectors.github.models import Repository, TreeEntry


@dataclass(slots=True, kw_only=True)
class Folders:
    """Folders of a repository, read as paths are asked for. Memory: those above the last path."""

    client: GithubClient
    repository: Repository
    _above: Mapping[str, Mapping[str, TreeEntry]] = field(default_factory=dict)  # a folder's hash -> name -> entry

    async def entry(self, path: str, commit: str) -> TreeEntry | None:
        """Return what a path is; None where it is nothing in this commit.

        Raises PoisonError where one of its folders cannot be read: then it may be there.
        """
        above: dict[str, Mapping[str, TreeEntry]] = {}
        folder: str | None = commit
        found: TreeEntry | None = None
        for name in path.split("/"):
            if folder is None:
                return None
            above[folder] = self._above.get(folder) or await self._read(folder)
            found = above[folder].get(name)
            folder = found.sha if found is not None and found.type == "tree" else None
        self._above = above
        return found

    async def _read(self, sha: str) -> Mapping[str, TreeEntry]:
        tree = await self.client.tree(self.repository, sha, recursive=False)
        # Of two names that JSON cannot tell apart the first one, as where all is read.
        return {each.path: each for each in reversed(tree.tree)}
