"""Reports of audits: one record a tenant, the newest alone."""

from collections.abc import Sequence
from typing import Final

from headwater.clients.elasticsearch.adapter import SharedAdapter
from headwater.clients.elasticsearch.bulk import Replace, write_all
from headwater.clients.elasticsearch.connection import translated
from headwater.clients.elasticsearch.names import consistency_name
from headwater.ports.consistency import ConsistencyReport
from schemas.conversion import READABLE
from schemas.ids import GenerationName, TenantId

_BATCH: Final = 500  # reports of one request: some kilobytes each, a hundred findings included


class ElasticsearchConsistency(SharedAdapter):
    """Implements the ConsistencyReports port."""

    async def save(self, reports: Sequence[ConsistencyReport]) -> None:
        """See the port. Of two passes at one time the one that ended later stays."""
        writes = [
            Replace(
                index=consistency_name(self._settings, report.generation),
                key=report.tenant_id,
                version=int(report.finished_at.timestamp() * 1_000),
                document={
                    "tenant_id": report.tenant_id,
                    "finished_at": report.finished_at.isoformat(),
                    "clean": report.clean,
                    "record": READABLE.dump(report),
                },
            )
            for report in reports
        ]
        for begin in range(0, len(writes), _BATCH):
            await write_all(self._client, writes[begin : begin + _BATCH], settings=self._settings, refresh="false")

    async def newest(self, tenant: TenantId, *, generation: GenerationName) -> ConsistencyReport | None:
        """See the port."""
        index = consistency_name(self._settings, generation)
        async with translated(self._settings):
            response = await self._client.mget(index=index, ids=[tenant])
        found = response["docs"][0]
        if not found.get("found"):
            return None
        report: ConsistencyReport = READABLE.load(found["_source"]["record"], ConsistencyReport)
        return report
