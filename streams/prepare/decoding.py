"""Bytes of a text file to a string, whatever they were written in."""

import re
from codecs import lookup

from charset_normalizer import from_bytes

from headwater.content.encodings import marked_encoding, zero_encoding
from streams.prepare.errors import MalformedDocumentError

_GUESS_BYTES = 64 * 1024  # more does not guess better, and costs seconds
_CONTROL_SHARE = 0.1
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f]")


def decode_text(data: bytes, *, declared: str | None = None) -> str:
    """Decode a text: byte order mark, UTF-8, UTF-16/32 by their zeros, the declared encoding, then a guess.

    Raises MalformedDocumentError when the bytes are no text in any encoding known.
    """
    marked = marked_encoding(data)
    if marked:
        name, length = marked
        return data[length:].decode(name, errors="replace")
    by_zeros = zero_encoding(data)
    if by_zeros:
        return data.decode(by_zeros, errors="replace")
    return _by_trial(data, ["utf-8", declared or ""]) or _by_guess(data)


def _by_trial(data: bytes, names: list[str]) -> str | None:
    for name in names:
        try:
            return data.decode(lookup(name).name)
        except (UnicodeDecodeError, LookupError, ValueError):
            continue
    return None


def _by_guess(data: bytes) -> str:
    if not data:
        return ""
    best = from_bytes(data[:_GUESS_BYTES]).best()
    text = data.decode(best.encoding if best else "cp1252", errors="replace")
    if len(_CONTROLS.findall(text[:_GUESS_BYTES])) > _CONTROL_SHARE * min(len(text), _GUESS_BYTES):
        raise MalformedDocumentError("the file is not text in any known encoding: save it as UTF-8 and send it again")
    return text
