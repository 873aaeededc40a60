"""Settings: typed, grouped, frozen, read once. `HEADWATER_KAFKA__BOOTSTRAP_SERVERS` and so on."""

from pathlib import Path
from typing import Literal

from pydantic import (
    BaseModel,
    Field,
    JsonValue,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from headwater.setting_types import Host, Network, ProxyUrl
from schemas.ids import GenerationName


class KafkaSettings(BaseModel, frozen=True, extra="forbid"):
    """The log."""

    bootstrap_servers: str = "127.0.0.1:9092"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_ca_file: Path | None = None
    topic_prefix: str = ""  # sets one installation (or one test) apart on a shared broker; also prefixes group names
    compression: Literal["none", "gzip"] = "gzip"  # what every reader has; costs more than it saves on loopback
    partitions: PositiveInt = 4  # of the document topics, when they are created; never grows in place
    replication_factor: PositiveInt = 1
    session_timeout_s: PositiveInt = 12  # how long a killed worker's partitions wait for a new owner
    request_timeout_s: PositiveFloat = 30.0
    transaction_timeout_s: PositiveInt = 10  # a killed admission worker stalls committed readers this long at the most
    schema_registry_url: str | None = None  # none: ids come from the committed manifest


class ElasticsearchSettings(BaseModel, frozen=True, extra="forbid"):
    """Keywords, read models, analytics."""

    url: str = "http://127.0.0.1:9200"
    username: str | None = None
    password: SecretStr | None = None
    ca_file: Path | None = None
    request_timeout_s: PositiveFloat = 15.0
    index_prefix: str = "headwater"
    shards: PositiveInt = 1
    replicas: int = 0


class MilvusSettings(BaseModel, frozen=True, extra="forbid"):
    """Vectors."""

    url: str = "http://127.0.0.1:19530"
    token: SecretStr | None = None
    request_timeout_s: PositiveFloat = 15.0
    collection_prefix: str = "headwater"
    dimension: PositiveInt = 384  # of the first generation's vectors; a created generation's record says its own


class RedisSettings(BaseModel, frozen=True, extra="forbid"):
    """Caches only: losing it makes things slower, never wrong."""

    url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    request_timeout_s: PositiveFloat = 1.0
    key_prefix: str = "headwater:"


class TritonSettings(BaseModel, frozen=True, extra="forbid"):
    """Models."""

    url: str = "127.0.0.1:8001"  # gRPC
    request_timeout_s: PositiveFloat = 15.0
    tokenizer_file: Path = Path(".headwater/models/text_embedding/1/tokenizer.json")
    # Of another embedding model that a generation names; `{model}` stands for that name.
    tokenizer_pattern: str = ".headwater/models/{model}/1/tokenizer.json"


class GeneratorSettings(BaseModel, frozen=True, extra="forbid"):
    """Who writes answers: Triton's `answer_generation`, or any endpoint that speaks OpenAI's chat protocol."""

    kind: Literal["triton", "openai"] = "triton"
    openai_url: str | None = None
    openai_model: str | None = None
    openai_api_key: SecretStr | None = None
    request_timeout_s: PositiveFloat = 60.0


class BlobSettings(BaseModel, frozen=True, extra="forbid"):
    """Content: a local folder, or `s3://`, `gs://`, `az://` with obstore's own options."""

    url: str = "file:.headwater/blobs"
    options: dict[str, SecretStr] = Field(default_factory=dict)
    max_content_bytes: PositiveInt = 100 * 1024 * 1024
    piece_bytes: PositiveInt = 1024 * 1024
    # What nothing refers to stays this long: its event may be on its way, and `undo` reaches back seven days.
    orphan_grace_s: PositiveFloat = 8 * 24 * 3600.0


class BackupSettings(BaseModel, frozen=True, extra="forbid"):
    """Copies of the log and the contents. Where they lie is an argument of the commands."""

    options: dict[str, SecretStr] = Field(default_factory=dict)  # of the bucket, as in the blob store's group
    retention_days: PositiveInt = 30  # runs older than this are removed by --expire, and erasure waits as long
    full_every_days: PositiveInt = 7  # then a run begins anew, so that expired runs let go of what they held
    segment_bytes: PositiveInt = 32 * 1024 * 1024
    settle_wait_s: PositiveFloat = 30.0  # for admission to catch up, so that cursors are never ahead of documents


class HeadsSettings(BaseModel, frozen=True, extra="forbid"):
    """Embedded materialisation of the log."""

    folder: Path = Path(".headwater/heads")  # one LMDB environment per follower below it
    map_size_bytes: PositiveInt = 16 * 1024**3  # address space, not disk
    staleness_budget_s: PositiveFloat = 10.0  # a replica further behind answers 503


class ManagementSettings(BaseModel, frozen=True, extra="forbid"):
    """Where a process answers /livez, /readyz and /metrics."""

    host: str = "127.0.0.1"
    port: int = 0  # 0: any free port


class ApiSettings(BaseModel, frozen=True, extra="forbid"):
    """The query API."""

    host: str = "127.0.0.1"
    port: int = 8080
    bootstrap_key_file: Path = Path(".headwater/bootstrap.key")
    key: SecretStr | None = None  # what the command line calls with; none: the key in the bootstrap file
    secret_file: Path = Path(".headwater/api.secret")  # keys the hashes of API keys and signs query ids; 0600
    request_timeout_s: PositiveFloat = 30.0
    max_body_bytes: PositiveInt = 4 * 1024 * 1024  # of a JSON body; uploads have the blob store's limit
    max_batch_bytes: PositiveInt = 64 * 1024 * 1024  # of POST /v1/documents/batch
    max_batch_items: PositiveInt = 1_000
    max_principals: PositiveInt = 500  # a caller with more is refused clearly
    default_tenant: str = "default"


class StageSettings(BaseModel, frozen=True, extra="forbid"):
    """Workers."""

    slot: NonNegativeInt = 0  # of an admission worker: two with one number fence each other
    datadir: Path = Path(".headwater/workers")  # attempts counted before work begins, Faust's own files
    retry_budget_s: PositiveFloat = 120.0  # past it a stage reports unready and goes on waiting
    watchdog_s: PositiveFloat = 300.0  # a worker with work and without progress exits after this
    grace_s: PositiveFloat = 25.0  # for a graceful stop
    buffer_bytes: PositiveInt = 64 * 1024 * 1024
    parser_processes: PositiveInt = 1
    parse_timeout_s: PositiveFloat = 120.0
    parse_cpu_s: PositiveInt = 60
    parse_memory_bytes: PositiveInt = 2 * 1024**3
    heavy_bytes: PositiveInt = 8 * 1024 * 1024  # a larger content, or one of more pages, takes the heavy lane
    heavy_pages: PositiveInt = 200
    heavy_pages_at_once: PositiveInt = 50  # what a crash in the heavy lane costs at the most
    heavy_parse_timeout_s: PositiveFloat = 240.0  # of one page range, or of a content without pages; below the watchdog
    heavy_parse_cpu_s: PositiveInt = 240
    backfill_in_flight_bytes: PositiveInt = 4 * 1024 * 1024  # credits of the backfill lane
    removal_grace_s: PositiveFloat = 45.0  # older rows stay this long: above the staleness budget plus a request


class TenantLimits(BaseModel, frozen=True, extra="forbid"):
    """What one tenant, and one of its files, may take; None: no limit of this kind."""

    max_file_bytes: NonNegativeInt | None = None  # of one document's content
    max_documents: NonNegativeInt | None = None
    max_content_bytes: NonNegativeInt | None = None  # of all its documents together
    max_pages: PositiveInt | None = None  # of one paged document (PDF)


class LimitSettings(TenantLimits):
    """Limits of every tenant. A tenant's directory record and `tenants` say otherwise.

    Admission applies them; `max_pages` is applied by `prepare`, which counts the pages.
    """

    max_file_bytes: NonNegativeInt | None = 100 * 1024 * 1024
    max_pages: PositiveInt | None = 5_000
    tenants: dict[str, TenantLimits] = Field(default_factory=dict)  # by tenant id; only what is set there counts

    def of(self, tenant: str) -> TenantLimits:
        """Return a tenant's limits: its own where they are set, else those of everybody."""
        own = self.tenants.get(tenant)
        common = {name: getattr(self, name) for name in TenantLimits.model_fields}
        return TenantLimits(**common | ({} if own is None else own.model_dump(exclude_unset=True)))


class ReaderProgram(BaseModel, frozen=True, extra="forbid"):
    """A program of this host that reads a source in another ecosystem's protocol, and what it may take."""

    command: tuple[str, ...] = Field(min_length=1)  # the program and what comes before the protocol's own arguments
    arguments: tuple[str, ...] = ()  # what comes after them
    config: dict[str, JsonValue] = Field(default_factory=dict)  # fields that no source may say otherwise
    environment: dict[str, str] = Field(default_factory=dict)  # all that it gets besides PATH and a folder of its own
    memory_bytes: PositiveInt = 4 * 1024**3  # of address space, each of its processes
    output_bytes: PositiveInt = 64 * 1024**3  # of one run
    line_bytes: PositiveInt = 4 * 1024**2  # one record; a longer one is parked
    run_timeout_s: PositiveFloat = 6 * 3600.0
    silence_timeout_s: PositiveFloat = 900.0  # a reader that waits out a rate limit says nothing meanwhile


class ConnectorSettings(BaseModel, frozen=True, extra="forbid"):
    """What connector workers may do for the sources of the directory, whoever wrote them there."""

    parallel_syncs: PositiveInt = 4  # of one worker; each holds up to 64 contents at once
    # Folders below which a source of kind `filesystem` may lie. None by default: whoever may write the directory would
    # read this host's files through it.
    filesystem_roots: tuple[Path, ...] = ()
    # Readers by name, of kind `airbyte`. None by default: a source of the directory names one, and never a command.
    readers: dict[str, ReaderProgram] = Field(default_factory=dict)
    secrets_folder: Path = Path("/run/secrets/headwater")  # `file:NAME` of a source is TENANT/NAME below it
    progress_every_s: PositiveFloat = 5.0  # how often a running sync says how far it is
    schedule_every_s: PositiveFloat = 5.0  # how often schedules are looked at; a cron's grain is a minute
    schedule_jitter_s: NonNegativeFloat = 60.0  # each source's own part of it delays its schedule, always the same
    # A complete listing that shows less than this share of what was known is not believed: its deletions wait for
    # `headwater sources approve`. 0: each is believed.
    short_listing_share: float = Field(default=0.5, ge=0.0, le=1.0)
    short_listing_from: PositiveInt = 20  # documents known before; of fewer any listing is believed


class WebhookSettings(BaseModel, frozen=True, extra="forbid"):
    """The receiver of webhooks."""

    host: str = "127.0.0.1"  # what stands before it speaks TLS
    port: int = 8081
    max_body_bytes: PositiveInt = 1024 * 1024
    replay_window_s: PositiveFloat = 300.0  # a signature that names its time holds this long, before it and after it
    read_timeout_s: PositiveFloat = 5.0  # until a body is complete
    append_timeout_s: PositiveFloat = 2.0  # until the broker holds the request; senders wait 10 s and less
    parallel: PositiveInt = 128  # deliveries in hand, each with its body in memory; more are told to come again
    # Topics of this broker that stores write the events of buckets into, each with the tenant whose buckets they are.
    event_topics: dict[str, str] = Field(default_factory=dict)


class FreshnessSettings(BaseModel, frozen=True, extra="forbid"):
    """The objectives of live edits: 95 of 100 are as quick as this, or the promise is broken."""

    words_ms: PositiveInt = 1_000  # from observed until found by words
    meaning_ms: PositiveInt = 2_000  # from observed until found by meaning
    hidden_ms: PositiveInt = 500  # from a revocation or a deletion until nobody finds it who must not
    window_s: PositiveInt = 3_600  # over which they are judged, unless a reader asks for another window


class CanarySettings(BaseModel, frozen=True, extra="forbid"):
    """The canary: a caller that writes, finds, hides and deletes all the time, and says how long each took."""

    api_url: str | None = None  # none: the API of these settings
    tenant: str = "headwater-canary"  # its own: nobody else sees its documents, analytics tells its queries apart
    keys_file: Path = Path(".headwater/canary.keys")  # made at the first start; 0600
    interval_s: PositiveFloat = 60.0  # between the beginnings of two rounds on one partition
    deadline_s: PositiveFloat = 10.0  # after which a step has failed


class AuditSettings(BaseModel, frozen=True, extra="forbid"):
    """The continuous comparison of the stores with the log."""

    delay_s: NonNegativeFloat = 60.0  # before the first pass: whatever starts with it has the machine to itself
    interval_s: PositiveFloat = 300.0  # between the end of a pass and the next one
    grace_s: PositiveFloat = 300.0  # a revision that is not complete is judged when it is older
    sweep_leeway_s: PositiveFloat = 60.0  # older rows are judged this long after the sweeper might have removed them
    # Of a pass's time in which stores are read; else they rest. Below one half, most questions meet a resting audit.
    share: float = Field(default=0.45, gt=0.0, le=1.0)
    repair: bool = True  # what is found is repaired without being asked; else it is only told
    repair_documents: PositiveInt = 500  # in one pass; the next one goes on
    unknown_share: float = Field(default=0.1, ge=0.0, le=1.0)  # more documents that the log lacks, and none is removed


class EgressSettings(BaseModel, frozen=True, extra="forbid"):
    """Outgoing HTTP of connectors. Public addresses only, unless they are allowed here."""

    allowed_networks: tuple[Network, ...] = ()
    allowed_hosts: tuple[Host, ...] = ()  # they may lead to private addresses
    proxy_url: ProxyUrl | None = None  # resolves names itself, so it must guard too
    proxy_credentials: SecretStr | None = None  # user:password
    ca_file: Path | None = None  # none: the system's authorities
    connect_timeout_s: PositiveFloat = 10.0
    read_timeout_s: PositiveFloat = 30.0  # between two pieces
    header_timeout_s: PositiveFloat = 60.0  # until the headers are complete, however they drip
    total_timeout_s: PositiveFloat = 600.0  # of one exchange on the wire, redirects included
    max_response_bytes: PositiveInt = 100 * 1024 * 1024  # as sent, and decompressed
    max_redirects: NonNegativeInt = 5
    concurrency: PositiveInt = 4  # requests under way of one source, unless its own settings say otherwise
    requests_per_s: PositiveFloat = 10.0  # likewise
    # Likewise of one bucket. Stores take thousands of requests a second; a batch of contents is read side by side.
    bucket_concurrency: PositiveInt = 64
    bucket_requests_per_s: PositiveFloat = 1_000.0
    attempts: PositiveInt = 4  # of a request that may be repeated
    wait_budget_s: NonNegativeFloat = 300.0  # one request waits this long for rate limits; then the pass ends


class TelemetrySettings(BaseModel, frozen=True, extra="forbid"):
    """Logs and traces."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "console"] = "json"
    otlp_endpoint: str | None = None  # none: spans are recorded and dropped
    otlp_headers: dict[str, SecretStr] = Field(default_factory=dict)  # what the collector asks for: credentials
    service_name: str = "headwater"


class LocalSettings(BaseModel, frozen=True, extra="forbid"):
    """The embedded stack."""

    state_folder: Path = Path(".headwater")
    cache_folder: Path | None = None  # none: $XDG_CACHE_HOME/headwater or ~/.cache/headwater
    ports: Literal["fixed", "free"] = "fixed"
    model_repository: Path | None = None  # models of your own, which Triton serves beside the project's


class Settings(BaseSettings):
    """All settings of one process."""

    model_config = SettingsConfigDict(
        env_prefix="HEADWATER_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,  # a secret that is written wrongly is still a secret
    )

    generation: GenerationName = GenerationName("g1")
    region: str | None = None
    kafka: KafkaSettings = KafkaSettings()
    elasticsearch: ElasticsearchSettings = ElasticsearchSettings()
    milvus: MilvusSettings = MilvusSettings()
    redis: RedisSettings = RedisSettings()
    triton: TritonSettings = TritonSettings()
    generator: GeneratorSettings = GeneratorSettings()
    blobs: BlobSettings = BlobSettings()
    backup: BackupSettings = BackupSettings()
    heads: HeadsSettings = HeadsSettings()
    management: ManagementSettings = ManagementSettings()
    api: ApiSettings = ApiSettings()
    stages: StageSettings = StageSettings()
    connectors: ConnectorSettings = ConnectorSettings()
    webhooks: WebhookSettings = WebhookSettings()
    limits: LimitSettings = LimitSettings()
    freshness: FreshnessSettings = FreshnessSettings()
    canary: CanarySettings = CanarySettings()
    audit: AuditSettings = AuditSettings()
    egress: EgressSettings = EgressSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    local: LocalSettings = LocalSettings()
