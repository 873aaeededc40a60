"""A small document of each format, with the words that a test wants in it."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage

import docx

from headwater.content.media_types import MediaType
from tests.support.pdf import pdf_of


@dataclass(frozen=True, slots=True)
class File:
    """Content under the name that it would be uploaded with."""

    name: str
    content: bytes


def files(words: str) -> Mapping[MediaType, File]:
    """Return one file of each format, whose text holds the words."""
    return {
        MediaType.MARKDOWN: File("page.md", f"# Page\n\n{words}\n".encode()),
        MediaType.HTML: File("page.html", f"<!DOCTYPE html><html><body><p>{words}</p></body></html>".encode()),
        MediaType.TEXT: File("notes.txt", f"{words}\n".encode()),
        MediaType.PDF: File("page.pdf", pdf_of([words])),
        MediaType.DOCX: File("page.docx", _word_file(words)),
        MediaType.CSV: File("table.csv", f"what,who\n{words},Ann\nelse,Bob\n".encode()),
        MediaType.EMAIL: File("letter.eml", _letter(words)),
    }


def _word_file(words: str) -> bytes:
    document, packed = docx.Document(), io.BytesIO()
    document.add_paragraph(words)
    document.save(packed)
    return packed.getvalue()


def _letter(words: str) -> bytes:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "Letter", "ann@example.org", "bob@example.org"
    message.set_content(words)
    return message.as_bytes()
