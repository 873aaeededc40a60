"""External ids, of files, issues, releases, discussions and pages of a wiki. Pure.

`repo:ID/file/PATH`, `repo:ID/issue/NUMBER`, `repo:ID/release/ID`, `repo:ID/discussion/NUMBER`, `repo:ID/wiki/PATH`.
A repository's id survives its renames, and so does a file's: PATH is where it was first seen. The second file of a path
whose first one lives on elsewhere is `repo:ID/file//2/PATH`: no path of git begins with a slash (ADR 0144).
"""

import re
from dataclasses import dataclass
from typing import Final

_ID: Final = re.compile(
    r"repo:(\d{1,18})(?:/file/(.+)|/issue/(\d{1,18})|/release/(\d{1,18})|/discussion/(\d{1,18})|/wiki(|/.+))?",
    re.DOTALL,
)

_AGAIN: Final = re.compile(r"/([1-9]\d{0,8})/([^/].*)", re.DOTALL)
_ORDINAL: Final = "\0"  # in no path, and before all that may be in one: keys of a path stand behind it, before the next


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What an id is about: a file, an issue, a release, a discussion, a wiki or its page, or all of a repository."""

    repository_id: int
    path: str | None = None  # a file's key: the path it had at first, or `key_again` of that
    number: int | None = None
    release: int | None = None
    discussion: int | None = None
    wiki: str | None = None  # a page's path; empty: the whole wiki

    @property
    def is_all(self) -> bool:
        """Say whether it is about the whole repository."""
        return (self.path, self.number, self.release, self.discussion, self.wiki) == (None,) * 5

    @property
    def external_id(self) -> str:
        """Return the id again."""
        if self.path is not None:
            return file_id(self.repository_id, self.path)
        if self.release is not None:
            return release_id(self.repository_id, self.release)
        if self.discussion is not None:
            return discussion_id(self.repository_id, self.discussion)
        if self.wiki is not None:
            return wiki_id(self.repository_id, self.wiki)
        return issue_id(self.repository_id, self.number) if self.number is not None else f"repo:{self.repository_id}"


def file_id(repository_id: int, key: str) -> str:
    """Name a file by its key."""
    path, again, ordinal = key.partition(_ORDINAL)
    return f"repo:{repository_id}/file/{f'/{ordinal}/' if again else ''}{path}"


def first_path(key: str) -> str:
    """Return the path that a file was first seen at."""
    return key.partition(_ORDINAL)[0]


def key_again(path: str, ordinal: int) -> str:
    """Return the key of another file that was first seen at this path; `ordinal` from 2 on."""
    return f"{path}{_ORDINAL}{ordinal}"


def is_path(key: str) -> bool:
    """Say whether a key is the path itself."""
    return _ORDINAL not in key


def issue_id(repository_id: int, number: int) -> str:
    """Name an issue or a pull request."""
    return f"repo:{repository_id}/issue/{number}"


def issue_key(number: int) -> str:
    """Return what an issue is held under, so that the order of keys is that of the numbers."""
    return f"{number:012d}"


def release_id(repository_id: int, release: int) -> str:
    """Name a release."""
    return f"repo:{repository_id}/release/{release}"


def release_key(release: int) -> str:
    """Return what a release is held under, so that the order of keys is that of the numbers."""
    return f"{release:018d}"


def discussion_id(repository_id: int, number: int) -> str:
    """Name a discussion."""
    return f"repo:{repository_id}/discussion/{number}"


def discussion_key(number: int) -> str:
    """Return what a discussion is held under, so that the order of keys is that of the numbers."""
    return f"{number:012d}"


def wiki_id(repository_id: int, path: str) -> str:
    """Name a page of a wiki; without a path the wiki."""
    return f"repo:{repository_id}/wiki/{path}" if path else f"repo:{repository_id}/wiki"


def named(external_id: str) -> Named | None:
    """Read an id, or `repo:ID`, which means all of a repository; None for what is neither."""
    found = _ID.fullmatch(external_id)
    if found is None or _ORDINAL in external_id:
        return None
    number, release, discussion = (int(each) if each else None for each in found.group(3, 4, 5))
    wiki = found[6].removeprefix("/") if found[6] is not None else None
    path = found[2]
    if path is not None and path.startswith("/"):
        again = _AGAIN.fullmatch(path)
        if again is None:
            return None
        path = key_again(again[2], int(again[1]))
    return Named(
        repository_id=int(found[1]), path=path, number=number, release=release, discussion=discussion, wiki=wiki
    )
