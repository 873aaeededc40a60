"""Creating and dropping indices, so that either can be repeated."""

from collections.abc import Mapping
from typing import Any, Final

from elasticsearch import AsyncElasticsearch, BadRequestError, NotFoundError

from headwater.clients.elasticsearch.connection import translated
from headwater.settings import ElasticsearchSettings

_EXISTS: Final = "resource_already_exists_exception"
_ENGLISH: Final = {"type": "english"}
_HUNSPELL_FILTER: Final = {"type": "hunspell", "locale": "en_US"}
_HUNSPELL: Final = {"type": "custom", "tokenizer": "standard", "filter": ["lowercase", "stems"]}
_STANDARD: Final = {"type": "standard"}


async def create_index(
    client: AsyncElasticsearch,
    name: str,
    *,
    settings: ElasticsearchSettings,
    mappings: Mapping[str, Any],
    analysis: Mapping[str, Any] | None = None,
) -> None:
    """Create an index unless it exists."""
    body: dict[str, Any] = {"number_of_shards": settings.shards, "number_of_replicas": settings.replicas}
    if analysis is not None:
        body["analysis"] = analysis
    async with translated(settings):
        try:
            await client.indices.create(index=name, settings=body, mappings=mappings)
        except BadRequestError as error:
            if error.error != _EXISTS:
                raise


async def add_fields(
    client: AsyncElasticsearch, name: str, *, settings: ElasticsearchSettings, properties: Mapping[str, Any]
) -> None:
    """Add fields to an index's mapping; those that are there already stay."""
    async with translated(settings):
        await client.indices.put_mapping(index=name, properties=dict(properties))


async def drop_index(client: AsyncElasticsearch, name: str, *, settings: ElasticsearchSettings) -> None:
    """Drop an index if it exists."""
    async with translated(settings):
        await client.indices.delete(index=name, ignore_unavailable=True)


async def forbid_auto_creation(client: AsyncElasticsearch, *, settings: ElasticsearchSettings) -> None:
    """Refuse writes to an index that does not exist: it would get guessed mappings and lose strictness silently."""
    async with translated(settings):
        await client.indices.put_index_template(
            name=template_name(settings),
            index_patterns=[f"{settings.index_prefix}-*"],
            # Templates whose patterns overlap (one prefix begins with the other) must differ: the longer one wins.
            priority=500 + len(settings.index_prefix),
            allow_auto_create=False,
        )


async def allow_auto_creation(client: AsyncElasticsearch, *, settings: ElasticsearchSettings) -> None:
    """Take the refusal back."""
    async with translated(settings):
        try:
            await client.indices.delete_index_template(name=template_name(settings))
        except NotFoundError:
            return


def template_name(settings: ElasticsearchSettings) -> str:
    """Name the template that guards an installation's indices."""
    return f"{settings.index_prefix}-guard"


async def passage_analysis(
    client: AsyncElasticsearch, *, settings: ElasticsearchSettings
) -> tuple[str, Mapping[str, Any]]:
    """Find the best analyzer for passages that this server has: its name for the record, and the index settings.

    `english` on a full server; `hunspell` where only its dictionary is there; else `standard`, without stems.
    """
    if await _analyzes(client, settings, analyzer="english"):
        return "english", {"analyzer": {"passage": _ENGLISH}}
    if await _analyzes(client, settings, tokenizer="standard", filter=["lowercase", _HUNSPELL_FILTER]):
        return "hunspell", {"filter": {"stems": _HUNSPELL_FILTER}, "analyzer": {"passage": _HUNSPELL}}
    return "standard", {"analyzer": {"passage": _STANDARD}}


async def _analyzes(client: AsyncElasticsearch, settings: ElasticsearchSettings, **how: Any) -> bool:
    async with translated(settings):
        try:
            await client.indices.analyze(text="probes", **how)
        except BadRequestError:
            return False
    return True
