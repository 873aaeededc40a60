"""What a generation's record asks of its embedding model, and the settings that its stores are made with."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from headwater.clients.triton.embedding_model import NAME
from headwater.errors import FatalError
from headwater.generations.policy import parse_policy
from headwater.ports.models import EmbeddingModel, EmbeddingNeed
from headwater.settings import Settings, TritonSettings
from schemas.events.directory import Generation

# An event carries up to 64 chunks of 8 KiB; with 4 KiB for each vector that leaves a quarter of what a broker takes.
MAX_DIMENSION: Final = 1_024
_PLACE: Final = "{model}"


def need_of(record: Generation) -> EmbeddingNeed:
    """Return what questions need: a long one is cut, so any length of text will do."""
    return EmbeddingNeed(model=record.model, dimension=record.dimension)


def chunks_need_of(record: Generation) -> EmbeddingNeed:
    """Return what chunks need: each is given to the model whole."""
    return replace(need_of(record), max_tokens=parse_policy(record.policy, max_tokens=None).max_tokens)


def settings_of(record: Generation, settings: Settings) -> Settings:
    """Return the settings as a generation's own: its name, and vectors of its length."""
    milvus = settings.milvus.model_copy(update={"dimension": record.dimension})
    return settings.model_copy(update={"generation": record.name, "milvus": milvus})


def tokenizer_file_of(record: Generation, settings: TritonSettings) -> Path:
    """Return where the tokenizer of a generation's model lies: chunks are measured with no other one.

    Raises FatalError where the settings' pattern would take any model to one file.
    """
    if record.model == NAME:
        return settings.tokenizer_file
    if _PLACE not in settings.tokenizer_pattern:
        raise FatalError(
            f"HEADWATER_TRITON__TOKENIZER_PATTERN {settings.tokenizer_pattern}: write {_PLACE} where the model's name "
            f"belongs; {record.name} has the model {record.model}"
        )
    return Path(settings.tokenizer_pattern.replace(_PLACE, record.model))


def require_storable(model: EmbeddingModel) -> None:
    """Raise FatalError where a batch of a model's vectors may not fit a record of the log."""
    if model.dimension > MAX_DIMENSION:
        raise FatalError(
            f"--embedding-model {model.name}: its vectors have {model.dimension} numbers, and 64 chunks with more than "
            f"{MAX_DIMENSION} each may not fit a record: choose a model, or an output of it, with fewer"
        )
