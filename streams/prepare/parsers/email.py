"""E-mail: who wrote to whom about what, the body, and the names of what was attached."""

import email
import email.policy
from contextlib import suppress
from email.header import decode_header, make_header
from email.message import Message
from typing import cast

from headwater.content.encodings import marked_encoding, zero_encoding
from headwater.content.media_types import MediaType
from streams.prepare.canonical import TextBuilder, one_line
from streams.prepare.decoding import decode_text
from streams.prepare.errors import EmptyDocumentError, EncryptedDocumentError, MalformedDocumentError
from streams.prepare.parsed import BlockKind, ParsedText
from streams.prepare.parsers.html import add_html, html_root
from streams.prepare.parsers.text import paragraph_blocks

_SHOWN = ("Subject", "From", "To", "Cc", "Date")
_ENCRYPTED = frozenset({"multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"})


def parse_email(data: bytes) -> ParsedText:
    """Return a message. Raises EncryptedDocumentError, EmptyDocumentError, MalformedDocumentError."""
    message = email.message_from_bytes(_as_ascii_superset(data).lstrip(b"\r\n"), policy=email.policy.compat32)
    headers = {name: _header(message, name) for name in _SHOWN}
    builder = TextBuilder()
    builder.add(BlockKind.PARAGRAPH, "\n".join(f"{name}: {value}" for name, value in headers.items() if value))
    found_body = _add_body(message, builder)
    attachments = [name for part in message.walk() if (name := _file_name(part))]
    if attachments:
        builder.add(BlockKind.PARAGRAPH, "Attachments: " + ", ".join(attachments))
    if not found_body and not attachments:
        _refuse_encrypted(message)
    return builder.build(media_type=MediaType.EMAIL, title=headers["Subject"])


def _as_ascii_superset(data: bytes) -> bytes:
    """Return a message saved as UTF-16 or UTF-32 in UTF-8, in which its headers can be read."""
    marked = marked_encoding(data)
    wide = marked[0] if marked else zero_encoding(data)
    return decode_text(data).encode("utf-8", errors="replace") if wide else data


def _header(message: Message, name: str) -> str:
    raw = message.get(name)
    if raw is None:
        return ""
    try:
        return one_line(str(make_header(decode_header(raw))))
    except (UnicodeError, LookupError, ValueError):  # an encoding nobody knows: show it as it came
        return one_line(str(raw))


def _file_name(part: Message) -> str:
    try:
        return one_line(str(make_header(decode_header(part.get_filename() or ""))))
    except (UnicodeError, LookupError, ValueError):
        return one_line(part.get_filename() or "")


def _add_body(part: Message, builder: TextBuilder) -> bool:
    """Append the readable parts; of alternatives the richest that has words. Say whether there was any."""
    if part.is_multipart():
        children = cast("list[Message]", part.get_payload())
        if part.get_content_subtype() == "alternative":
            return any(_add_body(child, builder) for child in sorted(children, key=_richness))
        found = [_add_body(child, builder) for child in children]  # all of them: no early end
        return any(found)
    if part.get_content_maintype() != "text" or part.get_content_disposition() == "attachment":
        return False
    text = _decoded(part)
    blocks_before = len(builder)
    if part.get_content_subtype() == "html":
        with suppress(EmptyDocumentError):  # of this part only
            add_html(html_root(text), builder)
    else:
        for block in paragraph_blocks(text):
            builder.add(block.kind, text[block.start : block.end])
    return len(builder) > blocks_before


def _richness(part: Message) -> int:
    """Order alternatives: HTML keeps headings and tables that its plain twin has lost."""
    return {"text/html": 0, "text/plain": 2}.get(part.get_content_type(), 1)


def _decoded(part: Message) -> str:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else str(part.get_payload()).encode("utf-8", errors="replace")
    return decode_text(data, declared=part.get_content_charset()).replace("\r\n", "\n")


def _refuse_encrypted(message: Message) -> None:
    if any(part.get_content_type() in _ENCRYPTED for part in message.walk()):
        raise EncryptedDocumentError("the e-mail's body is encrypted: send it decrypted")
    if not any(_header(message, name) for name in _SHOWN):
        raise MalformedDocumentError("the e-mail has neither headers nor a body: export it again")
