"""What a comparison says of paths. Source: docs.github.com, "Compare two commits"."""

import pytest

from connectors.github.comparing import by_path, is_left, is_surely_a_file
from connectors.github.models import Comparison, Touched

NO_END = "\n\\ No newline at end of file"


def touched(name: str, status: str, old: str | None = None, *, additions: int = 1, patch: str | None = None) -> Touched:
    return Touched(filename=name, status=status, sha="1" * 40, previous_filename=old, additions=additions, patch=patch)


@pytest.mark.parametrize(
    ("files", "after", "left"),
    [
        ([touched("b", "renamed", "a")], {"a": None, "b": "b"}, {"b"}),
        ([touched("b", "copied", "a")], {"b": "b"}, set()),  # a stays where it is
        ([touched("a", "removed")], {"a": None}, set()),
        ([touched("a", "added"), touched("b", "renamed", "a")], {"a": "a", "b": "b"}, set()),  # another is at a
        ([touched("a", "renamed", "b"), touched("b", "renamed", "a")], {"a": "a", "b": "b"}, set()),
        ([touched("b", "renamed", "a"), touched("c", "renamed", "b")], {"a": None, "b": "b", "c": "c"}, {"b"}),
        ([touched("a", "changed", additions=0)], {"a": "a"}, set()),
    ],
)
def test_what_a_path_is_afterwards(files: list[Touched], after: dict[str, str | None], left: set[str]) -> None:
    found = by_path(Comparison(status="ahead", files=tuple(files)))
    assert {path: each and each.filename for path, each in found.items()} == after
    assert {each.filename for each in files if is_left(each, found)} == left


@pytest.mark.parametrize(
    ("additions", "patch", "is_file"),
    [
        (0, None, False),  # a PDF, a file that was only renamed; a link or a submodule too
        (1, None, False),  # a link, where the whole difference is too large to be shown
        (2_000, None, True),
        (2, "@@ -0,0 +1,2 @@\n+one\n+two" + NO_END, True),
        (1, "@@ -0,0 +1 @@\n+one", True),
        (1, "@@ -0,0 +1 @@\n+docs/1.md" + NO_END, False),  # as a link is
        (1, f"@@ -1 +1 @@\n-Subproject commit {'1' * 40}\n+Subproject commit {'2' * 40}", False),
        (0, "@@ -1,2 +1 @@\n one\n-two", False),  # nothing came: nothing is told of what it is
    ],
)
def test_what_is_surely_a_file(additions: int, patch: str | None, *, is_file: bool) -> None:
    assert is_surely_a_file(touched("a", "modified", additions=additions, patch=patch)) == is_file
