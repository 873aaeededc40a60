"""`headwater generations compare`. What knows the stores is imported where it is used: `list` beside it is quick."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from headwater.cli.api_client import ApiClient, open_api
from headwater.cli.output import AsJson, print_json, print_table, say
from headwater.evaluation.collection import Collection
from headwater.evaluation.comparing import Question, Side, compare, judged, replayed
from headwater.evaluation.judging import uploads
from headwater.evaluation.knowledge_base import temporary_knowledge_base
from headwater.settings import Settings
from schemas.events.queries import QueryExecuted
from schemas.ids import GenerationName, TenantId

if TYPE_CHECKING:
    from headwater.generations.sizes import Size

_PATIENCE_S: Final = 300.0
_COLUMNS: Final = (
    "generation",
    "rows by words",
    "MiB by words",
    "rows by meaning",
    "MiB by meaning",
    "nDCG@10",
    "p50 ms",
    "p95 ms",
    "without a hit",
)
_MIB: Final = 2**20


def compare_generations(
    first: Annotated[str, typer.Argument(help="A generation.")],
    second: Annotated[str, typer.Argument(help="Another one.")],
    queries: Annotated[int, typer.Option("--queries", min=1, max=10_000, help="How many of the newest queries.")] = 200,
    beir: Annotated[Path | None, typer.Option("--beir", help="Ask a judged collection instead.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Whose queries; the default tenant's.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Ask the newest real queries, or a judged collection, of both, and show quality, overlap, latency and size."""
    settings = Settings()
    names = (GenerationName(first), GenerationName(second))
    with open_api(settings.api) as api, _questions(api, settings, names, queries, beir, tenant) as questions:
        found = compare(api, questions, (first, second))
    sizes = asyncio.run(_sizes(settings, names))
    if as_json:
        print_json({**asdict(found), "sizes": {name: asdict(size) for name, size in zip(names, sizes, strict=True)}})
        return
    title = f"{found.questions} questions, {found.judged} judged; overlap@10 {found.overlap_at_10:.3f}"
    print_table(_COLUMNS, [_row(side, size) for side, size in zip(found.sides, sizes, strict=True)], title=title)


@contextmanager
def _questions(
    api: ApiClient,
    settings: Settings,
    names: Sequence[GenerationName],
    queries: int,
    beir: Path | None,
    tenant: str | None,
) -> Iterator[Sequence[Question]]:
    from headwater.generations.catching_up import CatchUp

    if beir is None:
        yield replayed(asyncio.run(_newest(settings, TenantId(tenant or settings.api.default_tenant), queries)))
        return
    collection = Collection.read(beir)
    with temporary_knowledge_base(api, purpose="compare") as base:
        base.put(uploads(collection))
        base.wait(patience_s=_PATIENCE_S, report=say)
        for name in names:
            asyncio.run(CatchUp(settings=settings, generation=name, patience_s=_PATIENCE_S).prove())
        yield judged(collection, knowledge_base=base.name)


async def _newest(settings: Settings, tenant: TenantId, limit: int) -> Sequence[QueryExecuted]:
    from headwater.clients.elasticsearch.analytics import ElasticsearchAnalytics

    async with ElasticsearchAnalytics.open(settings.elasticsearch) as model:
        return await model.list_queries(tenant, limit=limit)


async def _sizes(settings: Settings, names: Sequence[GenerationName]) -> "list[Size]":
    from headwater.generations.directory import read_directory
    from headwater.generations.records import Generations
    from headwater.generations.sizes import size_of

    generations = Generations.of(await read_directory(settings), default=settings.generation)
    return [await size_of(settings, generations.get(name).record) for name in names]


def _row(side: Side, size: "Size") -> tuple[object, ...]:
    quality = None if side.ndcg_at_10 is None else f"{side.ndcg_at_10:.4f}"
    words, meaning = ((size.words_rows, size.words_bytes), (size.vectors_rows, size.vectors_bytes))
    held = [shown for rows, held_bytes in (words, meaning) for shown in (rows, f"{held_bytes / _MIB:.1f}")]
    return (side.generation, *held, quality, f"{side.latency_p50_ms:.1f}", f"{side.latency_p95_ms:.1f}", side.empty)
