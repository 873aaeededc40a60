"""PDFs written by hand."""

from collections.abc import Sequence


def pdf_of(pages: Sequence[str], *, drawn_lines: int = 0) -> bytes:
    """Write a PDF with one line of text a page, and the same drawing on each: a parser takes its time over it."""
    kids = " ".join(f"{5 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        _stream("0 0 m 612 792 l S\n" * drawn_lines),
    ]
    for number, text in enumerate(pages):
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] "
            f"/Contents [4 0 R {6 + 2 * number} 0 R] /Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(_stream(f"BT /F1 24 Tf 72 720 Td ({text}) Tj ET"))
    return _file(objects).encode()


def _stream(body: str) -> str:
    return f"<< /Length {len(body)} >>\nstream\n{body}\nendstream"


def _file(objects: Sequence[str]) -> str:
    out, offsets = ["%PDF-1.4\n"], list[int]()
    at = len(out[0])
    for number, body in enumerate(objects, start=1):
        offsets.append(at)
        out.append(f"{number} 0 obj\n{body}\nendobj\n")
        at += len(out[-1])
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    out.append(f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer << /Size {size} /Root 1 0 R >>\n")
    out.append(f"startxref\n{at}\n%%EOF\n")
    return "".join(out)
