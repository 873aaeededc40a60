"""How far stages are, set by hand."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from headwater.errors import RetryableError
from headwater.local.lag import INPUTS
from headwater.ports.backlogs import Backlog
from schemas.ids import DocumentId, GenerationName, TenantId
from schemas.topics import Topic


class FakeBacklogs:
    """Implements Backlogs: every stage is at its end but those with `waiting` events, and admission reads two lanes."""

    def __init__(self) -> None:
        self.waiting: dict[str, int] = {}
        self.expired: dict[str, int] = {}
        self.away = False
        self.calls = 0

    async def of_document(
        self, tenant: TenantId, document: DocumentId, *, stages: Collection[str], generation: GenerationName
    ) -> Sequence[Backlog]:
        self.calls += 1
        if self.away:
            raise RetryableError("kafka: no answer")
        found = [
            Backlog(
                stage=stage,
                topic=INPUTS[stage][0],
                partition=3,
                position=100,
                end=100 + self.waiting.get(stage, 0),
                expired=self.expired.get(stage, 0),
            )
            for stage in stages
        ]
        bulk = [
            replace(each, topic=Topic.DOCUMENTS_BACKFILL, end=100, expired=0) for each in found if each.stage == "admit"
        ]
        return [*found, *bulk]
