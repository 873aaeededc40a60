"""Control data: who and what there is. One compacted topic, one record a key."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, TypeAlias

from schemas.events.base import Event, Position, Store
from schemas.ids import GenerationName, KnowledgeBaseId, Principal, Revision
from schemas.topics import Topic


class DirectoryKind(StrEnum):
    """Kinds of directory records; the part of the key after the tenant."""

    TENANT = "tenants"
    USER = "users"
    GROUP = "groups"
    API_KEY = "keys"
    KNOWLEDGE_BASE = "knowledge-bases"
    SOURCE = "sources"
    RETRIEVAL_PROFILE = "retrieval-profiles"
    GENERATION = "generations"


class QueryTextPolicy(StrEnum):
    """How much of a question's text `rag.queries.executed` keeps."""

    FULL = "full"
    HASHED = "hashed"
    NONE = "none"


class FusionMethod(StrEnum):
    """How the two legs' results become one list."""

    WEIGHTED_MIN_MAX = "weighted_min_max"
    RECIPROCAL_RANK = "reciprocal_rank"


class GenerationState(StrEnum):
    """Where a generation stands. Of those that were ever switched to, the one with the newest switch serves."""

    BUILDING = "building"
    SERVING = "serving"  # was switched to: it serves, or is still fed so that a rollback takes one event
    RETIRED = "retired"  # being dropped


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A customer. Deleting the record hides all of its documents at the gate at once."""

    name: str
    query_text: QueryTextPolicy = QueryTextPolicy.FULL
    max_documents: int | None = None
    max_content_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person or a service. Guests are not part of `everyone`."""

    name: str
    email: str | None = None
    guest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Members of one group of one source; a record's id is `SOURCE:ID`, its principal `group:SOURCE:ID`."""

    name: str
    members: tuple[Principal, ...]  # users and, nested, groups


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A credential, stored as a keyed hash. The record's id is public and part of the key itself."""

    name: str
    hash: str
    user: str  # id of the user it acts as
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnowledgeBase:
    """A named collection of documents. Deleting the record hides its documents at once."""

    name: str
    description: str = ""
    retrieval_profile: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where documents come from, and the limits that protect the log from a broken listing."""

    name: str
    kind: str  # filesystem, api, s3, ...
    knowledge_base: KnowledgeBaseId
    settings: Mapping[str, str] = field(default_factory=dict)
    max_deletions_per_hour: int | None = None  # shared out over partitions by admission; past it deletions wait
    paused: bool = False
    secrets: Mapping[str, str] = field(default_factory=dict)  # name -> where it is (`env:NAME`, `file:NAME`)
    schedule: str | None = None  # cron of five fields, in UTC; None: synced on request alone
    max_deletions_per_day: int | None = None  # None: a tenth of the source's documents, or 100 where that is more


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalProfile:
    """Knobs of retrieval that an administrator may set."""

    fusion: FusionMethod = FusionMethod.WEIGHTED_MIN_MAX
    vector_weight: float = 0.5  # of the fused score; the rest is the keywords'
    candidates: int = 100  # per leg
    rerank: bool = True
    rerank_candidates: int = 30
    context_tokens: int = 2_000
    context_passages: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """Parser, chunking policy, embedding model and mappings under one name. Belongs to the system tenant."""

    name: GenerationName
    state: GenerationState
    parser: str
    policy: str
    model: str
    dimension: int
    switched: int = 0  # counts switches of the installation: the serving generation has the highest
    rebuilding: tuple[Store, ...] = ()  # stores that are being refilled: they are not asked meanwhile
    created_at: datetime | None = None  # what was admitted before is read as history, behind live edits


DirectoryRecord: TypeAlias = Tenant | User | Group | ApiKey | KnowledgeBase | Source | RetrievalProfile | Generation


class DirectoryOp(StrEnum):
    """What happens to a directory record."""

    PUT = "put"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectorySubmitted(Event):
    """A wish to change one record. Key: tenant/kind/id."""

    topic: ClassVar[Topic] = Topic.DIRECTORY_SUBMITTED
    kind: DirectoryKind
    record_id: str
    op: DirectoryOp
    record: DirectoryRecord | None
    expected_revision: Revision | None  # 0: must not exist yet
    actor: Principal | None
    with_documents: bool = False  # deleting a source: its documents are deleted as well


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryChanged(Event):
    """A record's full state, appended by `admit` alone. Key: tenant/kind/id."""

    topic: ClassVar[Topic] = Topic.DIRECTORY_CHANGED
    kind: DirectoryKind
    record_id: str
    op: DirectoryOp
    revision: Revision
    record: DirectoryRecord | None
    admitted_at: datetime
    submitted: Position
    with_documents: bool = False  # of a deleted source, whose documents admission deletes as well
    created: Revision | None = None  # of the record that came first since there was none; None: before v4
