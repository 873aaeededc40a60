"""Folder trees as sources."""

from pathlib import Path


def pages_in(root: Path, count: int) -> Path:
    """Make a folder of so many pages, `page-000.md` and on, that everyone may read; return it."""
    root.mkdir()
    (root / ".headwater.yaml").write_text("readers: [everyone]")
    for number in range(count):
        (root / f"page-{number:03}.md").write_text(f"# Page {number}")
    return root
