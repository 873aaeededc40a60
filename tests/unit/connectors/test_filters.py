"""Globs: one dialect."""

import pytest

from connectors.filters import KeyFilter
from headwater.errors import FatalError


@pytest.mark.parametrize(
    ("glob", "taken", "left"),
    [
        ("*.md", ["a.md", ".md"], ["a/b.md", "a.mdx", "A.MD"]),
        ("**/*.md", ["a.md", "a/b.md", "a//b.md", "/a.md"], ["a.txt"]),
        ("reports/**", ["reports/a", "reports/a/b", "reports/"], ["reports", "x/reports/a"]),
        ("a?c", ["abc", "a\nc"], ["a/c", "ac"]),
        ("[a-c]x", ["ax", "cx"], ["dx", "[a-c]x"]),
        ("[!a]x", ["bx", "^x"], ["ax", "/x"]),
        ("[^a]", ["^", "a"], ["b"]),
        (r"\[test\]\?\*.txt", ["[test]?*.txt"], ["[test]ab.txt"]),
        ("**", ["anything/at all", ""], []),
        ("a.b", ["a.b"], ["axb"]),
        ("[", ["["], ["a"]),
    ],
)
def test_what_a_glob_takes(glob: str, taken: list[str], left: list[str]) -> None:
    keys = KeyFilter.of(include=[glob], exclude=[])
    assert [key for key in taken if not keys.takes(key)] == []
    assert [key for key in left if keys.takes(key)] == []


def test_exclusion_wins_and_no_inclusion_takes_all() -> None:
    keys = KeyFilter.of(include=[], exclude=["tmp/**"])
    assert keys.takes("a")
    assert not keys.takes("tmp/a")
    assert not KeyFilter.of(include=["**"], exclude=["**"]).takes("a")


def test_what_is_no_glob_is_named() -> None:
    with pytest.raises(FatalError, match=r"glob '\[z-a\]'"):
        KeyFilter.of(include=["[z-a]"], exclude=[])
