"""The media type of a whole document: what its first bytes leave open is read from its directory."""

import io
import zipfile

from headwater.content.detection import HEAD_BYTES, detect_media_type
from headwater.content.media_types import READABLE, MediaType
from streams.prepare.errors import EmptyDocumentError, EncryptedDocumentError, UnsupportedFormatError

_ZIP_PARTS = (
    ("word/document.xml", MediaType.DOCX),
    ("xl/workbook.xml", MediaType.XLSX),
    ("ppt/presentation.xml", MediaType.PPTX),
)
# Names in an OLE directory are UTF-16; these streams exist in one kind of file only.
_OLE_STREAMS = (
    ("EncryptedPackage", None),  # an Office file behind a password
    ("__properties_version1.0", MediaType.OUTLOOK),
    ("WordDocument", MediaType.WORD),
    ("PowerPoint Document", MediaType.POWERPOINT),
    ("Workbook", MediaType.EXCEL),
)
_REMEDIES = {
    MediaType.WORD: "save it as DOCX",
    MediaType.RTF: "save it as DOCX",
    MediaType.ODT: "save it as DOCX",
    MediaType.EXCEL: "save each sheet as CSV",
    MediaType.XLSX: "save each sheet as CSV",
    MediaType.ODS: "save each sheet as CSV",
    MediaType.POWERPOINT: "save it as PDF",
    MediaType.PPTX: "save it as PDF",
    MediaType.ODP: "save it as PDF",
    MediaType.EPUB: "save it as PDF or HTML",
    MediaType.ZIP: "send the files in it one by one",
    MediaType.GZIP: "send the unpacked file",
}
_IMAGES = frozenset({MediaType.PNG, MediaType.JPEG, MediaType.GIF, MediaType.TIFF, MediaType.WEBP})


def readable_type(data: bytes, *, declared: str | None = None, name: str | None = None) -> MediaType:
    """Return the media type of a document that has a parser.

    Raises EmptyDocumentError for no bytes at all, EncryptedDocumentError for an Office file behind a password, and
    UnsupportedFormatError, naming the format and what to send instead, for everything without a parser.
    """
    if not data.strip():
        raise EmptyDocumentError("the file is empty: check that the right file was sent")
    kind = detect_media_type(data[:HEAD_BYTES], declared=declared, name=name)
    if kind is MediaType.ZIP:
        kind = _zip_type(data)
    elif kind is MediaType.OLE:
        kind = _ole_type(data)
    if kind not in READABLE:
        raise UnsupportedFormatError(f"{kind} cannot be read: {_remedy(kind)}")
    return kind


def _zip_type(data: bytes) -> MediaType:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, OSError):
        return MediaType.ZIP
    return next((kind for part, kind in _ZIP_PARTS if part in members), MediaType.ZIP)


def _ole_type(data: bytes) -> MediaType:
    for stream, kind in _OLE_STREAMS:
        if stream.encode("utf-16-le") in data:
            if kind is None:
                raise EncryptedDocumentError("the file is protected with a password: remove it and send the file again")
            return kind
    return MediaType.OLE


def _remedy(kind: MediaType) -> str:
    if kind in _IMAGES:
        return "pictures need OCR first; send the text"
    return _REMEDIES.get(kind, "send Markdown, HTML, text, PDF, DOCX, CSV or e-mail")
