"""Names of indices: one place, so that an installation (or a test) is set apart by its prefix alone."""

import re
from enum import StrEnum
from typing import Final

from headwater.errors import FatalError
from headwater.settings import ElasticsearchSettings
from schemas.ids import GenerationName

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,200}")


class Index(StrEnum):
    """Indices that all generations share."""

    MIGRATIONS = "migrations"  # what was applied, and by which version
    DOCUMENTS = "documents"  # newest state of each document
    PROGRESS = "progress"  # newest report, and newest visible revision, per document, generation and store
    LINEAGE = "lineage"  # one row per document, revision, generation and store
    PARKED = "parked"
    QUERIES = "queries"
    FEEDBACK = "feedback"
    INGESTIONS = "ingestions"  # public facts, for usage and freshness per tenant
    CANARIES = "canaries"  # one row for each step of each round


def index_name(settings: ElasticsearchSettings, index: Index) -> str:
    """Name an index that all generations share."""
    return _checked(f"{settings.index_prefix}-{index}")


def chunks_name(settings: ElasticsearchSettings, generation: GenerationName) -> str:
    """Name a generation's index of chunks."""
    return _checked(f"{settings.index_prefix}-chunks-{generation}")


def consistency_name(settings: ElasticsearchSettings, generation: GenerationName) -> str:
    """Name a generation's index of consistency reports."""
    return _checked(f"{settings.index_prefix}-consistency-{generation}")


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise FatalError(
            f"{name!r} cannot name an index; use lower-case letters, digits, `_` and `-` in HEADWATER_GENERATION "
            "and HEADWATER_ELASTICSEARCH__INDEX_PREFIX"
        )
    return name
