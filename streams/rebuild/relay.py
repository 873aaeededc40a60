"""One stage's output as the next one's input, without a topic between them."""

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.topics import Topic
from streams.harness.delivery import Delivery
from streams.harness.publishing import Emission, Publisher
from streams.harness.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """Implements Publisher: what the next stage reads is handled by it at once, in order; the rest goes to the log.

    Raises what the next stage raises, so that the event they both work on ends as one.
    """

    topic: Topic  # what the next stage reads
    stage: Stage
    delivery: Delivery  # the event that all of it comes from
    log: Publisher

    async def publish(self, emissions: Sequence[Emission]) -> None:
        """See Publisher."""
        for each in emissions:
            if each.topic is self.topic:
                await self.stage.handle(each.event, self.delivery)
            else:
                await self.log.publish([each])

    async def partition_count(self, topic: Topic) -> int:
        """See Publisher."""
        return await self.log.partition_count(topic)
