"""CSV and its relatives: one table, its first row the header that every piece repeats."""

import csv
import io
import sys

from headwater.content.media_types import MediaType
from streams.prepare.canonical import TextBuilder, normalise
from streams.prepare.decoding import decode_text
from streams.prepare.errors import MalformedDocumentError
from streams.prepare.parsed import ParsedText

_DELIMITERS = ",;\t|"
_SAMPLE_ROWS = 50


def parse_csv(data: bytes) -> ParsedText:
    """Return the rows as one pipe table. Raises EmptyDocumentError, MalformedDocumentError."""
    text = normalise(decode_text(data))
    csv.field_size_limit(sys.maxsize)  # the document's own size is limited already
    delimiter = _delimiter(text)
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))
    except csv.Error as error:
        raise MalformedDocumentError(f"the CSV breaks its own quoting ({error}): export it again") from None
    builder = TextBuilder()
    builder.table(rows)
    return builder.build(media_type=MediaType.TSV if delimiter == "\t" else MediaType.CSV)


def _delimiter(text: str) -> str:
    """Return the delimiter that cuts the first rows into the most columns, evenly."""
    sample = [line for line in text.split("\n")[:_SAMPLE_ROWS] if line.strip()]

    def evenness(delimiter: str) -> tuple[float, int]:
        widths = [len(row) for row in csv.reader(sample, delimiter=delimiter)]
        usual = max(set(widths), key=widths.count, default=1)
        return (widths.count(usual) / len(widths) if widths and usual > 1 else 0.0, usual)

    return max(_DELIMITERS, key=evenness)
