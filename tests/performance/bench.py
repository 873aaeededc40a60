"""What benchmarks stand on: a running stack, the API, the corpora."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis import Redis

from headwater.cli.api_client import ApiClient, open_api
from headwater.clients.kafka.config import topic_of
from headwater.clients.kafka.schema_ids import configure_codec
from headwater.errors import FatalError
from headwater.evaluation.knowledge_base import TemporaryKnowledgeBase, Upload, temporary_knowledge_base
from headwater.local.lag import LagReader
from headwater.local.stack import LocalStack
from headwater.settings import Settings
from headwater.telemetry.logging import configure_logging
from schemas.codec import decode
from schemas.events import ChunksEmbedded
from schemas.topics import Topic
from tests.support.records import read_topic

PATIENCE_S = 300.0
SIZES = ("pages", "chunks", "documents", "minutes")  # what a caller may choose, as Components names it
_QUIET = 3  # looks in a row that find nothing waiting: a stage may be between two topics at one


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """Kafka, Elasticsearch, Milvus, Redis and Triton: what every benchmark stands on, and how much it takes."""

    settings: Settings  # of the running stack
    stack: LocalStack
    data: Path
    say: Callable[[str], None]
    pages: int | None = None  # of the handbook; all of them where it is not said
    chunks: int | None = None  # of synthetic rows; as many as the benchmark's goals are for where it is not said
    documents: int | None = None  # of another tenant's backfill, likewise
    minutes: int | None = None  # of the soak, likewise

    def handbook(self) -> list[Upload]:
        """Return the handbook's pages, or as many of them as are wanted."""
        folder = self.data / "handbook-18f" / "pages"
        paths = sorted(folder.rglob("*.md"))[: self.pages]
        return [page(str(path.relative_to(folder)), path.read_text()) for path in paths]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench(Components):
    """The whole product on them."""

    api: ApiClient

    @contextmanager
    def filled(self, purpose: str, uploads: Iterable[Upload]) -> Iterator[TemporaryKnowledgeBase]:
        """Fill a knowledge base, wait until all of it is searchable, delete it at the end."""
        with temporary_knowledge_base(self.api, purpose=f"bench-{purpose}") as base:
            base.put(uploads)
            self.wait(base)
            yield base

    def wait(self, base: TemporaryKnowledgeBase) -> None:
        """Wait until what was put is searchable and what was deleted is gone."""
        base.wait(patience_s=PATIENCE_S, report=self.say)

    def settle(self) -> None:
        """Wait until no stage has anything to read."""
        lag = LagReader(self.settings)
        try:
            self._until_quiet(lag)
        finally:
            lag.close()

    def _until_quiet(self, lag: LagReader) -> None:
        quiet, deadline = 0, time.monotonic() + PATIENCE_S
        while quiet < _QUIET:
            waiting = {stage.stage: stage.events for stage in lag.stages() if stage.events}
            quiet = 0 if waiting else quiet + 1
            if time.monotonic() > deadline:
                raise FatalError(f"the stack does not come to rest: {waiting}")
            time.sleep(1.0)

    def forget_caches(self) -> None:
        """Empty Redis: it holds caches only, and what an earlier benchmark embedded would be reused."""
        with Redis.from_url(self.settings.redis.url.get_secret_value()) as client:
            client.flushdb()

    def embedded(self, base: TemporaryKnowledgeBase) -> list[ChunksEmbedded]:
        """Return every batch that went to the vector store for a knowledge base, as its topic holds them."""
        topic = topic_of(self.settings, Topic.CHUNKS_EMBEDDED, generation=self.settings.generation)
        values = read_topic(self.settings.kafka.bootstrap_servers, topic)
        batches = (decode(value, ChunksEmbedded) for value in values)
        return [batch for batch in batches if batch.knowledge_base == base.name]


def until(condition: Callable[[], Any], *, every_s: float, patience_s: float = PATIENCE_S) -> Any:
    """Return the first true value of a condition that is looked at so often; FatalError when none comes in time."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(every_s)
    raise FatalError(f"not within {patience_s:.0f} s: `headwater status` shows which stage waits")


def page(path: str, text: str) -> Upload:
    """Return a page of Markdown."""
    return Upload(external_id=path, title=Path(path).stem, text=text, media_type="text/markdown")


def configure_benchmarks(settings: Settings) -> None:
    """Set up a process that measures: standard output is for figures, what the product logs goes to standard error."""
    configure_logging(settings.telemetry.model_copy(update={"log_level": "WARNING"}), process="bench")
    configure_codec(settings.kafka)


def running_components(settings: Settings, say: Callable[[str], None], **sizes: int | None) -> Components:
    """Return the running stack that the settings name; FatalError where none runs, or the corpora are not there."""
    data = Path(os.environ.get("HEADWATER_DATA", "../shared/data"))
    if not data.is_dir():
        raise FatalError(f"no corpora in {data}: set HEADWATER_DATA to the folder that holds them")
    stack = LocalStack.of(settings)
    if stack.supervisor() is None:
        raise FatalError(f"no stack runs in {stack.places.state}: run `headwater bench`, which starts one")
    return Components(settings=stack.running_settings(), stack=stack, data=data, say=say, **sizes)


@contextmanager
def open_bench(components: Components) -> Iterator[Bench]:
    """Open the product that runs on them."""
    with open_api(components.settings.api) as api:
        yield of_product(components, settings=components.settings, stack=components.stack, api=api)


def of_product(components: Components, *, settings: Settings, stack: LocalStack, api: ApiClient) -> Bench:
    """Return a bench of a product that runs on the components, with the same corpora and sizes."""
    return Bench(
        settings=settings,
        stack=stack,
        api=api,
        data=components.data,
        say=components.say,
        pages=components.pages,
        chunks=components.chunks,
        documents=components.documents,
        minutes=components.minutes,
    )
