"""The media type comes from the content; names only settle what plain text cannot tell."""

import io
import zipfile

import pytest

from headwater.content.detection import detect_media_type
from headwater.content.media_types import MediaType
from streams.prepare.detection import readable_type
from streams.prepare.errors import EmptyDocumentError, EncryptedDocumentError, UnsupportedFormatError


def archive(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name, data in members:
            opened.writestr(name, data)
    return buffer.getvalue()


DOCX = archive(("[Content_Types].xml", b"<Types/>"), ("word/document.xml", b"<document/>"))
MAIL = b"From: a@example.org\nTo: b@example.org\nSubject: Tea\n\nAt four.\n"
PAGE = b"<!DOCTYPE html>\n<html><body><p>Hi</p></body></html>"
TABLE = b"name,age,town\nAnn,30,Bonn\nBob,41,Kiel\nCyd,22,Ulm\n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"%PDF-1.7\n...", MediaType.PDF),
        (b"\n\njunk before%PDF-1.4", MediaType.PDF),
        (DOCX, MediaType.DOCX),
        (archive(("xl/workbook.xml", b"")), MediaType.XLSX),
        (archive(("mimetype", b"application/epub+zip")), MediaType.EPUB),
        (archive(("readme.txt", b"hi")), MediaType.ZIP),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504), MediaType.OLE),
        (b"\x89PNG\r\n\x1a\n...", MediaType.PNG),
        (b"{\\rtf1 hi}", MediaType.RTF),
        (PAGE, MediaType.HTML),
        (PAGE.decode().encode("utf-16"), MediaType.HTML),
        (b"<!-- saved -->\n<div>Hi</div>", MediaType.HTML),
        (b'<?xml version="1.0"?><feed/>', MediaType.XML),
        (b'<?xml version="1.0"?><!DOCTYPE html><html/>', MediaType.HTML),
        (MAIL, MediaType.EMAIL),
        (MAIL.decode().encode("utf-16"), MediaType.EMAIL),
        (TABLE, MediaType.CSV),
        (TABLE.replace(b",", b";"), MediaType.CSV),
        (b"Dear all,\n\nplease come at four, or later.\n\nAnn\n", MediaType.TEXT),
        (b"Note: this is a note.\nAnd: another.\n\nText.", MediaType.TEXT),
        (b"caf\xe9 au lait, a drink", MediaType.TEXT),
        (bytes(range(256)) * 4, MediaType.BINARY),
    ],
)
def test_content_decides(data: bytes, expected: MediaType) -> None:
    assert detect_media_type(data) is expected


@pytest.mark.parametrize("name", ["evil.md", "evil.txt", "evil.csv"])
def test_a_name_does_not_turn_a_pdf_into_something_else(name: str) -> None:
    assert detect_media_type(b"%PDF-1.7", declared="text/plain", name=name) is MediaType.PDF


@pytest.mark.parametrize(
    ("declared", "name", "expected"),
    [
        ("text/markdown; charset=utf-8", None, MediaType.MARKDOWN),
        (None, "notes/Page.MD", MediaType.MARKDOWN),
        (None, "C:\\notes\\page.markdown", MediaType.MARKDOWN),
        ("application/octet-stream", "page.md", MediaType.MARKDOWN),
        ("text/csv", None, MediaType.CSV),
        ("image/png", None, MediaType.TEXT),
        (None, None, MediaType.TEXT),
    ],
)
def test_hints_settle_what_plain_text_cannot_tell(declared: str | None, name: str | None, expected: MediaType) -> None:
    assert detect_media_type(b"# Leave\n\nAsk first.\n", declared=declared, name=name) is expected


def test_markdown_may_begin_with_html() -> None:
    assert detect_media_type(b"<p align=center>Logo</p>\n\n# Readme\n", name="README.md") is MediaType.MARKDOWN


def test_a_head_cut_inside_a_character_is_still_text() -> None:
    head = ("ä" * 100).encode()[:-1]
    assert detect_media_type(head) is MediaType.TEXT


def test_nothing_at_all_is_empty() -> None:
    with pytest.raises(EmptyDocumentError, match="the file is empty"):
        readable_type(b" \n\t")


@pytest.mark.parametrize(
    ("data", "remedy"),
    [
        (b"\x89PNG\r\n\x1a\n", "OCR"),
        (archive(("ppt/presentation.xml", b"")), "PDF"),
        (archive(("readme.txt", b"hi")), "one by one"),
        (b"\x00\x01\x02\x03" * 10, "Markdown, HTML"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_remedy(data: bytes, remedy: str) -> None:
    with pytest.raises(UnsupportedFormatError, match=remedy):
        readable_type(data)


def test_an_office_file_behind_a_password_is_named_so() -> None:
    data = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + "EncryptedPackage".encode("utf-16-le")
    with pytest.raises(EncryptedDocumentError, match="password"):
        readable_type(data)
