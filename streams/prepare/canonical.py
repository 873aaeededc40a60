"""The canonical text: how strings are made uniform, and how a parser puts one together block by block."""

import re
import unicodedata
from collections.abc import Sequence

from streams.prepare.errors import EmptyDocumentError
from streams.prepare.parsed import Block, BlockKind, ParsedText

_LINE_ENDS = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
# Control characters, byte order marks and lone surrogates: stores refuse them or cannot encode them.
_UNWANTED = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ufeff\ufffe\uffff\ud800-\udfff]")
_SPACES = re.compile(r"\s+")
_MAX_TITLE_CHARS = 300


def normalise(text: str) -> str:
    """Return the text in NFC with line feeds, without control characters. Normalising twice changes nothing."""
    return unicodedata.normalize("NFC", _UNWANTED.sub("", _LINE_ENDS.sub("\n", text)))


def one_line(text: str) -> str:
    """Return the words of a text with single spaces between them."""
    return _SPACES.sub(" ", text).strip()


def short_title(text: str) -> str:
    """Return a title on one line, cut to a sensible length."""
    return one_line(normalise(text))[:_MAX_TITLE_CHARS].rstrip()


def table_lines(rows: Sequence[Sequence[str]]) -> str:
    """Write rows as a pipe table, the first row as its header. Short rows are filled up; pipes are escaped."""
    width = max((len(row) for row in rows), default=0)
    lines = [_table_row([*row, *[""] * (width - len(row))]) for row in rows]
    return "\n".join([*lines[:1], _table_row(["---"] * width), *lines[1:]])


def _table_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(one_line(cell).replace("|", "\\|") for cell in cells) + " |"


class TextBuilder:
    """Puts a canonical text together from blocks, for formats whose source is not text itself."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._blocks: list[Block] = []
        self._length = 0

    def __len__(self) -> int:
        """Return how many blocks there are."""
        return len(self._blocks)

    def heading(self, text: str, *, level: int, page: int | None = None) -> None:
        """Append a heading; one without words is left out."""
        words = one_line(normalise(text))
        self._append(BlockKind.HEADING, words, level=level, page=page)

    def add(self, kind: BlockKind, text: str, *, page: int | None = None) -> None:
        """Append a block of any kind but a heading; one without words is left out."""
        self._append(kind, normalise(text).strip("\n").rstrip(), level=0, page=page)

    def table(self, rows: Sequence[Sequence[str]], *, page: int | None = None) -> None:
        """Append a table; rows and tables without a word are left out."""
        filled = [row for row in rows if any(cell.strip() for cell in row)]
        if filled:
            self.add(BlockKind.TABLE, table_lines(filled), page=page)

    def build(self, *, media_type: str, title: str = "", language: str | None = None) -> ParsedText:
        """Return the parsed text. Raises EmptyDocumentError when no block has a word."""
        if not self._blocks:
            raise EmptyDocumentError(
                f"the {media_type} file holds no text: check that it is the right file; scanned pages need OCR first"
            )
        return ParsedText(
            text="".join(self._parts),
            blocks=tuple(self._blocks),
            media_type=media_type,
            title=short_title(title) or self._first_title(),
            language=language or None,
        )

    def _first_title(self) -> str:
        """Return the first heading when it is a top one and opens the text, as a title does."""
        first = self._blocks[0]
        return short_title(first.heading) if first.kind is BlockKind.HEADING and first.level == 1 else ""

    def _append(self, kind: BlockKind, text: str, *, level: int, page: int | None) -> None:
        if not text.strip():
            return
        if self._blocks:
            both_items = kind is BlockKind.LIST_ITEM and self._blocks[-1].kind is BlockKind.LIST_ITEM
            gap = "\n" if both_items else "\n\n"
            self._parts.append(gap)
            self._length += len(gap)
        start = self._length
        self._parts.append(text)
        self._length += len(text)
        heading = text if kind is BlockKind.HEADING else ""
        self._blocks.append(Block(kind=kind, start=start, end=self._length, level=level, heading=heading, page=page))
