"""Storage format as a tree. It is XHTML with elements of Confluence's own (`ac:`, `ri:`) and HTML's entities."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from html.parser import HTMLParser
from typing import Final

# An element deeper than this becomes a sibling of its parent's children: no page nests so, and recursion has an end.
DEEPEST: Final = 200
_VOID: Final = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)
_CDATA: Final = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)


@dataclass(slots=True)
class Node:
    """An element: its name and the names of its attributes in lower case."""

    tag: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    children: list["Node | str"] = field(default_factory=list)

    def elements(self, *tags: str) -> Iterator["Node"]:
        """Yield the children that are such elements."""
        return (child for child in self.children if isinstance(child, Node) and child.tag in tags)

    def first(self, *tags: str) -> "Node | None":
        """Return the first child that is such an element."""
        return next(self.elements(*tags), None)

    def walk(self) -> Iterator["Node"]:
        """Yield all elements below, in the order of the text."""
        for child in self.children:
            if isinstance(child, Node):
                yield child
                yield from child.walk()

    @property
    def text(self) -> str:
        """Return all text below, as it is written."""
        return "".join(child if isinstance(child, str) else child.text for child in self.children)


def markup_tree(storage: str) -> Node:
    """Read storage format, or the HTML of a browser. Never fails: what is not closed ends with its parent."""
    builder = _Builder()
    builder.feed(_CDATA.sub(lambda found: escape(found[1], quote=False), storage))
    builder.close()
    return builder.root


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("")
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = self._added(tag, attrs)
        if tag not in _VOID and len(self._open) < DEEPEST:
            self._open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._added(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        for depth in range(len(self._open) - 1, 0, -1):
            if self._open[depth].tag == tag:
                del self._open[depth:]
                return

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)

    def _added(self, tag: str, attrs: list[tuple[str, str | None]]) -> Node:
        node = Node(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(node)
        return node
