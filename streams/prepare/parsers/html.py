"""HTML: what a reader sees, in order. Scripts, styles, navigation and hidden elements are not text."""

import re
from collections.abc import Iterable
from typing import Any

from lxml import etree
from lxml import html as lxml_html

from headwater.content.media_types import MediaType
from streams.prepare.canonical import TextBuilder, one_line
from streams.prepare.decoding import decode_text
from streams.prepare.errors import EmptyDocumentError, MalformedDocumentError
from streams.prepare.parsed import BlockKind, ParsedText

_SKIPPED = frozenset(
    {"script", "style", "noscript", "template", "head", "nav", "svg", "object", "iframe", "select", "button"}
)
_INLINE = frozenset(
    {"a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins"}
    | {"kbd", "label", "mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u"}
    | {"var", "wbr", "input", "ruby", "rt", "rp"}
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_LISTS = frozenset({"ul", "ol", "menu"})
_LAYOUT = ".//table|.//h1|.//h2|.//h3|.//h4|.//h5|.//h6|.//pre"  # a table around these arranges a page, not data
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w-]+)", re.IGNORECASE)
_CHARSET_WINDOW = 4096
_MAX_SPAN = 50  # a hostile page asks for millions of cells
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]+)*")


def parse_html(data: bytes) -> ParsedText:
    """Return what a reader sees of a page. Raises EmptyDocumentError, MalformedDocumentError."""
    declared = _CHARSET.search(data[:_CHARSET_WINDOW])
    source = decode_text(data, declared=declared.group(1).decode() if declared else None)
    root = html_root(source)
    builder = TextBuilder()
    add_html(root, builder)
    language = str(root.get("lang") or "")
    return builder.build(
        media_type=MediaType.HTML,
        title=one_line(root.findtext(".//head/title") or root.findtext(".//title") or "") or _first_h1(root),
        language=language if _LANGUAGE.fullmatch(language) else None,
    )


def html_root(source: str) -> Any:
    """Parse a page. Raises EmptyDocumentError for no markup at all, MalformedDocumentError for what lxml refuses."""
    parser = lxml_html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True)
    try:
        return lxml_html.document_fromstring(source.encode("utf-8", errors="replace"), parser=parser)
    except etree.ParserError:
        raise EmptyDocumentError("the HTML file is empty: check that the right file was sent") from None
    except (etree.LxmlError, ValueError) as error:
        raise MalformedDocumentError(f"the HTML cannot be parsed ({error}): save the page again") from None


def add_html(root: Any, builder: TextBuilder) -> None:
    """Append what a reader sees of a parsed page to a text under construction."""
    walker = _Walker(builder)
    try:
        walker.visit(root)
    except RecursionError:
        raise MalformedDocumentError("the HTML nests its elements too deep: save the page again") from None
    walker.flush()


def _first_h1(root: Any) -> str:
    heading = root.find(".//h1")
    return "" if heading is None else one_line(heading.text_content())


class _Walker:
    """Collects inline text until an element that begins a new block."""

    def __init__(self, builder: TextBuilder) -> None:
        self._builder = builder
        self._inline: list[str] = []
        self._items: list[str] = []  # markers of the open list items; used up by their first words
        self._depth = 0  # of nested lists

    def flush(self) -> None:
        """End the paragraph or list item that is being collected."""
        lines = [one_line(line) for line in "".join(self._inline).split("\v")]
        self._inline.clear()
        text = "\n".join(line for line in lines if line)
        if not text:
            return
        if not self._items:
            self._builder.add(BlockKind.PARAGRAPH, text)
            return
        marker, self._items[-1] = self._items[-1], " " * len(self._items[-1])
        self._builder.add(BlockKind.LIST_ITEM, marker + text.replace("\n", "\n" + " " * len(marker)))

    def visit(self, element: Any) -> None:
        """Append an element and all below it."""
        tag = element.tag if isinstance(element.tag, str) else ""
        if tag in _SKIPPED or _hidden(element):
            return
        if tag == "br":
            self._inline.append("\v")
        elif tag == "img":
            self._inline.append(f" {element.get('alt') or ''} ")
        elif tag == "math":
            self._inline.append(" ".join(element.itertext()))
        elif tag in _INLINE:
            self._children(element)
        else:
            self._block(element, tag)

    def _block(self, element: Any, tag: str) -> None:
        self.flush()
        if tag in _HEADINGS and not self._items:
            self._builder.heading(one_line(_visible_text(element)), level=_HEADINGS[tag])
        elif tag == "pre":
            self._builder.add(BlockKind.CODE, _visible_text(element))
        elif tag == "table" and not element.xpath(_LAYOUT):
            self._table(element)
        elif tag == "li":
            self._item(element)
        elif tag in _LISTS:
            self._depth += 1
            self._children(element)
            self._depth -= 1
        else:
            self._children(element)
        self.flush()

    def _item(self, element: Any) -> None:
        parent = element.getparent()
        ordered = parent is not None and parent.tag == "ol"
        marker = f"{_number(element, parent)}. " if ordered else "- "
        self._items.append("  " * (self._depth - 1) + marker)
        self._children(element)
        self.flush()
        self._items.pop()

    def _table(self, element: Any) -> None:
        for caption in element.iterchildren("caption"):
            self._builder.add(BlockKind.PARAGRAPH, one_line(_visible_text(caption)))
        self._builder.table(_grid(row for row in element.iter("tr") if not _hidden(row)))

    def _children(self, element: Any) -> None:
        self._inline.append(element.text or "")
        for child in element:
            self.visit(child)
            self._inline.append(child.tail or "")


def _number(item: Any, parent: Any) -> int:
    start = str(parent.get("start") or "1")
    first = int(start) if start.isdecimal() else 1
    return first + sum(1 for _ in item.itersiblings("li", preceding=True))


def _grid(rows: Iterable[Any]) -> list[list[str]]:
    """Return the cells of a table. A cell that spans rows or columns is repeated: each row then stands for itself."""
    grid: list[list[str]] = []
    hanging: dict[int, tuple[int, str]] = {}  # column: rows still to fill, text
    for row in rows:
        cells: list[str] = []
        for cell in row.iterchildren("td", "th"):
            _fill_hanging(cells, hanging)
            text = _visible_text(cell)
            for _ in range(_span(cell, "colspan")):
                hanging[len(cells)] = (_span(cell, "rowspan") - 1, text)
                cells.append(text)
        _fill_hanging(cells, hanging)
        grid.append(cells)
    return grid


def _fill_hanging(cells: list[str], hanging: dict[int, tuple[int, str]]) -> None:
    while hanging.get(len(cells), (0, ""))[0] > 0:
        left, text = hanging[len(cells)]
        hanging[len(cells)] = (left - 1, text)
        cells.append(text)


def _span(cell: Any, attribute: str) -> int:
    value = str(cell.get(attribute) or "1")
    return max(1, min(int(value), _MAX_SPAN)) if value.isdecimal() else 1


def _visible_text(element: Any) -> str:
    """Return the text below an element, its lines as they are; block elements inside are parted by a line feed."""
    parts = [element.text or ""]
    for child in element:
        tag = child.tag if isinstance(child.tag, str) else ""
        if tag == "br":
            parts.append("\n")
        elif tag == "img":
            parts.append(f" {child.get('alt') or ''} ")
        elif tag not in _SKIPPED and not _hidden(child):
            inner = _visible_text(child)
            parts.append(inner if tag in _INLINE else f"\n{inner}\n")
        parts.append(child.tail or "")
    return "".join(parts)


def _hidden(element: Any) -> bool:
    style = element.get("style")
    return element.get("hidden") is not None or bool(style and _HIDDEN_STYLE.search(style))
