"""Cuts a parsed text into chunks: by its own structure, within the embedding model's budget, stable under edits."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain

from headwater.generations.policy import ChunkPolicy
from schemas.events.chunks import Chunk, ChunkKind, embedding_text
from streams.prepare.atoms import Atom, CountTokens, atoms_of
from streams.prepare.cutting import cut
from streams.prepare.errors import LimitExceededError
from streams.prepare.parsed import Block, BlockKind, ParsedText
from streams.prepare.sections import Section, fit_words, sections_of

_KINDS = {BlockKind.TABLE: ChunkKind.TABLE, BlockKind.CODE: ChunkKind.CODE}


def split_text(parsed: ParsedText, policy: ChunkPolicy, count_tokens: CountTokens) -> tuple[Chunk, ...]:
    """Cut a text into chunks. Same text, policy and tokenizer, same chunks.

    `embedding_text(content_title(...), chunk.section, chunk.text)` never has more than `policy.max_tokens` tokens as
    `count_tokens` counts them, special tokens included. `chunk.text` is `parsed.text[start:end]`, except that later
    pieces of a long table repeat its header in front. Every word is in a chunk or in a chunk's section path. An edit
    changes the chunks around it and no others, as long as headings and title stay.

    Raises LimitExceededError when the text would make more than `policy.max_chunks`.
    """
    title = content_title(parsed, policy, count_tokens)
    sections = sections_of(parsed, path_tokens=policy.max_context_tokens // 2, count=count_tokens)
    splitters = (_SectionSplitter(parsed, section, title, policy, count_tokens) for section in sections)
    return numbered(chain.from_iterable(splitter.chunks() for splitter in splitters), policy)


def numbered(chunks: Iterable[Chunk], policy: ChunkPolicy) -> tuple[Chunk, ...]:
    """Return chunks with their ordinals. Raises LimitExceededError for more than `policy.max_chunks`."""
    found: list[Chunk] = []
    for chunk in chunks:
        found.append(replace(chunk, ordinal=len(found)))
        if len(found) > policy.max_chunks:
            raise LimitExceededError(
                f"the text makes more than {policy.max_chunks} chunks: split the document into smaller ones"
            )
    return tuple(found)


def content_title(parsed: ParsedText, policy: ChunkPolicy, count_tokens: CountTokens) -> str:
    """Return the content's own title as chunks are embedded with it: cut to its share of the budget."""
    return fit_words(parsed.title, policy.max_context_tokens // 2, count_tokens)


def text_hash(title: str, section: Sequence[str], text: str) -> str:
    """Return what names a chunk's vector: SHA-256 in hex of the text it is embedded from."""
    return hashlib.sha256(embedding_text(title, section, text).encode()).hexdigest()


class _SectionSplitter:
    """Cuts one section. Holds what every cut of it needs."""

    def __init__(
        self, parsed: ParsedText, section: Section, title: str, policy: ChunkPolicy, count: CountTokens
    ) -> None:
        self._parsed = parsed
        self._section = section
        self._title = title
        self._policy = policy
        self._count = count
        self._special = count("")  # tokens that the model adds to every text

    @cached_property
    def _budget(self) -> int:
        """Return the tokens that title and section path leave for the passage."""
        return self._policy.max_tokens - self._count(embedding_text(self._title, self._section.path, ""))

    def chunks(self) -> Iterator[Chunk]:
        """Yield the section's chunks in order, all with ordinal 0."""
        body = self._section.body
        if self._within(self._parsed.text[body[0].start : body[-1].end]):  # most sections
            yield self._chunk(body[0].start, body[-1].end, "", body)
            return
        run: list[Block] = []
        for block in body:
            if block.kind is BlockKind.TABLE and not self._fits_alone(block):
                yield from self._split_run(run)
                yield from self._split_table(block)
                run = []
            else:
                run.append(block)
        yield from self._split_run(run)

    def _split_run(self, blocks: Sequence[Block]) -> Iterator[Chunk]:
        atoms: list[Atom] = []
        for before, block in zip([None, *blocks], blocks, strict=False):
            atoms += self._atoms(block, before, self._budget)
        yield from self._pack(atoms, header="", budget=self._budget)

    def _split_table(self, table: Block) -> Iterator[Chunk]:
        """Cut a table that does not fit between its rows; its header goes in front of every piece."""
        end = _header_end(self._parsed.text, table)
        header = self._parsed.text[table.start : end] + "\n"
        cost = self._cost(header)
        if cost > self._budget // 2 or end >= table.end:
            yield from self._pack(self._atoms(table, None, self._budget), header="", budget=self._budget)
            return
        rows = replace(table, start=end + 1)
        budget = self._budget - cost
        yield from self._pack(self._atoms(rows, None, budget), header=header, budget=budget)

    def _atoms(self, block: Block, before: Block | None, budget: int) -> list[Atom]:
        return list(atoms_of(self._parsed.text, block, before=before, budget=budget, count=self._cost))

    def _pack(self, atoms: Sequence[Atom], *, header: str, budget: int) -> Iterator[Chunk]:
        def fits(first: int, last: int) -> bool:
            return self._within(header + self._parsed.text[atoms[first].start : atoms[last - 1].end])

        for first, last in cut(atoms, budget=budget, least=self._policy.min_tokens, fits=fits):
            for start, end in self._hard_cut(atoms[first].start, atoms[last - 1].end, header):
                yield self._chunk(start, end, header, [atom.block for atom in atoms[first:last]])

    def _hard_cut(self, start: int, end: int, header: str) -> Iterator[tuple[int, int]]:
        """Yield the stretch, halved until it fits: what a tokenizer counts apart may be more when put together."""
        if end - start <= 1 or self._within(header + self._parsed.text[start:end]):
            yield start, end
            return
        middle = (start + end) // 2
        yield from self._hard_cut(start, middle, header)
        yield from self._hard_cut(middle, end, header)

    def _chunk(self, start: int, end: int, header: str, blocks: Sequence[Block]) -> Chunk:
        text = header + self._parsed.text[start:end]
        kinds = {_KINDS.get(block.kind, ChunkKind.TEXT) for block in blocks}
        parent_start, parent_end = self._parent(blocks)
        return Chunk(
            ordinal=0,
            text=text,
            kind=kinds.pop() if len(kinds) == 1 else ChunkKind.TEXT,
            section=self._section.path,
            page=blocks[0].page,
            start=start,
            end=end,
            parent_start=parent_start,
            parent_end=parent_end,
            text_hash=text_hash(self._title, self._section.path, text),
        )

    def _parent(self, blocks: Sequence[Block]) -> tuple[int, int]:
        """Return the section's extent; in a section that runs over pages, that of the chunk's own pages."""
        pages = {block.page for block in blocks}
        if pages == {None}:
            return self._section.start, self._section.end
        around = [block for block in self._section.body if block.page in pages]
        return around[0].start, around[-1].end

    def _fits_alone(self, block: Block) -> bool:
        return self._within(self._parsed.text[block.start : block.end])

    def _within(self, text: str) -> bool:
        whole = embedding_text(self._title, self._section.path, text)
        return len(text.encode()) <= self._policy.max_bytes and self._count(whole) <= self._policy.max_tokens

    def _cost(self, text: str) -> int:
        """Return the tokens a text adds to a chunk; more than any budget when it has too many bytes for one."""
        if len(text.encode()) > self._policy.max_bytes:
            return self._policy.max_tokens + len(text)
        return self._count(text) - self._special


def _header_end(text: str, table: Block) -> int:
    """Return where a table's header ends: after its first line, or its second where that is all dashes."""
    lines = text[table.start : table.end].split("\n", 2)
    dashes = len(lines) > 1 and set(lines[1]) <= set("|-: \t")
    return table.start + len(lines[0]) + (1 + len(lines[1]) if dashes else 0)
