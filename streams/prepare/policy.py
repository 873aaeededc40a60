"""How a text is cut, as a value: part of a generation's identity and of the cache's key."""

from dataclasses import dataclass

from schemas.events.chunks import MAX_CHUNK_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkPolicy:
    """Sizes of chunks. Tokens are those of the embedding model's own tokenizer, special ones included."""

    name: str = "structure-1"
    max_tokens: int = 256  # what the model reads: title, section path and passage together
    max_context_tokens: int = 96  # of these, for title and section path at most
    min_tokens: int = 64  # a cut leaves this much on both sides, unless there is no such place
    max_bytes: int = MAX_CHUNK_BYTES
    max_chunks: int = 50_000  # of one document; beyond it is data, not reading matter

    def __post_init__(self) -> None:
        """Refuse sizes that leave no room for the passage itself."""
        if self.max_context_tokens * 2 > self.max_tokens:
            raise ValueError("max_context_tokens must be at most half of max_tokens: lower it")
        if self.min_tokens * 3 > self.max_tokens:
            raise ValueError("min_tokens must be at most a third of max_tokens: lower it")
