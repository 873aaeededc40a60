"""What the tests of stage `prepare` share: token counters without a model, and random documents."""

import re
from collections.abc import Sequence

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from headwater.generations.policy import ChunkPolicy
from streams.prepare.atoms import CountTokens
from streams.prepare.canonical import TextBuilder
from streams.prepare.parsed import BlockKind, ParsedText

# No deadline: it would measure how busy the machine is.
PATIENT = settings(suppress_health_check=[HealthCheck.too_slow])
SMALL = ChunkPolicy(name="small", max_tokens=48, max_context_tokens=16, min_tokens=10, max_bytes=600)
_PIECES = re.compile(r"\w{1,5}|[^\w\s]")


def count_words(text: str) -> int:
    """Count as a WordPiece tokenizer does: space is free, two special tokens are added to every text."""
    return 2 + len(_PIECES.findall(text))


def count_characters(text: str) -> int:
    """Count as a tokenizer that sees spaces: what is put together costs more than its parts."""
    return 1 + (len(text) + 2) // 3


COUNTERS: Sequence[CountTokens] = (count_words, count_characters)

words = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Z")), min_size=1, max_size=12)
sentences = st.lists(words, min_size=1, max_size=25).map(lambda found: " ".join(found) + ".")
long_words = st.integers(min_value=200, max_value=1500).map(lambda size: "x" * size)
paragraphs = st.lists(sentences | long_words, min_size=1, max_size=4).map(" ".join)


def _add(builder: TextBuilder, kind: str, text: str) -> None:
    if kind == "heading":
        builder.heading(text[:200], level=len(text) % 6 + 1)
    elif kind == "table":
        cells = text.split(" ")
        width = min(4, len(cells))
        builder.table([cells[at : at + width] for at in range(0, len(cells), width)])
    elif kind == "code":
        builder.add(BlockKind.CODE, text.replace(". ", ";\n    "))
    else:
        builder.add(BlockKind(kind), text)


@st.composite
def documents(draw: st.DrawFn) -> ParsedText:
    """Draw a document of random blocks."""
    builder = TextBuilder()
    builder.add(BlockKind.PARAGRAPH, "Beginning.")  # never empty
    kinds = st.sampled_from(["heading", "paragraph", "paragraph", "list_item", "table", "code"])
    for kind, text in draw(st.lists(st.tuples(kinds, paragraphs), max_size=12)):
        _add(builder, kind, text)
    return builder.build(media_type="text/plain", title=draw(st.sampled_from(["", "A title", "Long title " * 40])))


def plain_document(paragraphs_of_text: Sequence[str]) -> ParsedText:
    """Build one long section."""
    builder = TextBuilder()
    for text in paragraphs_of_text:
        builder.add(BlockKind.PARAGRAPH, text)
    return builder.build(media_type="text/plain")
