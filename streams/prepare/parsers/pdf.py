"""PDF by pypdfium2: the text of each page in reading order, with page numbers. Pictures are not read."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pypdfium2 as pdfium

from headwater.content.media_types import MediaType
from streams.prepare.canonical import normalise, short_title
from streams.prepare.errors import (
    EncryptedDocumentError,
    HeavyDocumentError,
    LimitExceededError,
    MalformedDocumentError,
)
from streams.prepare.pages import PageRange, join_ranges
from streams.prepare.parsed import BlockKind, ParsedText

_SOFT_HYPHEN = re.compile("[\\u00ad\\u0002\\ufffe]\\n?")  # pdfium writes U+FFFE or U+0002 where a word is broken
_PARAGRAPH_END = re.compile(r"[.!?:;)\"'\u201d]$")
_BULLET = re.compile(r"[\u2022\u25cf\u25aa\u25e6\u2023*-]\s|\(?\d{1,3}[.)]\s")
_PASSWORD_ERROR = 4  # FPDF_ERR_PASSWORD
_SHORT_LINE = 0.75  # a line this much shorter than its page's usual one ends a paragraph
_USELESS_TITLES = re.compile(r"(?i)^(untitled|microsoft (word|powerpoint).*|.*\.(docx?|pptx?|pdf|dvi|tex|indd|xlsx?))$")


def parse_pdf(data: bytes, *, max_pages: int, heavy_pages: int | None = None) -> ParsedText:
    """Return the text layer.

    Raises EncryptedDocumentError, EmptyDocumentError (scans), MalformedDocumentError, LimitExceededError, and
    HeavyDocumentError for more than `heavy_pages` pages.
    """
    with _opened(data, max_pages) as document:
        if heavy_pages is not None and len(document) > heavy_pages:
            raise HeavyDocumentError(f"{len(document)} pages")
        return join_ranges([_range(document, range(len(document)))])


def read_pdf_pages(data: bytes, *, first: int, count: int, max_pages: int) -> PageRange:
    """Return `count` pages from page `first` on, counted from 0, or as many as there are. Raises as `parse_pdf`."""
    with _opened(data, max_pages) as document:
        return _range(document, range(first, min(first + count, len(document))))


@contextmanager
def _opened(data: bytes, max_pages: int) -> Iterator[pdfium.PdfDocument]:
    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        if getattr(error, "err_code", None) == _PASSWORD_ERROR:
            raise EncryptedDocumentError(
                "the PDF opens only with a password: remove it and send the file again"
            ) from None
        raise MalformedDocumentError(f"the PDF is damaged ({error}): save it again from its source") from None
    try:
        if len(document) > max_pages:
            raise LimitExceededError(
                f"content: the PDF has {len(document)} pages, more than {max_pages}: split it, or raise the setting "
                "limits.max_pages, or the tenant's own in limits.tenants"
            )
        yield document
    finally:
        document.close()


def _range(document: pdfium.PdfDocument, numbers: range) -> PageRange:
    title = short_title(document.get_metadata_value("Title"))
    return PageRange(
        media_type=MediaType.PDF,
        title="" if _USELESS_TITLES.match(title) else title,
        total=len(document),
        blocks=tuple(
            (kind, text, number + 1) for number in numbers for kind, text in _page_blocks(_page_text(document, number))
        ),
    )


def _page_text(document: pdfium.PdfDocument, index: int) -> str:
    try:
        page = document[index]
    except pdfium.PdfiumError as error:
        raise MalformedDocumentError(
            f"page {index + 1} of the PDF is damaged ({error}): save it again from its source"
        ) from None
    try:
        text_page = page.get_textpage()
        try:
            return _SOFT_HYPHEN.sub("", text_page.get_text_range().replace("\r\n", "\n"))
        finally:
            text_page.close()
    finally:
        page.close()


def _page_blocks(raw: str) -> Iterator[tuple[BlockKind, str]]:
    """Join a page's lines to paragraphs: one ends at an empty line, before a bullet, or where a line stops short."""
    lines = [line.rstrip() for line in normalise(raw).split("\n")]
    usual = sorted(len(line) for line in lines)[len(lines) * 3 // 4]
    paragraph: list[str] = []
    for line in lines:
        if paragraph and (not line or _BULLET.match(line)):
            yield _block(paragraph)
            paragraph = []
        if line:
            paragraph.append(line)
            if len(line) < _SHORT_LINE * usual and _PARAGRAPH_END.search(line):
                yield _block(paragraph)
                paragraph = []
    if paragraph:
        yield _block(paragraph)


def _block(lines: list[str]) -> tuple[BlockKind, str]:
    kind = BlockKind.LIST_ITEM if _BULLET.match(lines[0]) else BlockKind.PARAGRAPH
    return kind, "\n".join(lines)
