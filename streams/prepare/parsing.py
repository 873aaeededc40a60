"""One document's bytes to text: finds the format, then its parser. Parsers are imported when first needed."""

from collections.abc import Callable
from importlib import import_module
from typing import cast

from headwater.content.media_types import CODE, MediaType
from streams.prepare.detection import readable_type
from streams.prepare.limits import MAX_PAGES
from streams.prepare.pages import PageRange
from streams.prepare.parsed import ParsedText

# Raised with every change that gives another text, blocks or title for some file: part of the cache's key.
PARSER_VERSION = "1"
# The same for what is only so in program text, so that its changes leave prose alone; a grammar's new release is one.
CODE_VERSION = "1"

_PAGED = frozenset({MediaType.PDF})

_PARSERS = {
    MediaType.MARKDOWN: "streams.prepare.parsers.markdown:parse_markdown",
    MediaType.HTML: "streams.prepare.parsers.html:parse_html",
    MediaType.TEXT: "streams.prepare.parsers.text:parse_text",
    MediaType.JSON: "streams.prepare.parsers.text:parse_text",
    MediaType.PDF: "streams.prepare.parsers.pdf:parse_pdf",
    MediaType.DOCX: "streams.prepare.parsers.docx:parse_docx",
    MediaType.CSV: "streams.prepare.parsers.csv:parse_csv",
    MediaType.TSV: "streams.prepare.parsers.csv:parse_csv",
    MediaType.EMAIL: "streams.prepare.parsers.email:parse_email",
    MediaType.OUTLOOK: "streams.prepare.parsers.unstructured_elements:parse_outlook",
    MediaType.XML: "streams.prepare.parsers.unstructured_elements:parse_xml",
}


def parse_document(
    data: bytes,
    *,
    declared: str | None = None,
    name: str | None = None,
    max_pages: int = MAX_PAGES,
    heavy_pages: int | None = None,
) -> ParsedText:
    """Parse a document by its content; a declared type and a name settle only what plain text cannot tell.

    Raises a subclass of PoisonError from `streams.prepare.errors` for every file that cannot become text, and
    HeavyDocumentError for a paged one of more than `heavy_pages` pages.
    """
    kind = readable_type(data, declared=declared, name=name)
    if kind in CODE:
        from streams.prepare.parsers.code import parse_code

        return parse_code(data, kind)
    parser = _parser(kind)
    return parser(data, max_pages=max_pages, heavy_pages=heavy_pages) if kind in _PAGED else parser(data)


def read_pages(
    data: bytes, *, first: int, count: int, declared: str | None, name: str | None, max_pages: int
) -> PageRange | None:
    """Read some pages of a paged document; None for a document without pages. Raises as `parse_document`."""
    if readable_type(data, declared=declared, name=name) not in _PAGED:
        return None
    from streams.prepare.parsers.pdf import read_pdf_pages

    return read_pdf_pages(data, first=first, count=count, max_pages=max_pages)


def _parser(kind: MediaType) -> Callable[..., ParsedText]:
    module, function = _PARSERS[kind].split(":")
    return cast("Callable[..., ParsedText]", getattr(import_module(module), function))
