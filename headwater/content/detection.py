"""The media type of a document, told from its first bytes. A name or a declared type only settles what bytes cannot."""

import csv
import re
from pathlib import PurePosixPath

from headwater.content.encodings import unicode_head
from headwater.content.media_types import CODE, MediaType

HEAD_BYTES = 64 * 1024  # enough for every rule below; callers that stream keep this much

_MAGIC = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", MediaType.OLE),
    (b"{\\rtf", MediaType.RTF),
    (b"\x89PNG\r\n\x1a\n", MediaType.PNG),
    (b"\xff\xd8\xff", MediaType.JPEG),
    (b"GIF87a", MediaType.GIF),
    (b"GIF89a", MediaType.GIF),
    (b"II*\x00", MediaType.TIFF),
    (b"MM\x00*", MediaType.TIFF),
    (b"\x1f\x8b", MediaType.GZIP),
)
_PDF = re.compile(rb"%PDF-")
_PDF_IN_CODE = re.compile(rb"^%PDF-", re.MULTILINE)  # within a line a program mentions it
_PDF_WINDOW = 1024  # readers accept that much before the signature (ISO 32000, implementation note 13)
_ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
_ZIP_MEMBERS = (
    (b"word/", MediaType.DOCX),
    (b"xl/", MediaType.XLSX),
    (b"ppt/", MediaType.PPTX),
)
_ZIP_MIMETYPES = {kind.value.encode(): kind for kind in (MediaType.ODT, MediaType.ODS, MediaType.ODP, MediaType.EPUB)}
_ZIP_LOCAL_NAME = re.compile(rb"PK\x03\x04.{22}(..)..", re.DOTALL)
_HTML = re.compile(
    r"<!doctype\s+html|<(html|head|body|title|meta|script|style|table|div|h[1-6]|p|a|ul|ol|span|br|article|section)[\s/>]",
    re.IGNORECASE,
)
_HTML_START = re.compile(r"\s*(<!--.*?-->\s*|<\?xml[^>]*>\s*)*<(!doctype\s+html|[a-z])", re.IGNORECASE | re.DOTALL)
_XML_START = re.compile(r"\s*<\?xml\s", re.IGNORECASE)
_HEADER_LINE = re.compile(r"^(>?From |[!-9;-~]+:([ \t]|$))")
_KNOWN_HEADERS = frozenset(
    {"from", "to", "cc", "bcc", "subject", "date", "message-id", "mime-version", "received", "return-path", "sender"}
    | {"reply-to", "delivered-to", "content-type", "content-transfer-encoding", "in-reply-to", "references"}
)
_MIN_KNOWN_HEADERS = 2
_DELIMITERS = ",;\t|"
_MIN_TABLE_ROWS = 2
_SUFFIXES = {
    ".md": MediaType.MARKDOWN,
    ".markdown": MediaType.MARKDOWN,
    ".csv": MediaType.CSV,
    ".tsv": MediaType.TSV,
    ".tab": MediaType.TSV,
    ".txt": MediaType.TEXT,
    ".text": MediaType.TEXT,
    ".html": MediaType.HTML,
    ".htm": MediaType.HTML,
    ".eml": MediaType.EMAIL,
    ".json": MediaType.JSON,
    ".xml": MediaType.XML,
}
_CODE_SUFFIXES = {
    **dict.fromkeys((".sh", ".bash"), MediaType.BASH),
    ".c": MediaType.C,
    ".h": MediaType.CPP,  # whose grammar reads C's headers too
    **dict.fromkeys((".hh", ".hpp", ".hxx", ".cc", ".cpp", ".cxx"), MediaType.CPP),
    ".cs": MediaType.CSHARP,
    ".go": MediaType.GO,
    ".java": MediaType.JAVA,
    **dict.fromkeys((".js", ".mjs", ".cjs", ".jsx"), MediaType.JAVASCRIPT),
    ".php": MediaType.PHP,
    **dict.fromkeys((".py", ".pyi"), MediaType.PYTHON),
    ".rb": MediaType.RUBY,
    ".rs": MediaType.RUST,
    ".tsx": MediaType.TSX,
    **dict.fromkeys((".ts", ".mts", ".cts"), MediaType.TYPESCRIPT),
}
_DECLARED = {
    "text/x-markdown": MediaType.MARKDOWN,
    "application/csv": MediaType.CSV,
    "text/xml": MediaType.XML,
    "application/javascript": MediaType.JAVASCRIPT,
    "application/x-javascript": MediaType.JAVASCRIPT,
    "application/typescript": MediaType.TYPESCRIPT,
    "text/typescript": MediaType.TYPESCRIPT,
    "application/x-python-code": MediaType.PYTHON,
    "application/x-httpd-php": MediaType.PHP,
    "application/x-php": MediaType.PHP,
    "application/x-ruby": MediaType.RUBY,
    "application/x-sh": MediaType.BASH,
    "text/x-sh": MediaType.BASH,
    "text/x-csrc": MediaType.C,
    "text/x-chdr": MediaType.CPP,
    "text/x-c++src": MediaType.CPP,
    "text/x-c++hdr": MediaType.CPP,
    "text/x-java-source": MediaType.JAVA,
}
_SAY_LITTLE = CODE | {None, MediaType.TEXT, MediaType.BINARY}
_BELIEVED = CODE | {MediaType.MARKDOWN, MediaType.CSV, MediaType.TSV, MediaType.TEXT, MediaType.JSON, MediaType.HTML}


def detect_media_type(head: bytes, *, declared: str | None = None, name: str | None = None) -> MediaType:
    """Return the media type of a document whose first bytes (up to HEAD_BYTES, or all of it) are `head`.

    `declared` and `name` settle only what plain text cannot tell: Markdown, CSV, program text. ZIP and OLE files whose
    first bytes do not give them away are returned as ZIP and OLE: reading their directory needs the whole file.
    """
    hint = hinted_type(declared, name)
    binary = _binary_type(head, hint)
    if binary is not None:
        return binary
    text = unicode_head(head)
    if text is None:
        return MediaType.BINARY
    return _text_type(text, hint)


def suffix_of(name: str | None) -> str:
    """Return the ending of a file's name in lower case, with its dot, or an empty string."""
    return PurePosixPath(name.replace("\\", "/")).suffix.lower() if name else ""


def hinted_type(declared: str | None, name: str | None) -> MediaType | None:
    """Return what a declared type and a name say of a text; None where they say nothing that is known."""
    suffix = suffix_of(name)
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    plain = (declared or "").split(";")[0].strip().lower()
    said = _DECLARED.get(plain) or (MediaType(plain) if plain in set(MediaType) else None)
    # A page's address may end in .php: what is declared as something else than text is not code for its name.
    return _CODE_SUFFIXES.get(suffix, said) if said in _SAY_LITTLE else said


def _binary_type(head: bytes, hint: MediaType | None) -> MediaType | None:
    if (_PDF_IN_CODE if hint in CODE else _PDF).search(head[:_PDF_WINDOW]):
        return MediaType.PDF
    if head.startswith(_ZIP_SIGNATURES):
        return _zip_type(head)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return MediaType.WEBP
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)


def _zip_type(head: bytes) -> MediaType:
    for match in _ZIP_LOCAL_NAME.finditer(head):
        length = int.from_bytes(match.group(1), "little")
        member = head[match.end() : match.end() + length]
        if member == b"mimetype":  # stored first and uncompressed, by the OpenDocument and EPUB rules
            stored = head[match.end() + length : match.end() + length + 64]
            return next((kind for value, kind in _ZIP_MIMETYPES.items() if stored.startswith(value)), MediaType.ZIP)
        for prefix, kind in _ZIP_MEMBERS:
            if member.startswith(prefix):
                return kind
    return MediaType.ZIP


def _text_type(text: str, hint: MediaType | None) -> MediaType:
    if hint is not MediaType.MARKDOWN:  # Markdown may begin with HTML, and with lines that look like headers
        if _looks_like_html(text):
            return MediaType.HTML
        if _XML_START.match(text):
            return MediaType.XML
        if _looks_like_email(text):
            return MediaType.EMAIL
    if hint in _BELIEVED:
        return hint
    return MediaType.CSV if _looks_like_csv(text) else MediaType.TEXT


def _looks_like_html(text: str) -> bool:
    return _HTML_START.match(text) is not None and _HTML.search(text[:4096]) is not None


def _looks_like_email(text: str) -> bool:
    known: set[str] = set()
    for line in text.lstrip("\r\n").splitlines():
        if not line.strip():
            break
        if line[0] in " \t":
            continue
        if not _HEADER_LINE.match(line):
            return False
        known.add(line.split(":", 1)[0].lower())
    return len(known & _KNOWN_HEADERS) >= _MIN_KNOWN_HEADERS


def _looks_like_csv(text: str) -> bool:
    """Say whether the first lines have one delimiter the same number of times: prose never has, for long."""
    lines = [line for line in text.splitlines()[:-1][:20] if line.strip()]
    if len(lines) < _MIN_TABLE_ROWS + 1:
        return False
    for delimiter in _DELIMITERS:
        widths = {len(row) for row in csv.reader(lines, delimiter=delimiter)}
        if len(widths) == 1 and widths.pop() > 1:
            return True
    return False
