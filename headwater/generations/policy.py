"""How a text is cut, as a value: part of a generation's identity and of the cache's key."""

from dataclasses import dataclass, fields
from typing import Final

from headwater.errors import FatalError
from schemas.events.chunks import MAX_CHUNK_BYTES


class PolicyError(FatalError):
    """A chunking policy names what there is not, or sizes that leave no room for the passage itself."""


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

    @property
    def text(self) -> str:
        """The form that `parse_policy` reads: the name, then each size that is not the default."""
        changed = [
            f"{name}={getattr(self, name)}" for name in _SIZES if getattr(self, name) != getattr(DEFAULT_POLICY, name)
        ]
        return ",".join((self.name, *changed))


DEFAULT_POLICY: Final = ChunkPolicy()
_SIZES: Final = tuple(each.name for each in fields(ChunkPolicy) if each.name != "name")


def parse_policy(text: str, *, max_tokens: int | None = DEFAULT_POLICY.max_tokens) -> ChunkPolicy:
    """Read `structure-1,max_tokens=128,...`: what is not named has its default. Raises PolicyError naming the part.

    `max_tokens` is what the embedding model reads; None for a policy that was checked when it was recorded.
    """
    name, *parts = text.split(",")
    if name != DEFAULT_POLICY.name:
        raise PolicyError(f"policy: there is no {name!r}; begin with {DEFAULT_POLICY.name}")
    sizes: dict[str, int] = {}
    for part in parts:
        size, _, value = part.partition("=")
        if size not in _SIZES or not (value.isascii() and value.isdigit()) or int(value) < 1:
            raise PolicyError(f"policy: {part!r} is not a size; write NAME=NUMBER with one of {', '.join(_SIZES)}")
        sizes[size] = int(value)
    try:
        policy = ChunkPolicy(name=name, **sizes)
    except ValueError as error:
        raise PolicyError(f"policy: {error}") from error
    # What the embedding model reads and what a topic's record takes: a larger chunk would be refused later, one by one.
    for size, limit in (("max_tokens", max_tokens), ("max_bytes", DEFAULT_POLICY.max_bytes)):
        if limit is not None and getattr(policy, size) > limit:
            raise PolicyError(f"policy: {size} is at most {limit}: write {size}={limit} or less")
    return policy
