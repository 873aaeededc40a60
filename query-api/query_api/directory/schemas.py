"""Directory records as administrators write them and read them. Field names are those of the events."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, ClassVar, Final, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from headwater.ports.heads import DirectoryEntry
from query_api.retrieval.profiles import MEASURED
from schemas.events.base import Store
from schemas.events.directory import (
    DirectoryRecord,
    FusionMethod,
    Generation,
    GenerationState,
    Group,
    KnowledgeBase,
    QueryTextPolicy,
    RetrievalProfile,
    Source,
    Tenant,
    User,
)
from schemas.ids import Revision

Name: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Reference: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
MemberName: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^(user:\S[^\x00-\x1f/]{0,199}|group:[^\s:/]{1,100}:[^\x00-\x1f/]{1,200})$")
]

SecretReference: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^(env|file):[A-Za-z0-9]+([_.-][A-Za-z0-9]+)*$", max_length=200)
]
CRON: Final = r"^[0-9*/,-]{1,100}( [0-9*/,-]{1,100}){4}$"  # its form; the connector worker says what it cannot mean


class RecordBody(BaseModel):
    """Base of all kinds; `record_type` is the event's class of the same fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    record_type: ClassVar[Callable[..., DirectoryRecord]]

    def record(self) -> DirectoryRecord:
        """Return the record to submit."""
        return self.record_type(**dict(self))


class TenantBody(RecordBody):
    """A customer."""

    record_type = Tenant
    name: Name
    query_text: QueryTextPolicy = Field(default=QueryTextPolicy.FULL, description="What is kept of questions' text.")
    max_documents: int | None = Field(default=None, ge=0)
    max_content_bytes: int | None = Field(default=None, ge=0)


class UserBody(RecordBody):
    """A person or a service."""

    record_type = User
    name: Name
    email: Annotated[str, StringConstraints(max_length=320)] | None = None
    guest: bool = Field(default=False, description="Guests are not part of `everyone`.")


class GroupBody(RecordBody):
    """Members of one group of one source; its id is `SOURCE:ID`, its principal `group:SOURCE:ID`."""

    record_type = Group
    name: Name
    members: tuple[MemberName, ...] = Field(max_length=50_000, examples=[["user:ada", "group:wiki:editors"]])


class KnowledgeBaseBody(RecordBody):
    """A named collection of documents."""

    record_type = KnowledgeBase
    name: Name
    description: Annotated[str, StringConstraints(max_length=2_000)] = ""
    retrieval_profile: Reference | None = None


class SourceBody(RecordBody):
    """Where documents come from. `kind: api` is written by this API, any other by its connector alone."""

    record_type = Source
    name: Name
    kind: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,39}$")] = Field(examples=["api", "filesystem"])
    knowledge_base: Reference
    settings: dict[Name, Annotated[str, StringConstraints(max_length=4_000)]] = {}
    max_deletions_per_hour: int | None = Field(
        default=None, ge=0, description="Past it deletions wait until an administrator approves them."
    )
    max_deletions_per_day: int | None = Field(
        default=None, ge=0, description="The same for a day; none: a tenth of its documents, or 100 where that is more."
    )
    paused: bool = False
    secrets: dict[Name, SecretReference] = Field(
        default={}, description="Where each credential is, `env:NAME` or `file:NAME`; never the credential itself."
    )
    schedule: Annotated[str, StringConstraints(pattern=CRON)] | None = Field(
        default=None, description="When to sync: cron of five fields, in UTC.", examples=["*/15 * * * *"]
    )


class RetrievalProfileBody(RecordBody):
    """Knobs of retrieval."""

    record_type = RetrievalProfile
    fusion: FusionMethod = FusionMethod.WEIGHTED_MIN_MAX
    vector_weight: float = Field(default=MEASURED.vector_weight, ge=0, le=1)
    candidates: int = Field(default=MEASURED.candidates, ge=1, le=1_000)
    rerank: bool = True
    rerank_candidates: int = Field(default=MEASURED.rerank_candidates, ge=1, le=200)
    context_tokens: int = Field(default=2_000, ge=100, le=100_000)
    context_passages: int = Field(default=8, ge=1, le=50)


class GenerationBody(RecordBody):
    """A generation; read-only here."""

    record_type = Generation
    name: str
    state: GenerationState
    parser: str
    policy: str
    model: str
    dimension: int
    switched: int = Field(default=0, description="The generation with the highest number serves.")
    rebuilding: tuple[Store, ...] = Field(default=(), description="Stores that are being refilled, and not asked.")
    created_at: datetime | None = None


AnyBody: TypeAlias = (
    TenantBody | UserBody | GroupBody | KnowledgeBaseBody | SourceBody | RetrievalProfileBody | GenerationBody
)
_BODIES: Final[dict[type, type[AnyBody]]] = {
    Tenant: TenantBody,
    User: UserBody,
    Group: GroupBody,
    KnowledgeBase: KnowledgeBaseBody,
    Source: SourceBody,
    RetrievalProfile: RetrievalProfileBody,
    Generation: GenerationBody,
}


class RecordView(BaseModel, frozen=True):
    """A directory record that exists."""

    kind: str
    id: str
    revision: Revision = Field(description="For If-Match.")
    record: AnyBody

    @classmethod
    def of(cls, entry: DirectoryEntry) -> "RecordView":
        """Show an entry. It was admitted already, so today's limits are not applied to it again."""
        body = _BODIES[type(entry.record)].model_construct(**asdict(entry.record))
        return cls.model_construct(kind=entry.kind.value, id=entry.record_id, revision=entry.revision, record=body)


class RecordPage(BaseModel, frozen=True):
    """Records of one kind, ordered by id."""

    records: list[RecordView]
    cursor: str | None = Field(description="Pass it to get the next page; none on the last.")


class RecordAccepted(BaseModel, frozen=True):
    """A directory command is in the log; pass the token as `after` to see its outcome."""

    kind: str
    id: str
    token: str
