"""What must be so when everything has settled: the log, both stores, the read model and the public facts agree."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from headwater.clients.elasticsearch import ElasticsearchKeywordIndex
from headwater.clients.kafka.config import topic_of
from headwater.clients.milvus import MilvusVectorIndex
from headwater.demo.stage import ActFailedError, wait_until
from headwater.ports.rows import ChunkIndex, Scope
from schemas.codec import decode
from schemas.events.documents import DocumentChanged, DocumentIngested, DocumentOp
from schemas.events.parked import EventParked
from schemas.ids import EVERYONE, DocumentId, SourceId, TenantId, document_id, row_id
from schemas.topics import Topic
from tests.support.platform import Platform
from tests.support.records import read_topic

Differences = list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What a source's documents are: content by external id, and None for those that are gone. All for everyone."""

    platform: Platform
    source: str
    content: Mapping[str, str | None]

    def await_settled(self, *, patience_s: float, mend: Callable[[], None] = lambda: None) -> None:
        """Return when nothing differs from the truth; fail with what still does. `mend` is called meanwhile."""

        def settled() -> bool:
            if not self.differences():
                return True
            mend()
            return False

        try:
            wait_until("everything to settle", settled, patience_s=patience_s)
        except ActFailedError as error:
            if found := self.differences():
                raise AssertionError(f"after {patience_s:.0f} s: {'; '.join(found)}") from error

    def differences(self) -> Differences:
        """Compare the log with the truth; when they agree, compare everything else with the log."""
        log = self._log()
        found = [wrong for name in self.content if (wrong := self._differs(name, log.get(self._id(name))))]
        if found:
            return found
        return [*self._unreported(log), *self._parked(), *asyncio.run(self._misplaced_rows(log))]

    def _differs(self, name: str, newest: DocumentChanged | None) -> str | None:
        content = self.content[name]
        if content is None:
            gone = newest is None or newest.op is DocumentOp.DELETED
            return None if gone else f"{name}: not deleted in the log"
        if newest is None or newest.op is DocumentOp.DELETED or newest.content is None:
            return f"{name}: not in the log"
        same = newest.content.sha256 == hashlib.sha256(content.encode()).hexdigest()
        return None if same else f"{name}: the log's newest content is another one"

    def _unreported(self, log: Mapping[DocumentId, DocumentChanged]) -> Differences:
        """Find what is not a public fact yet, for outsiders or for readers of the API."""
        facts: dict[DocumentId, int] = {}
        for raw in self._read(Topic.DOCUMENTS_INGESTED):
            fact = decode(raw, DocumentIngested)
            facts[fact.document_id] = max(fact.revision, facts.get(fact.document_id, 0))
        late = [each.external_id for each in log.values() if facts.get(each.document_id) != each.revision]
        shown = self._shown()
        wanted = {name: log[self._id(name)].revision for name, content in self.content.items() if content is not None}
        return [
            *(f"{name}: its newest revision is not announced" for name in late),
            *(
                f"{name}: the API shows {shown.get(name)}"
                for name in wanted | shown
                if shown.get(name) != wanted.get(name)
            ),
        ]

    def _shown(self) -> dict[str, int | str]:
        """Ask the API which documents there are: the revision of those that are searchable, else their status."""
        shown: dict[str, int | str] = {}
        cursor: str | None = None
        while True:
            params = {"source": self.source, "limit": 200} | ({"cursor": cursor} if cursor else {})
            page = self.platform.admin.call("GET", "/documents", params=params)
            for each in page["documents"]:
                searchable = each["status"] == "searchable"
                shown[each["external_id"]] = each["revision"] if searchable else each["status"]
            cursor = page["cursor"]
            if cursor is None:
                return shown

    def _parked(self) -> Differences:
        ids = {self._id(name): name for name in self.content}
        letters = [decode(raw, EventParked) for raw in self._read(Topic.EVENTS_PARKED)]
        return [
            f"{ids[each.document_id]}: parked by {each.stage}: {each.reason}"
            for each in letters
            if each.document_id in ids
        ]

    async def _misplaced_rows(self, log: Mapping[DocumentId, DocumentChanged]) -> Differences:
        settings = self.platform.settings
        async with (
            MilvusVectorIndex.open(settings.milvus, settings.generation) as vectors,
            ElasticsearchKeywordIndex.open(settings.elasticsearch, settings.generation) as keywords,
        ):
            found = [await self._misplaced(name, log.get(self._id(name)), vectors, keywords) for name in self.content]
        return [wrong for wrong in found if wrong is not None]

    async def _misplaced(
        self, name: str, newest: DocumentChanged | None, vectors: ChunkIndex, keywords: ChunkIndex
    ) -> str | None:
        """Say what is wrong with a document's rows: each store holds the newest revision's, all and only those."""
        document = self._id(name)
        held = [await store.revisions(self._tenant, document) for store in (vectors, keywords)]
        if newest is None or newest.op is DocumentOp.DELETED:
            return f"{name}: deleted, and rows are left: {held}" if any(held) else None
        if held[0] != held[1] or held[0].keys() != {newest.revision}:
            return f"{name}: rows by revision are {held}, the newest is {newest.revision}"
        ids = [row_id(document, newest.revision, ordinal) for ordinal in range(held[0][newest.revision])]
        scope = Scope(tenant_id=self._tenant, principals=frozenset({EVERYONE}), knowledge_bases=None)
        texts = []
        for store in (vectors, keywords):
            rows = await store.fetch(scope, ids)
            if [row.row_id for row in rows] != ids or {row.total for row in rows} != {len(ids)}:
                return f"{name}: incomplete: {len(rows)} rows of {len(ids)}"
            texts.append([row.text for row in rows])
        return None if texts[0] == texts[1] else f"{name}: the stores hold different texts"

    def _log(self) -> dict[DocumentId, DocumentChanged]:
        """Return the newest record of each of the source's documents."""
        newest: dict[DocumentId, DocumentChanged] = {}
        for raw in self._read(Topic.DOCUMENTS_CHANGED):
            change = decode(raw, DocumentChanged)
            if change.source == self.source:
                newest[change.document_id] = change
        return newest

    def _read(self, topic: Topic) -> list[bytes]:
        settings = self.platform.settings
        return [raw for raw in read_topic(settings.kafka.bootstrap_servers, topic_of(settings, topic)) if raw]

    @property
    def _tenant(self) -> TenantId:
        return TenantId(self.platform.settings.api.default_tenant)

    def _id(self, name: str) -> DocumentId:
        return document_id(self._tenant, SourceId(self.source), name)
