"""The migrations, in order. Add at the end; never change one that was released."""

from collections.abc import Mapping
from typing import Any, Final

from headwater.clients.elasticsearch.names import Index, chunks_name, consistency_name, index_name
from headwater.clients.milvus.collection import collection_name
from headwater.migrations import mappings
from headwater.migrations.collections import create_collection, drop_collection
from headwater.migrations.indices import add_fields, create_index, drop_index, passage_analysis
from headwater.migrations.model import Findings, Migration, Target

_READ_MODEL: Final[Mapping[Index, dict[str, Any]]] = {
    Index.DOCUMENTS: mappings.DOCUMENTS,
    Index.PROGRESS: mappings.PROGRESS,
    Index.LINEAGE: mappings.LINEAGE,
    Index.PARKED: mappings.PARKED,
}
_ANALYTICS: Final[Mapping[Index, dict[str, Any]]] = {
    Index.QUERIES: mappings.QUERIES,
    Index.FEEDBACK: mappings.FEEDBACK,
    Index.INGESTIONS: mappings.INGESTIONS,
}
_CANARIES: Final[Mapping[Index, dict[str, Any]]] = {Index.CANARIES: mappings.CANARIES}


async def _create_read_model(target: Target) -> Findings:
    return await _create_shared(target, _READ_MODEL)


async def _drop_read_model(target: Target) -> None:
    await _drop_shared(target, _READ_MODEL)


async def _create_analytics(target: Target) -> Findings:
    return await _create_shared(target, _ANALYTICS)


async def _drop_analytics(target: Target) -> None:
    await _drop_shared(target, _ANALYTICS)


async def _create_chunks(target: Target) -> Findings:
    settings = target.settings.elasticsearch
    analyzer, analysis = await passage_analysis(target.elasticsearch, settings=settings)
    await create_index(
        target.elasticsearch,
        chunks_name(settings, target.generation),
        settings=settings,
        mappings=mappings.mapping(mappings.CHUNKS, generation=target.generation, analyzer=analyzer),
        analysis=analysis,
    )
    return {"analyzer": analyzer}


async def _drop_chunks(target: Target) -> None:
    settings = target.settings.elasticsearch
    await drop_index(target.elasticsearch, chunks_name(settings, target.generation), settings=settings)


async def _create_vectors(target: Target) -> Findings:
    settings = target.settings.milvus
    return await create_collection(target.milvus, collection_name(settings, target.generation), settings=settings)


async def _drop_vectors(target: Target) -> None:
    settings = target.settings.milvus
    await drop_collection(target.milvus, collection_name(settings, target.generation), settings=settings)


async def _add_letter_states(target: Target) -> Findings:
    settings = target.settings.elasticsearch
    await add_fields(
        target.elasticsearch,
        index_name(settings, Index.PARKED),
        settings=settings,
        properties=mappings.LETTER_STATES,
    )
    return {}


async def _drop_letter_states(target: Target) -> None:
    """A mapping only grows: the index is made anew."""
    letters = {Index.PARKED: mappings.PARKED}
    await _drop_shared(target, letters)
    await _create_shared(target, letters)


async def _create_freshness(target: Target) -> Findings:
    settings = target.settings.elasticsearch
    ingestions = index_name(settings, Index.INGESTIONS)
    await add_fields(target.elasticsearch, ingestions, settings=settings, properties=mappings.INGESTION_LEGS)
    return await _create_shared(target, _CANARIES)


async def _drop_freshness(target: Target) -> None:
    """A mapping only grows: the fields stay, and an earlier build leaves them empty."""
    await _drop_shared(target, _CANARIES)


async def _create_consistency(target: Target) -> Findings:
    settings = target.settings.elasticsearch
    await create_index(
        target.elasticsearch,
        consistency_name(settings, target.generation),
        settings=settings,
        mappings=mappings.mapping(mappings.CONSISTENCY, generation=target.generation),
    )
    return {}


async def _drop_consistency(target: Target) -> None:
    settings = target.settings.elasticsearch
    await drop_index(target.elasticsearch, consistency_name(settings, target.generation), settings=settings)


async def _create_shared(target: Target, indices: Mapping[Index, dict[str, Any]]) -> Findings:
    settings = target.settings.elasticsearch
    analyzer, analysis = await passage_analysis(target.elasticsearch, settings=settings)
    for index, properties in indices.items():
        await create_index(
            target.elasticsearch,
            index_name(settings, index),
            settings=settings,
            mappings=mappings.mapping(properties, analyzer=analyzer),
            analysis=analysis,
        )
    return {"analyzer": analyzer}


async def _drop_shared(target: Target, indices: Mapping[Index, dict[str, Any]]) -> None:
    settings = target.settings.elasticsearch
    for index in indices:
        await drop_index(target.elasticsearch, index_name(settings, index), settings=settings)


MIGRATIONS: Final = (
    Migration(
        number=1,
        name="read_model",
        per_generation=False,
        apply=_create_read_model,
        revert=_drop_read_model,
        revert_destroys="documents read model, lineage and parked rows; rebuilt by the status stage from its topics",
    ),
    Migration(
        number=2,
        name="analytics",
        per_generation=False,
        apply=_create_analytics,
        revert=_drop_analytics,
        revert_destroys="queries, feedback and usage; rebuilt only as far back as their topics are kept",
    ),
    Migration(
        number=3,
        name="chunks",
        per_generation=True,
        apply=_create_chunks,
        revert=_drop_chunks,
        revert_destroys="all keyword rows of the generation; rebuilt from the log by index-keywords",
    ),
    Migration(
        number=4,
        name="vectors",
        per_generation=True,
        apply=_create_vectors,
        revert=_drop_vectors,
        revert_destroys="all vectors of the generation; rebuilt from the log by index-vectors",
    ),
    Migration(
        number=5,
        name="letter_states",
        per_generation=False,
        apply=_add_letter_states,
        revert=_drop_letter_states,
        revert_destroys="parked rows and what was done about them; rebuilt by the status stage from its topics",
    ),
    Migration(
        number=6,
        name="freshness",
        per_generation=False,
        apply=_create_freshness,
        revert=_drop_freshness,
        revert_destroys="what the canary saw; rebuilt only as far back as its topic is kept",
    ),
    Migration(
        number=7,
        name="consistency",
        per_generation=True,
        apply=_create_consistency,
        revert=_drop_consistency,
        revert_destroys="the reports of the last audit; the next pass writes them again",
    ),
)
