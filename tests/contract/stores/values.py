"""Values that the suites of both stores share."""

from datetime import UTC, datetime
from typing import Final

from schemas.events.documents import AttributeValue

PUBLISHED: Final = datetime(2026, 1, 31, 23, 59, 59, 999999, tzinfo=UTC)

RICH: Final[dict[str, AttributeValue]] = {
    "status": "final",
    "tags": ("north", "sea"),
    "pages": 12,
    "sizes": (-1.5, 8, 2.25),
    "public": True,
    "published": PUBLISHED,
    "looks_like_a_time": "2026-01-31T00:00:00Z",
    "a name with spaces": "kept, though no filter can name it",
    "long": "x" * 40_000,
    "none": (),
}

HOSTILE: Final = (
    '"',
    "\\",
    '\\"',
    '" or tenant_id != "',
    '\\" or tenant_id != \\"',
    '"] or row_id != "" or row_id in ["',
    "' or 1 == 1 --",
    'x" and array_contains(readers, "user:victim") or row_id != "',
    "*",
    "?",
    "_all",
    "(*:*) OR text:[* TO *]",
    '{"match_all":{}}',
    "%25",
    "%",
    "line\nbreak\r\ttab",
    "\x00\x01\x7f",
    "é漢🛳\u2028\ufeff",
    "{expr}",
    "a" * 300,
    " ",
    "",
)
