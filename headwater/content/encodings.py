"""Unicode encodings that the first bytes of a text give away: by a byte order mark, or by where the zeros lie."""

_MARKS = (  # UTF-32's little-endian mark begins with UTF-16's: the longer ones come first
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_SAMPLE_BYTES = 1024
_MIN_SAMPLE_BYTES = 8
_ZERO_SHARE = (
    0.35  # Latin text in UTF-16 has a zero in nearly every character; other scripts in their spaces and digits
)


def marked_encoding(head: bytes) -> tuple[str, int] | None:
    """Return the encoding a byte order mark names and the mark's length in bytes, or None without a mark."""
    return next(((name, len(mark)) for mark, name in _MARKS if head.startswith(mark)), None)


def zero_encoding(head: bytes) -> str | None:
    """Return the UTF-16 or UTF-32 form that the zero bytes of an unmarked text point to, or None."""
    sample = head[: min(len(head), _SAMPLE_BYTES) // 4 * 4]
    if len(sample) < _MIN_SAMPLE_BYTES:
        return None
    zeros = [sample[lane::4].count(0) / (len(sample) // 4) for lane in range(4)]
    high = [share > _ZERO_SHARE for share in zeros]
    patterns = {
        (True, True, True, False): "utf-32-be",
        (False, True, True, True): "utf-32-le",
        (True, False, True, False): "utf-16-be",
        (False, True, False, True): "utf-16-le",
    }
    return patterns.get((high[0], high[1], high[2], high[3]))


def unicode_head(head: bytes) -> str | None:
    """Decode the first bytes of a text leniently, enough to sniff what it is. None: the bytes are no text."""
    marked = marked_encoding(head)
    if marked:
        name, length = marked
        return head[length:].decode(name, errors="replace")
    name_by_zeros = zero_encoding(head)
    if name_by_zeros:
        return head.decode(name_by_zeros, errors="replace")
    if b"\x00" in head:
        return None
    try:
        return head.decode("utf-8")
    except UnicodeDecodeError as error:
        cut_at_the_end = error.start >= len(head) - 3
        return head[: error.start].decode("utf-8") if cut_at_the_end and error.start else head.decode("latin-1")
