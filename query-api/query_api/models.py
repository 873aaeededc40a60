"""Models as the API holds them: checked at the start where they answer, else when they first do.

Without Triton the API still finds by words; so its absence must not keep a replica from starting.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final, Generic, TypeVar

import numpy as np
import structlog
from numpy.typing import NDArray

from headwater.clients.openai import OpenAiGenerator
from headwater.clients.triton.embedder import TritonEmbedder
from headwater.clients.triton.generator import TritonGenerator
from headwater.clients.triton.reranker import TritonReranker
from headwater.errors import RetryableError
from headwater.generations.models import need_of
from headwater.generations.records import record_of
from headwater.ports.models import (
    AnswerDelta,
    Embedder,
    EmbeddingModel,
    EmbeddingNeed,
    GeneratedAnswer,
    Generator,
    Reranker,
)
from headwater.settings import Settings, TritonSettings
from query_api.runtime import Models, Runtime
from schemas.events import Lane

T = TypeVar("T")
log = structlog.get_logger(__name__)
_WORD: Final = "ready"


@asynccontextmanager
async def open_models(settings: Settings) -> AsyncIterator[Models]:
    """Open what answers; what is away is opened when it is next asked for. FatalError where a model is a wrong one.

    Embedding models are opened when a generation's first question comes, or by `check_embedder`.
    """
    triton = settings.triton
    async with AsyncExitStack() as stack:
        embedders = LateEmbedders(triton, stack)
        reranker = LateReranker(Late[Reranker](lambda: TritonReranker.open(triton), stack))
        quoting = LateGenerator(Late[Generator](lambda: TritonGenerator.open(triton), stack))
        await _try_now("reranker", reranker.late.get)
        await _try_now("generator", quoting.late.get)
        if settings.generator.kind == "openai":
            writing = await stack.enter_async_context(OpenAiGenerator.open(settings.generator))
            yield Models(embedders=embedders, reranker=reranker, generator=writing, extractive=quoting)
        else:
            yield Models(embedders=embedders, reranker=reranker, generator=quoting)


async def check_embedder(runtime: Runtime) -> None:
    """Embed a word in the serving generation's space. FatalError where its model is not served, or is another one.

    For a replica that has read the directory: only then it is known which model that is. Where Triton is away the
    replica serves all the same.
    """
    generation = runtime.directory.serving_generation() or runtime.settings.generation
    embedder = runtime.models.embedders.of(need_of(record_of(runtime.directory, generation)))
    await _try_now("embedder", lambda: embedder.embed([_WORD], lane=Lane.LIVE))


async def _try_now(name: str, opening: Callable[[], Awaitable[object]]) -> None:
    try:
        await opening()
    except RetryableError as error:
        log.warning("model_away", dependency=name, error=type(error).__name__)


class Late(Generic[T]):
    """Opens something once, when it is first asked for."""

    def __init__(self, opening: Callable[[], AbstractAsyncContextManager[T]], stack: AsyncExitStack) -> None:
        self._opening, self._stack = opening, stack
        self._lock = asyncio.Lock()
        self.opened: T | None = None

    async def get(self) -> T:
        """Return it; raise what opening raises, and try again the next time."""
        async with self._lock:
            if self.opened is None:
                self.opened = await self._stack.enter_async_context(self._opening())
            return self.opened


class LateEmbedders:
    """Implements Embedders: a switch to a generation with another model needs no restart."""

    def __init__(self, settings: TritonSettings, stack: AsyncExitStack) -> None:
        self._settings, self._stack = settings, stack
        self._known: dict[EmbeddingNeed, LateEmbedder] = {}

    def of(self, need: EmbeddingNeed) -> Embedder:
        """See the port."""
        if need not in self._known:
            opening = partial(TritonEmbedder.open, self._settings, need)
            self._known[need] = LateEmbedder(Late[Embedder](opening, self._stack))
        return self._known[need]


class LateEmbedder:
    """Implements Embedder."""

    def __init__(self, late: Late[Embedder]) -> None:
        self.late = late

    @property
    def model(self) -> EmbeddingModel:
        """See the port; RetryableError while nothing has answered yet."""
        if self.late.opened is None:
            raise RetryableError("the embedding model has not answered yet")
        return self.late.opened.model

    async def embed(self, texts: Sequence[str], *, lane: Lane) -> NDArray[np.float32]:
        """See the port."""
        return await (await self.late.get()).embed(texts, lane=lane)


class LateReranker:
    """Implements Reranker."""

    def __init__(self, late: Late[Reranker]) -> None:
        self.late = late

    async def rerank(self, query: str, passages: Sequence[str]) -> Sequence[float]:
        """See the port."""
        return await (await self.late.get()).rerank(query, passages)


class LateGenerator:
    """Implements Generator."""

    def __init__(self, late: Late[Generator]) -> None:
        self.late = late
        self._unknown = f"unknown-{secrets.token_hex(8)}"  # as part of a cache's key it is found by nobody later

    @property
    def model(self) -> str:
        """See the port; a name of no other model while nothing has answered yet."""
        return self._unknown if self.late.opened is None else self.late.opened.model

    @property
    def prompt_version(self) -> str:
        """See the port."""
        return self._unknown if self.late.opened is None else self.late.opened.prompt_version

    async def generate(self, question: str, passages: Sequence[str]) -> GeneratedAnswer:
        """See the port."""
        return await (await self.late.get()).generate(question, passages)

    async def stream(self, question: str, passages: Sequence[str]) -> AsyncIterator[AnswerDelta]:
        """See the port."""
        async for delta in (await self.late.get()).stream(question, passages):
            yield delta
