"""`headwater generations compare`. What knows the stores is imported where it is used: `list` beside it is quick."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

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

_PATIENCE_S: Final = 300.0
_COLUMNS: Final = ("generation", "rows", "nDCG@10", "p50 ms", "p95 ms", "without a hit")


def compare_generations(
    first: Annotated[str, typer.Argument(help="A generation.")],
    second: Annotated[str, typer.Argument(help="Another one.")],
    queries: Annotated[int, typer.Option("--queries", min=1, max=10_000, help="How many of the newest.")] = 200,
    beir: Annotated[Path | None, typer.Option("--beir", help="Ask a judged collection instead.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Whose queries; the default tenant's.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Ask the newest real queries, or a judged collection, of both, and show quality, overlap, latency and size."""
    from headwater.generations.sizes import count_rows

    settings = Settings()
    names = (GenerationName(first), GenerationName(second))
    with open_api(settings.api) as api, _questions(api, settings, names, queries, beir, tenant) as questions:
        found = compare(api, questions, (first, second))
    rows = [asyncio.run(count_rows(settings.elasticsearch, name)) for name in names]
    if as_json:
        print_json({**asdict(found), "rows": dict(zip(names, rows, strict=True))})
        return
    title = f"{found.questions} questions, {found.judged} judged; overlap@10 {found.overlap_at_10:.3f}"
    print_table(_COLUMNS, [_row(side, count) for side, count in zip(found.sides, rows, strict=True)], title=title)


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


def _row(side: Side, rows: int) -> tuple[object, ...]:
    quality = None if side.ndcg_at_10 is None else f"{side.ndcg_at_10:.4f}"
    return (side.generation, rows, quality, f"{side.latency_p50_ms:.1f}", f"{side.latency_p95_ms:.1f}", side.empty)
