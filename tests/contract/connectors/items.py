"""What the suite fills a source with, and a life of it."""

from collections.abc import Iterator

from tests.support.sources import SourceHarness

NAMES = [f"{folder}/{name}.md" for folder in ("a", "b", "c") for name in ("x", "y", "z")]
EVERYONE, LEADS, ANN = ("everyone",), ("group:hr:leads",), ("user:ann",)


def fill(source: SourceHarness) -> None:
    for name in NAMES:
        source.share(name, EVERYONE)
        source.put(name, f"text of {name}")


def live(source: SourceHarness) -> Iterator[str]:
    """A life in steps; after each the source has another state."""
    source.put("b/y.md", "edited")
    yield "edit"
    source.share("a/n.md", LEADS)
    source.put("a/n.md", "new")
    yield "new"
    source.rename("c/x.md", "a/moved.md")
    source.share("a/moved.md", EVERYONE)
    yield "rename"
    source.share("c/z.md", ANN)
    yield "share"
    source.delete("a/x.md")
    source.delete("b/z.md")
    yield "delete"
    source.put("a/x.md", "back")
    source.share("b/y.md", LEADS)
    source.put("b/y.md", "edited and closed")
    yield "restore"
