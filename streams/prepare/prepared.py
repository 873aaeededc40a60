"""A prepared document: its canonical text, cut. What the content-addressed cache keeps."""

import hashlib
import json
import zlib
from dataclasses import asdict, dataclass
from typing import Any

from headwater.content.detection import hinted_type, suffix_of
from headwater.content.media_types import CODE
from headwater.generations.policy import ChunkPolicy
from schemas.events.chunks import Chunk, ChunkKind
from streams.prepare.atoms import CountTokens
from streams.prepare.chunking import content_title, split_text, text_hash
from streams.prepare.code_chunking import split_code
from streams.prepare.parsed import ParsedText
from streams.prepare.parsing import CODE_VERSION, PARSER_VERSION

_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """All that parsing and cutting give. Offsets of the chunks point into `text`."""

    text: str  # canonical; goes to the blob store
    content_title: str
    media_type: str
    language: str | None
    chunks: tuple[Chunk, ...]


def prepare(parsed: ParsedText, policy: ChunkPolicy, count_tokens: CountTokens) -> Prepared:
    """Cut a parsed document. Raises LimitExceededError."""
    return Prepared(
        text=parsed.text,
        content_title=content_title(parsed, policy, count_tokens),
        media_type=parsed.media_type,
        language=parsed.language,
        chunks=_split(parsed, policy, count_tokens),
    )


def _split(parsed: ParsedText, policy: ChunkPolicy, count_tokens: CountTokens) -> tuple[Chunk, ...]:
    if parsed.outline is None:
        return split_text(parsed, policy, count_tokens)
    return split_code(parsed.text, parsed.outline, policy, count_tokens)


def parser_label(policy: ChunkPolicy, media_type: str | None = None) -> str:
    """Return what the trail of a chunk says about its making: parser version and chunking policy."""
    code = f"+code{CODE_VERSION}" if media_type in CODE else ""
    return f"headwater@{PARSER_VERSION}{code}/{policy.text}"


def prepared_key(
    content_sha256: str, policy: ChunkPolicy, *, tokenizer: str, media_hint: str | None, name_hint: str | None
) -> str:
    """Name the result of preparing a content: the same bytes, hints, parser, policy and tokenizer, the same chunks.

    `tokenizer` names the vocabulary that sizes are counted with. The hints are part of it because the same bytes are
    other blocks as Markdown than as plain text.
    """
    made_by = [_FORMAT, PARSER_VERSION, asdict(policy), tokenizer, media_hint, suffix_of(name_hint)]
    if hinted_type(media_hint, name_hint) in CODE:
        made_by.append(CODE_VERSION)
    return hashlib.sha256(f"{content_sha256}\n{json.dumps(made_by, sort_keys=True)}".encode()).hexdigest()


def dump_prepared(prepared: Prepared) -> bytes:
    """Return a compact form for the cache. A chunk's text is left out: the canonical text has it."""
    chunks = [_packed(chunk, prepared.text) for chunk in prepared.chunks]
    document = [_FORMAT, prepared.text, prepared.content_title, prepared.media_type, prepared.language, chunks]
    return zlib.compress(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(), 1)


def load_prepared(data: bytes) -> Prepared:
    """Read what `dump_prepared` wrote. Raises ValueError for anything else: a cache entry to drop."""
    try:
        _, text, title, media_type, language, chunks = json.loads(zlib.decompress(data))
        return Prepared(
            text=text,
            content_title=title,
            media_type=media_type,
            language=language,
            chunks=tuple(_unpacked(ordinal, values, text, title) for ordinal, values in enumerate(chunks)),
        )
    except (zlib.error, TypeError, ValueError) as error:
        raise ValueError(f"the cache entry cannot be read ({error}): drop it") from error


def _packed(chunk: Chunk, text: str) -> list[Any]:
    repeated = chunk.text.removesuffix(text[chunk.start : chunk.end])  # a long table's header
    place = [chunk.page, chunk.start, chunk.end, chunk.parent_start, chunk.parent_end]
    return [repeated, chunk.kind, chunk.section, *place]


def _unpacked(ordinal: int, values: list[Any], text: str, title: str) -> Chunk:
    repeated, kind, section, page, start, end, parent_start, parent_end = values
    own = repeated + text[start:end]
    return Chunk(
        ordinal=ordinal,
        text=own,
        kind=ChunkKind(kind),
        section=tuple(section),
        page=page,
        start=start,
        end=end,
        parent_start=parent_start,
        parent_end=parent_end,
        text_hash=text_hash(title, section, own),
    )
