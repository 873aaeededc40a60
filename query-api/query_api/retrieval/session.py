"""One caller's question, pinned to a generation: what every step of answering it needs."""

from collections.abc import Sequence
from dataclasses import dataclass

from headwater.access.scope import store_scope
from headwater.generations.models import need_of
from headwater.generations.records import record_of
from headwater.ports.rows import Filter, Scope
from query_api.identity import Identity
from query_api.retrieval.gatekeeper import Gatekeeper
from query_api.retrieval.profiles import choose_profile
from query_api.retrieval.retriever import Dependencies, Mode, Retrieval, Retriever
from query_api.runtime import Runtime
from query_api.staleness import require_current
from schemas.events.directory import RetrievalProfile
from schemas.ids import GenerationName, KnowledgeBaseId


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Opened by `open_session`; lives for one request."""

    caller: Identity
    scope: Scope
    profile: RetrievalProfile
    generation: GenerationName
    retriever: Retriever

    async def retrieve(self, query: str, *, mode: Mode, top_k: int) -> Retrieval:
        """Return passages that the caller may read, best first."""
        return await self.retriever.retrieve(
            query,
            scope=self.scope,
            user=self.caller.user,
            mode=mode,
            profile=self.profile,
            generation=self.generation,
            top_k=top_k,
        )

    @property
    def gate(self) -> Gatekeeper:
        """The gate for this caller; asked again before anything is shown or sent to a model."""
        return self.retriever.gatekeeper(self.scope, user=self.caller.user, generation=self.generation)


async def open_session(
    runtime: Runtime,
    caller: Identity,
    *,
    knowledge_bases: Sequence[KnowledgeBaseId] | None,
    where: Filter,
    profile: str | None,
    generation: GenerationName | None = None,
) -> Session:
    """Pin the serving generation, or the one that is named, and bind the caller's scope and profile."""
    generation = generation or runtime.directory.serving_generation() or runtime.settings.generation
    record = record_of(runtime.directory, generation)
    stores = await runtime.generations.stores(generation)
    dependencies = Dependencies(
        heads=runtime.heads,
        directory=runtime.directory,
        embedder=runtime.models.embedders.of(need_of(record)),
        vectors=stores.vectors,
        keywords=stores.keywords,
        breakers=runtime.breakers,
        require_current=lambda: require_current(runtime),
        rebuilding=frozenset(record.rebuilding),
    )
    return Session(
        caller=caller,
        scope=store_scope(
            tenant=caller.tenant_id,
            principals=caller.principals,
            knowledge_bases=knowledge_bases,
            where=where,
            max_principals=runtime.settings.api.max_principals,
        ),
        profile=choose_profile(runtime.directory, caller.tenant_id, named=profile, knowledge_bases=knowledge_bases),
        generation=generation,
        retriever=Retriever(dependencies),
    )
