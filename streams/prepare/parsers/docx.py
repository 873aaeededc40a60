"""DOCX: the body of the document part in order, with text boxes, content controls, equations and footnotes.

Elements are matched by their local names, because the strict and the transitional form differ only in namespaces.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from lxml import etree

from headwater.content.media_types import MediaType
from streams.prepare.canonical import TextBuilder
from streams.prepare.errors import EncryptedDocumentError, LimitExceededError, MalformedDocumentError
from streams.prepare.parsed import BlockKind, ParsedText
from streams.prepare.parsers.docx_math import math_text
from streams.prepare.parsers.docx_styles import Numbering, Styles, value_of

_MAX_PART_BYTES = 256 * 1024 * 1024  # unpacked: a zip bomb ends here, not in the memory limit
_PARSER_OPTIONS = {"resolve_entities": False, "no_network": True, "huge_tree": False, "remove_comments": True}
_TRANSPARENT = frozenset(
    {"sdt", "sdtContent", "ins", "smartTag", "customXml", "hyperlink", "moveTo", "fldSimple", "dir", "bdo", "body"}
)
_IGNORED = frozenset({"del", "moveFrom", "pPr", "rPr", "sdtPr", "sdtEndPr", "instrText", "delText", "Fallback"})
_SIGNS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "ptab": "\t"}
_SEPARATORS = frozenset({"separator", "continuationSeparator", "continuationNotice"})
_MAX_SPAN = 50  # a hostile file asks for millions of cells
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]+)*")


def parse_docx(data: bytes) -> ParsedText:
    """Return the document's words. Raises EmptyDocumentError, EncryptedDocumentError, MalformedDocumentError."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _read(archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise MalformedDocumentError(f"the DOCX archive is damaged ({error}): save the file again") from None
    except RecursionError:
        raise MalformedDocumentError("the DOCX nests its elements too deep: save the file again") from None


def _local_name(element: Any) -> str:
    """Return an element's name without its namespace; an empty string for comments and the like."""
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def _read(archive: zipfile.ZipFile) -> ParsedText:
    body = _part(archive, "word/document.xml")
    if body is None:
        raise MalformedDocumentError("the DOCX has no word/document.xml: save the file again")
    walker = _Walker(Styles.read(_part(archive, "word/styles.xml")), Numbering(_part(archive, "word/numbering.xml")))
    walker.blocks(body)
    for notes in ("word/footnotes.xml", "word/endnotes.xml"):
        walker.notes(_part(archive, notes))
    core = _part(archive, "docProps/core.xml")
    language = _property(core, "language")
    return walker.builder.build(
        media_type=MediaType.DOCX,
        title=_property(core, "title") or walker.title,
        language=language if _LANGUAGE.fullmatch(language) else None,
    )


def _part(archive: zipfile.ZipFile, name: str) -> Any:
    """Return the root of an XML part, or None where the archive has no such part."""
    try:
        info = archive.getinfo(name)
    except KeyError:
        return None
    if info.flag_bits & 1:
        raise EncryptedDocumentError("the DOCX archive is protected with a password: remove it and send it again")
    if info.file_size > _MAX_PART_BYTES:
        raise LimitExceededError(f"{name} unpacks to {info.file_size} bytes, over {_MAX_PART_BYTES}: split the file")
    try:
        return etree.fromstring(archive.read(info), parser=etree.XMLParser(**_PARSER_OPTIONS))
    except etree.XMLSyntaxError as error:
        raise MalformedDocumentError(f"{name} is damaged ({error}): save the file again") from None


def _property(core: Any, name: str) -> str:
    if core is None:
        return ""
    return next((str(element.text or "").strip() for element in core if _local_name(element) == name), "")


class _Walker:
    """Walks body elements and appends what it finds to a text."""

    def __init__(self, styles: Styles, numbering: Numbering) -> None:
        self.builder = TextBuilder()
        self.title = ""  # of the paragraph styled as the title
        self._styles = styles
        self._numbering = numbering

    def blocks(self, parent: Any) -> None:
        """Append the paragraphs and tables below an element."""
        for element in parent:
            name = _local_name(element)
            if name == "p":
                self._paragraph(element)
            elif name == "tbl":
                self._table(element)
            elif name not in _IGNORED:
                self.blocks(element)

    def notes(self, root: Any) -> None:
        """Append footnotes or endnotes, without the separators that Word keeps among them."""
        for note in [] if root is None else root:
            if value_of(note, "type") not in _SEPARATORS:
                self.blocks(note)

    def _paragraph(self, paragraph: Any) -> None:
        boxes: list[Any] = []
        text = "".join(_inline(paragraph, boxes)).strip()
        style = self._styles.of(paragraph)
        if style.is_title and not self.title:
            self.title = text
        if style.level is not None and text:
            self.builder.heading(f"{self._numbering.label(style)} {text}".strip(), level=style.level + 1)
        elif style.numbering is not None and text:
            marker = self._numbering.label(style) or "-"
            self.builder.add(BlockKind.LIST_ITEM, "  " * style.numbering[1] + f"{marker} {text}")
        else:
            self.builder.add(BlockKind.CODE if style.is_code else BlockKind.PARAGRAPH, text)
        for box in boxes:
            self.blocks(box)

    def _table(self, table: Any) -> None:
        rows = [list(_descend(row, "tc")) for row in _descend(table, "tr")]
        if len(rows) == 1 and len(rows[0]) == 1:  # a frame around paragraphs, not data
            self.blocks(rows[0][0])
        else:
            self.builder.table(_grid(rows))


def _descend(parent: Any, wanted: str) -> Iterator[Any]:
    """Yield the nearest elements of a name: rows of a table, cells of a row, not those of tables inside."""
    for element in parent:
        name = _local_name(element)
        if name == wanted:
            yield element
        elif name in _TRANSPARENT:
            yield from _descend(element, wanted)


def _grid(rows: Sequence[Sequence[Any]]) -> list[list[str]]:
    """Return the cells' words. A merged cell is repeated: each row then stands for itself."""
    grid: list[list[str]] = []
    for row in rows:
        cells: list[str] = []
        for cell in row:
            span, merge = cell.find("{*}tcPr/{*}gridSpan"), cell.find("{*}tcPr/{*}vMerge")
            width = value_of(span, "val") if span is not None else ""
            continues = merge is not None and value_of(merge, "val") != "restart"
            above = grid[-1][len(cells)] if continues and grid and len(cells) < len(grid[-1]) else ""
            cells += [above or _cell_text(cell)] * (min(int(width), _MAX_SPAN) if width.isdecimal() else 1)
        grid.append(cells)
    return grid


def _cell_text(cell: Any) -> str:
    boxes: list[Any] = []
    parts = ["".join(_inline(paragraph, boxes)) for paragraph in cell.iter("{*}p")]
    return " ".join(part for part in parts if part.strip())


def _inline(parent: Any, boxes: list[Any]) -> Iterator[str]:
    """Yield the words of a paragraph; text boxes met on the way are put aside, as blocks of their own."""
    for element in parent:
        name = _local_name(element)
        if name == "t":
            yield element.text or ""
        elif name in _SIGNS:
            yield _SIGNS[name]
        elif name == "sym":
            yield _symbol(element)
        elif name in {"oMath", "oMathPara"}:
            yield f" {math_text(element)} "
        elif name in {"txbxContent", "txBody"}:
            boxes.append(element)
        elif name not in _IGNORED and name != "p":
            yield from _inline(element, boxes)


def _symbol(element: Any) -> str:
    """Return a symbol by its code point; those of private symbol fonts say nothing in plain text."""
    code = value_of(element, "char")
    return chr(int(code, 16)) if re.fullmatch(r"[0-9A-Fa-f]{4}", code) and not code.upper().startswith("F") else ""
