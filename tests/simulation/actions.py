"""Carries out a story's steps: what sources, callers and operators want; what goes wrong is `fate.py`."""

import asyncio
import hashlib
import uuid
from collections.abc import Callable
from typing import Any

from query_api.retrieval.retriever import Mode
from schemas.codec import encode
from schemas.events.base import Lane, Position
from schemas.events.directory import DirectoryKind, DirectoryRecord, Group, KnowledgeBase, Source, Tenant, User
from schemas.events.documents import (
    Access,
    BlobRef,
    Clause,
    DocumentPatch,
    DocumentState,
    SubmissionOp,
)
from schemas.ids import (
    EVERYONE,
    SYSTEM_TENANT,
    DocumentId,
    GenerationName,
    KnowledgeBaseId,
    Principal,
    SourceId,
    TenantId,
    directory_key,
    document_id,
    document_key,
)
from schemas.topics import Topic
from tests.simulation.builds import FINER, USUAL
from tests.simulation.fate import Fate
from tests.simulation.loop import wall_ms
from tests.simulation.operating import Wish
from tests.simulation.parsing import DEADLY, HEADED, PAGED
from tests.simulation.replica import Answer
from tests.simulation.steps import DOCUMENTS, USERS, Step
from tests.simulation.truth import Truth
from tests.simulation.world import World
from tests.support.heads import command, submission

ACME, RIVAL = TenantId("acme"), TenantId("rival")
FILES, HANDBOOK, ARCHIVE = SourceId("files"), KnowledgeBaseId("handbook"), KnowledgeBaseId("archive")
_STAFF, _PARTNERS, _ALL = (Principal(f"group:files:{name}") for name in ("staff", "partners", "all"))
_RULES: dict[str, Access] = {
    "everyone": Access(clauses=(Clause(principals=(EVERYONE,)),)),
    "staff": Access(clauses=(Clause(principals=(_STAFF,)),)),
    "not bob": Access(clauses=(Clause(principals=(EVERYONE,)),), deny=(Principal("user:bob"),)),
    "staff and everyone": Access(clauses=(Clause(principals=(_STAFF,)), Clause(principals=(EVERYONE,)))),
    "all but partners": Access(clauses=(Clause(principals=(_ALL, EVERYONE)),), deny=(_PARTNERS,)),
    "nobody": Access(),
    "cleo": Access(clauses=(Clause(principals=(Principal("user:cleo"),)),)),
    "staff not dan": Access(clauses=(Clause(principals=(_STAFF,)),), deny=(Principal("user:dan"),)),
}

_MEDIA_TYPES = {"text": "text/plain", "volume": "application/pdf", "manual": "text/markdown"}

_WISHES = frozenset(
    {"put", "patch", "delete", "ask", "group", "guest", "knowledge_base", "budget", "approve", "generation"}
)


def tenant_of(document: int) -> TenantId:
    """The last document is another tenant's, under the same name."""
    return RIVAL if document == DOCUMENTS - 1 else ACME


def name_of(document: int) -> str:
    """Return the external id."""
    return "page-0" if tenant_of(document) == RIVAL else f"page-{document}"


def id_of(document: int) -> DocumentId:
    """Return the document's id."""
    return document_id(tenant_of(document), FILES, name_of(document))


def text_of(document: int, draft: int, paragraphs: int, flaw: str | None = None) -> bytes:
    """Return a content: one draft after the other changes one paragraph."""
    if flaw == "blank":
        return b"   \n\n  "
    pieces = [
        f"topic{document} paragraph{number} wording{(draft + number) // paragraphs} "
        + " ".join(f"filler{(number * 7 + word) % 23}" for word in range(22))
        for number in range(paragraphs)
    ]
    if flaw == "refused":
        pieces[len(pieces) // 2] += " refused"
    if flaw == "deadly":
        pieces.append(DEADLY.decode())
    return "\n\n".join(pieces).encode()


def volume_of(document: int, draft: int, pages: int) -> bytes:
    """Return a content of many short pages, of which each draft changes one."""
    texts = (
        f"topic{document} leaf{number} wording{(draft + number) // pages} "
        + " ".join(f"line{(number * 5 + word) % 17}" for word in range(12))
        for number in range(pages)
    )
    return PAGED + "\f".join(texts).encode()


def manual_of(document: int, draft: int, sections: int) -> bytes:
    """Return a content in Markdown, with a title and sections below it; some sections have one inside."""
    pieces = [
        f"{'###' if number % 3 == 2 else '##'} Part {number}\n\n"
        f"topic{document} part{number} wording{(draft + number) // sections} " + "rope " * 20
        for number in range(sections)
    ]
    return HEADED + "\n\n".join([f"Manual {document}", *pieces]).encode()


class Actions:
    """The hands of sources, callers and operators."""

    def __init__(self, world: World, truth: Truth, on_answer: Callable[[Answer], None]) -> None:
        self._world, self._truth, self._on_answer = world, truth, on_answer
        self._fate = Fate(world)
        self._numbers = 0
        self._newest: dict[int, Position] = {}
        self.asking: set[asyncio.Task[Answer]] = set()

    def found(self) -> None:
        """Create what every story begins with."""
        for tenant in (ACME, RIVAL):
            self._direct(DirectoryKind.TENANT, tenant, Tenant(name=tenant), tenant=SYSTEM_TENANT)
            self._direct(DirectoryKind.KNOWLEDGE_BASE, HANDBOOK, KnowledgeBase(name="Handbook"), tenant=tenant)
            source = Source(name="Files", kind="filesystem", knowledge_base=HANDBOOK)
            self._direct(DirectoryKind.SOURCE, FILES, source, tenant=tenant)
            for user in USERS:
                self._direct(DirectoryKind.USER, user, User(name=user, guest=user == "cleo"), tenant=tenant)
        self._direct(DirectoryKind.KNOWLEDGE_BASE, ARCHIVE, KnowledgeBase(name="Archive"))
        self._group("staff", ("ann", "dan"))
        self._group("partners", ("cleo",))
        nested = Group(name="all", members=(_STAFF, _PARTNERS))
        self._direct(DirectoryKind.GROUP, "files:all", nested)

    def do(self, step: Step) -> None:
        """Carry out a step."""
        if step.do in _WISHES:
            getattr(self, f"_do_{step.do}")(**step.what)
        else:
            self._world.faults += 1
            getattr(self._fate, step.do)(**step.what)

    def _do_put(
        self,
        *,
        document: int,
        draft: int,
        paragraphs: int,
        access: str,
        version: int | None,
        lane: str,
        flaw: str | None = None,
        form: str = "text",
    ) -> None:
        state = DocumentState(
            knowledge_base=HANDBOOK,
            title=f"title of draft {draft}",
            media_type=_MEDIA_TYPES[form],
            content=self._blob(document, self._content(form, document, draft, paragraphs, flaw)),
            access=_RULES[access],
        )
        self._submit(document, SubmissionOp.PUT, lane=Lane(lane), state=state, source_version=version)

    def _do_patch(self, *, document: int, access: str | None = None, **fields: Any) -> None:
        if access is not None:
            fields["access"] = _RULES[access]
        self._submit(document, SubmissionOp.PATCH, patch=DocumentPatch(**fields))

    def _do_delete(self, *, document: int) -> None:
        self._submit(document, SubmissionOp.DELETE)

    def _do_budget(self, *, document: int, per_day: int) -> None:
        source = Source(name="Files", kind="filesystem", knowledge_base=HANDBOOK, max_deletions_per_day=per_day)
        self._direct(DirectoryKind.SOURCE, FILES, source, tenant=tenant_of(document))

    def _do_approve(self, *, document: int) -> None:
        """Approve what was seen to wait; meanwhile it may wait no longer."""
        waiting = self._truth.waiting.get(id_of(document))
        if waiting is not None:
            self._submit(document, SubmissionOp.DELETE, approves=waiting.submitted, actor=Principal("user:ann"))

    def _do_group(self, *, name: str, members: list[str]) -> None:
        self._group(name, tuple(members))

    def _do_guest(self, *, user: str, guest: bool) -> None:
        self._direct(DirectoryKind.USER, user, User(name=user, guest=guest))

    def _do_knowledge_base(self, *, name: str, present: bool) -> None:
        self._direct(DirectoryKind.KNOWLEDGE_BASE, name, KnowledgeBase(name="Archive") if present else None)

    def _do_generation(self, *, command: str, name: str, finer: bool = False) -> None:
        policy = FINER if finer else USUAL
        self._world.wish(Wish(command=command, generation=GenerationName(name), policy=policy))

    def _do_ask(self, *, replica: str, user: str, document: int, mode: str, after: bool) -> None:
        task = self._world.apis[replica].ask(
            tenant=tenant_of(document),
            user=user,
            words=f"topic{document}",
            mode=Mode(mode),
            token=self._newest.get(document) if after else None,
        )
        self.asking.add(task)
        task.add_done_callback(self._answered)

    def _answered(self, task: "asyncio.Task[Answer]") -> None:
        self.asking.discard(task)
        if not task.cancelled():
            self._on_answer(task.result())

    def _submit(self, document: int, op: SubmissionOp, *, lane: Lane = Lane.LIVE, **fields: Any) -> None:
        tenant, name = tenant_of(document), name_of(document)
        event = submission(
            op,
            name,
            tenant_id=tenant,
            source=FILES,
            event_id=self._uuid(),
            occurred_at=self._now(),
            observed_at=self._now(),
            lane=lane,
            **fields,
        )
        topic = Topic.DOCUMENTS_BACKFILL if lane is Lane.BACKFILL else Topic.DOCUMENTS_SUBMITTED
        times = 2 if self._world.random.random() < 0.05 else 1  # the source saw no confirmation and sent it again
        for _ in range(times):
            position = self._append(topic, document_key(tenant, event.document_id), event)
            self._truth.submissions[position] = event
            self._newest[document] = position

    def _direct(
        self, kind: DirectoryKind, record_id: str, record: DirectoryRecord | None, *, tenant: TenantId = ACME
    ) -> None:
        event = command(
            kind,
            record_id,
            record,
            tenant=tenant,
            event_id=self._uuid(),
            occurred_at=self._now(),
            observed_at=self._now(),
        )
        self._append(Topic.DIRECTORY_SUBMITTED, directory_key(tenant, kind.value, record_id), event)

    def _group(self, name: str, members: tuple[str, ...]) -> None:
        principals = tuple(Principal(f"user:{member}") for member in members)
        self._direct(DirectoryKind.GROUP, f"files:{name}", Group(name=name, members=principals))

    def _append(self, topic: Topic, key: bytes, event: object) -> Position:
        broker, name = self._world.broker, self._world.topic(topic)
        return broker.append((name, broker.place(name, key, "murmur2_random")), key, encode(event))

    @staticmethod
    def _content(form: str, document: int, draft: int, parts: int, flaw: str | None) -> bytes:
        if form == "text":
            return text_of(document, draft, parts, flaw)
        return (volume_of if form == "volume" else manual_of)(document, draft, parts)

    def _blob(self, document: int, content: bytes) -> BlobRef:
        ref = BlobRef(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
        self._world.blobs.blobs[tenant_of(document), ref.sha256] = content
        return ref

    def _uuid(self) -> uuid.UUID:
        self._numbers += 1
        return uuid.UUID(int=self._numbers)

    def _now(self) -> Any:
        from datetime import UTC, datetime

        return datetime.fromtimestamp(wall_ms() / 1000 + self._world.loop.time(), tz=UTC)
