"""The media types Headwater knows: those it reads, and those it can name when it refuses them."""

from enum import StrEnum


class MediaType(StrEnum):
    """A media type found in content. `READABLE` holds those that end as text."""

    MARKDOWN = "text/markdown"
    HTML = "text/html"
    TEXT = "text/plain"
    CSV = "text/csv"
    TSV = "text/tab-separated-values"
    EMAIL = "message/rfc822"
    OUTLOOK = "application/vnd.ms-outlook"
    PDF = "application/pdf"
    DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    XML = "application/xml"
    JSON = "application/json"
    XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
    ODT = "application/vnd.oasis.opendocument.text"
    ODS = "application/vnd.oasis.opendocument.spreadsheet"
    ODP = "application/vnd.oasis.opendocument.presentation"
    EPUB = "application/epub+zip"
    ZIP = "application/zip"
    GZIP = "application/gzip"
    OLE = "application/x-ole-storage"
    WORD = "application/msword"
    EXCEL = "application/vnd.ms-excel"
    POWERPOINT = "application/vnd.ms-powerpoint"
    RTF = "application/rtf"
    PNG = "image/png"
    JPEG = "image/jpeg"
    GIF = "image/gif"
    TIFF = "image/tiff"
    WEBP = "image/webp"
    BINARY = "application/octet-stream"
    BASH = "text/x-shellscript"
    C = "text/x-c"
    CPP = "text/x-c++"
    CSHARP = "text/x-csharp"
    GO = "text/x-go"
    JAVA = "text/x-java"
    JAVASCRIPT = "text/javascript"  # RFC 9239
    PHP = "text/x-php"
    PYTHON = "text/x-python"
    RUBY = "text/x-ruby"
    RUST = "text/x-rust"
    TSX = "text/x-tsx"
    TYPESCRIPT = "text/x-typescript"


# Program text. Only a name or a declared type tells it from plain text.
CODE = frozenset(
    {
        MediaType.BASH,
        MediaType.C,
        MediaType.CPP,
        MediaType.CSHARP,
        MediaType.GO,
        MediaType.JAVA,
        MediaType.JAVASCRIPT,
        MediaType.PHP,
        MediaType.PYTHON,
        MediaType.RUBY,
        MediaType.RUST,
        MediaType.TSX,
        MediaType.TYPESCRIPT,
    }
)

READABLE = frozenset(
    {
        MediaType.MARKDOWN,
        MediaType.HTML,
        MediaType.TEXT,
        MediaType.CSV,
        MediaType.TSV,
        MediaType.EMAIL,
        MediaType.OUTLOOK,
        MediaType.PDF,
        MediaType.DOCX,
        MediaType.XML,
        MediaType.JSON,
        *CODE,
    }
)
