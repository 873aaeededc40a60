"""The whole way of a document to one store, as one stage."""

from dataclasses import dataclass, replace

from schemas.events import DocumentChanged
from schemas.events.base import Lane
from schemas.topics import Topic
from streams.embed.agent import EmbedStage
from streams.harness.delivery import Delivery, Outcome
from streams.harness.publishing import Publisher
from streams.harness.stage import Failure
from streams.indexing.stage import IndexStage
from streams.prepare.agent import PrepareStage
from streams.rebuild.relay import Relay


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildStage:
    """Prepares (and embeds) each revision and writes its rows: the stages' own work, handed over in memory.

    Rows are immutable, so it does no harm to the index stage that writes the same store. Everything is bulk: an edit
    on its usual way goes first. Heavy documents are read here, too: whoever waits for the end of a rebuild waits for
    them, and the topic they are deferred to belongs to `prepare`.
    """

    prepare: PrepareStage
    embed: EmbedStage | None  # for vectors
    index: IndexStage
    publisher: Publisher

    async def handle(self, event: DocumentChanged, delivery: Delivery) -> Outcome:
        """See Stage."""
        return await self._way(delivery).handle(_bulk(event), delivery)

    async def give_up(self, event: DocumentChanged, delivery: Delivery, failure: Failure) -> None:
        """See Stage. The failed revision goes the same way, so that the store reports it."""
        await self._way(delivery).give_up(_bulk(event), delivery, failure)

    def _way(self, delivery: Delivery) -> PrepareStage:
        if self.embed is None:
            store = Relay(topic=Topic.CHUNKS_PREPARED, stage=self.index, delivery=delivery, log=self.publisher)
            return replace(self.prepare, publisher=store, defers=False)
        store = Relay(topic=Topic.CHUNKS_EMBEDDED, stage=self.index, delivery=delivery, log=self.publisher)
        embed = replace(self.embed, publisher=store)
        model = Relay(topic=Topic.CHUNKS_PREPARED, stage=embed, delivery=delivery, log=self.publisher)
        return replace(self.prepare, publisher=model, defers=False)


def _bulk(event: DocumentChanged) -> DocumentChanged:
    return replace(event, lane=Lane.BACKFILL)
