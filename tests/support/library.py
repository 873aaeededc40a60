"""One test's own shelf of the shared platform: a knowledge base and a source that the API writes."""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from headwater.access.tokens import encode_token
from headwater.cli.api_client import ApiProblemError, path_id
from headwater.clients.blobs import ObjectBlobStore
from headwater.clients.elasticsearch import ElasticsearchKeywordIndex
from headwater.clients.kafka.producer import EventProducer
from headwater.clients.milvus import MilvusVectorIndex
from headwater.demo.stage import wait_until
from schemas.events.base import Store
from schemas.events.documents import Access, BlobRef, Clause, DocumentState
from schemas.ids import EVERYONE, DocumentId, KnowledgeBaseId, Revision, SourceId, TenantId, document_key
from schemas.topics import Topic
from tests.support.blobs import pieces_of
from tests.support.heads import put
from tests.support.platform import Platform

READER = "reader"
Answer = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """What a test writes and reads. Its name is both the source's and the knowledge base's."""

    platform: Platform
    name: str

    def put(self, external_id: str, text: str, *, readers: str = "everyone", **fields: Any) -> Answer:
        """Put a document; return its id and the token."""
        accepted: Answer = self.platform.put(self.name, external_id, text, readers=readers, **fields)
        return accepted

    def upload(self, external_id: str, content: bytes, *, name: str) -> Answer:
        """Put a file as a form does; everyone may read it."""
        metadata = f'{{"title": "{external_id}", "access": {{"clauses": [{{"principals": ["everyone"]}}]}}}}'
        files = {"document": (None, metadata, "application/json"), "content": (name, content)}
        accepted: Answer = self.platform.admin.call("PUT", self._path(external_id), files=files)
        return accepted

    def set_readers(self, external_id: str, readers: str) -> Answer:
        """Set who may read a document."""
        rule = {"clauses": [{"principals": [readers]}]}
        accepted: Answer = self.platform.admin.call("PUT", f"{self._path(external_id)}/access", json=rule)
        return accepted

    def delete(self, external_id: str) -> Answer:
        """Delete a document."""
        accepted: Answer = self.platform.admin.call("DELETE", self._path(external_id))
        return accepted

    def search(self, query: str, *, user: str = READER, **options: Any) -> list[Answer]:
        """Return the hits that a user gets in this knowledge base."""
        hits: list[Answer] = self.answer(query, user=user, **options)["hits"]
        return hits

    def answer(self, query: str, *, user: str = READER, **options: Any) -> Answer:
        """Return all that a search answers a user in this knowledge base."""
        return self._ask("/search", query, user, options)

    def ask(self, question: str, *, user: str = READER, **options: Any) -> Answer:
        """Return the answer that a user gets from this knowledge base."""
        return self._ask("/query", question, user, options)

    def found(self, query: str, **options: Any) -> set[str]:
        """Return the external ids of the hits."""
        return {hit["external_id"] for hit in self.search(query, **options)}

    def state(self, document_id: str, *, user: str = READER, after: str | None = None) -> Answer:
        """Return a document's state; empty where the user may not know of it."""
        try:
            found: Answer = self.platform.acting_as(user).call(
                "GET", f"/documents/{document_id}", params={"after": after} if after else {}
            )
        except ApiProblemError as error:
            if error.status == 404:
                return {}
            raise
        return found

    def settled(self, accepted: Answer, *, status: str = "searchable", user: str = READER) -> Answer:
        """Wait until the revision that a write has made has this status; return the document's state.

        A read that comes after the write sees its revision, so an older one's status is never taken for it.
        """

        def reached() -> Answer | None:
            state = self.state(accepted["document_id"], user=user, after=accepted["token"])
            return state if state.get("status") == status else None

        state, _ = wait_until(f"the document to be {status}", reached)
        return state

    def reported(self, accepted: Answer) -> Answer:
        """Wait until the revision that a write has made is searchable, and what both stores reported of it is shown.

        The status comes from the heads; the reports come from the read model, which follows a little later.
        """
        revision = self.settled(accepted)["revision"]

        def shown() -> Answer | None:
            state = self.state(accepted["document_id"], after=accepted["token"])
            reports = {report["latest_revision"] for report in state["stores"].values()}
            return state if reports == {revision} else None

        state, _ = wait_until("the stores' reports to be shown", shown)
        return state

    def parked(self, document_id: str) -> list[Answer]:
        """Return a document's dead letters, as an administrator lists them."""
        listed = self.platform.admin.call("GET", "/parked", params={"document_id": document_id})
        letters: list[Answer] = listed["letters"]
        return letters

    def letter_state(self, document_id: str) -> str:
        """Return what became of a document's newest dead letter."""
        state: str = self.parked(document_id)[0]["state"]
        return state

    def replay(self, document_id: str, **asked: Any) -> Answer:
        """Replay a document's dead letters."""
        body = {"document_id": document_id, **asked}
        report: Answer = self.platform.admin.call("POST", "/parked/replay", json=body)
        return report

    def submit_unstored(self, external_id: str, content: bytes) -> Answer:
        """Submit a text that everyone may read and whose bytes are not stored yet; return what `put` returns."""
        return asyncio.run(self._submit_unstored(external_id, content))

    def store(self, content: bytes) -> None:
        """Put content where the stages find it."""
        asyncio.run(ObjectBlobStore(self.platform.settings.blobs).write(self._tenant, pieces_of(content)))

    def synced(self, mode: str, *, after: str | None) -> Answer:
        """Ask for a sync of the source and wait until one that began later than `after` has ended; return how."""
        self.platform.admin.call("POST", f"/directory/sources/{self.name}/sync", json={"mode": mode})
        return self.sync_ended(after=after)

    def sync_ended(self, *, after: str | None = None) -> Answer:
        """Wait until another sync than the one that began at `after` has ended; return how, as the API shows it."""

        def ended() -> Answer | None:
            try:
                sync: Answer = self.platform.admin.call("GET", f"/directory/sources/{self.name}/sync")
            except ApiProblemError as error:
                if error.status == 404:
                    return None
                raise
            return sync if sync["ending"] and sync["started_at"] != after else None

        sync, _ = wait_until("the sync to end", ended)
        return sync

    def tested(self) -> Answer:
        """Ask the connector worker to test the source; return what it found, as the API shows it."""
        admin, path = self.platform.admin, f"/directory/sources/{self.name}/test"
        asked = admin.call("POST", path)["test_id"]

        def answered() -> Answer | None:
            try:
                found: Answer = admin.call("GET", path)
            except ApiProblemError as error:
                if error.status == 404:
                    return None
                raise
            return found if found["test_id"] == asked else None

        found, _ = wait_until("the test to be answered", answered)
        return found

    def rows(self, document_id: str) -> Mapping[Store, Mapping[Revision, int]]:
        """Count the rows of each revision in each store."""
        return asyncio.run(self._rows(DocumentId(document_id)))

    async def _rows(self, document: DocumentId) -> Mapping[Store, Mapping[Revision, int]]:
        settings = self.platform.settings
        tenant = self._tenant
        async with (
            MilvusVectorIndex.open(settings.milvus, settings.generation) as vectors,
            ElasticsearchKeywordIndex.open(settings.elasticsearch, settings.generation) as keywords,
        ):
            return {
                Store.VECTORS: await vectors.revisions(tenant, document),
                Store.KEYWORDS: await keywords.revisions(tenant, document),
            }

    @property
    def _tenant(self) -> TenantId:
        return TenantId(self.platform.settings.api.default_tenant)

    async def _submit_unstored(self, external_id: str, content: bytes) -> Answer:
        state = DocumentState(
            knowledge_base=KnowledgeBaseId(self.name),
            title=external_id,
            media_type="text/markdown",
            content=BlobRef(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content)),
            access=Access(clauses=(Clause(principals=(EVERYONE,)),)),
        )
        now = datetime.now(UTC)
        event = put(state, external_id, tenant_id=self._tenant, source=SourceId(self.name), observed_at=now)
        async with EventProducer.open(self.platform.settings, client_id="test") as producer:
            key = document_key(event.tenant_id, event.document_id)
            at = await producer.send(Topic.DOCUMENTS_SUBMITTED, event, key=key)
        token = encode_token({at.topic: {at.partition: at.offset}})
        return {"document_id": event.document_id, "token": token}

    def _ask(self, path: str, query: str, user: str, options: Mapping[str, Any]) -> Answer:
        body = {"query": query, "knowledge_bases": [self.name], **options}
        found: Answer = self.platform.acting_as(user).call("POST", path, json=body)
        return found

    def _path(self, external_id: str) -> str:
        return f"/documents/{self.name}/{path_id(external_id)}"


def open_library(platform: Platform) -> Library:
    """Create a knowledge base and a source under a name that nobody else uses, and the user `reader`."""
    name = f"shelf-{uuid4().hex[:10]}"
    platform.directory((f"users/{READER}", {"name": READER}))
    platform.source(name, knowledge_base=name)
    return Library(platform=platform, name=name)
