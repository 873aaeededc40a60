"""Program text: the canonical text is the file's, its outline comes from a tree-sitter grammar.

What has no outline worth trusting is plain text, as if nobody had known its language.
"""

import re
from dataclasses import replace
from typing import Final

from headwater.content.media_types import MediaType
from streams.prepare.parsed import ParsedText
from streams.prepare.parsers.code_outline import outline_of
from streams.prepare.parsers.code_tree import parse_tree
from streams.prepare.parsers.text import parse_text

# Larger files are data or generated; a tree takes up to some hundred times its source in memory.
MAX_CODE_BYTES: Final = 512 * 1024
_LONG_SPACE: Final = re.compile(r"\s{256}")  # no hand leaves such a gap, and a chunk of nothing but space says nothing


def parse_code(data: bytes, kind: MediaType) -> ParsedText:
    """Return the text with its outline, or as plain text: too large, not readable as `kind`, or with a gap in it.

    Raises as `parse_text`. Bounded in time and memory for any bytes; the same bytes end the same way everywhere.
    """
    plain = parse_text(data)
    source = plain.text.encode()
    if len(source) > MAX_CODE_BYTES or _LONG_SPACE.search(plain.text):
        return plain
    tree = parse_tree(source, kind)
    if tree is None:
        return plain
    return replace(plain, outline=outline_of(plain.text, tree), media_type=kind)
