"""Generations as the simulated installation has them: where their rows are, and how their texts are cut."""

from dataclasses import dataclass, field
from typing import Final

from headwater.generations.policy import ChunkPolicy
from headwater.settings import Settings
from tests.support.stores import FakeKeywordIndex, FakeVectorIndex

USUAL: Final = ChunkPolicy()
FINER: Final = ChunkPolicy(max_tokens=128, max_context_tokens=48, min_tokens=32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Build:
    """One generation. Its settings are the installation's under its name."""

    settings: Settings
    policy: ChunkPolicy
    vectors: FakeVectorIndex = field(default_factory=FakeVectorIndex)
    keywords: FakeKeywordIndex = field(default_factory=FakeKeywordIndex)

    def lose(self, service: str) -> None:
        """Lose what one store holds."""
        if service == "milvus":
            self.vectors.rows.clear()
            self.vectors.vectors.clear()
        else:
            self.keywords.rows.clear()
