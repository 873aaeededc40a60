"""Every metric of the platform, each with what to do when it moves.

Labels are closed sets, never a tenant or a document: figures per tenant are the business of `analytics`.
"""

from prometheus_client import Counter, Gauge, Histogram

# From 1 ms to 5 minutes: hops take milliseconds, a large PDF minutes.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

# Events by how they ended. `parked` above 1 % for ten minutes is a bad deploy or a bad source: runbook dead-letters.
EVENTS_SETTLED = Counter("headwater_events_settled_total", "Events brought to an end.", ["stage", "outcome"])

# Time from delivery to the end of an event. A rising p95 with flat input: the dependency the stage waits for is slow.
SETTLE_SECONDS = Histogram("headwater_settle_seconds", "Time to settle one event.", ["stage"], buckets=SECONDS)

# Attempts that failed for a passing reason. A plateau means that a dependency is away: runbook dependency-down.
RETRIES = Counter("headwater_retries_total", "Attempts repeated in place.", ["stage", "error"])

# Dead letters by stage and reason. See `headwater parked list`: runbook dead-letters.
EVENTS_PARKED = Counter("headwater_events_parked_total", "Events parked.", ["stage", "error"])

# 1 while a stage waits past its retry budget: its lag grows, nothing is lost: runbook dependency-down.
STAGE_WAITING = Gauge("headwater_stage_waiting", "Stage is past its retry budget and waits.", ["stage"])

# Age of the oldest event in hand. Above the staleness budget: runbook stage-lag.
OLDEST_EVENT_SECONDS = Gauge("headwater_oldest_event_seconds", "Age of the oldest unsettled event in hand.", ["stage"])

# Bytes read ahead and not yet settled; at its limit the stage stops fetching, which is right during a backlog.
BUFFERED_BYTES = Gauge("headwater_buffered_bytes", "Bytes delivered and not settled.", ["stage"])

# From observed_at until searchable by words, by meaning, or gone: the promise itself: runbook freshness.
FRESHNESS_SECONDS = Histogram(
    "headwater_freshness_seconds", "Observed until searchable or gone.", ["store", "lane"], buckets=SECONDS
)

# The same way leg by leg, once a revision is everywhere. The leg whose p95 grew names the stage: runbook freshness.
FRESHNESS_LEG_SECONDS = Histogram(
    "headwater_freshness_leg_seconds", "Live revisions from moment to moment.", ["leg"], buckets=SECONDS
)

# Live edits judged against the objectives of HEADWATER_FRESHNESS__*, as the stages stamped them (`documents`) and as a
# caller sees them (`canary`). More than one in twenty `late` breaks the promise: runbook freshness-objectives.
FRESHNESS_JUDGED = Counter(
    "headwater_freshness_judged_total", "Live edits by objective and verdict.", ["objective", "view", "verdict"]
)

# Steps of the canary that passed. Compare with the freshness of documents: what is slow here alone is the API or the
# gate: runbook freshness-objectives.
CANARY_STEP_SECONDS = Histogram(
    "headwater_canary_step_seconds", "Request until seen, by step of the canary.", ["step"], buckets=SECONDS
)

# Steps that were refused or not seen before the deadline. On one partition: its stage is stuck; on all: runbook canary.
CANARY_FAILURES = Counter("headwater_canary_failures_total", "Steps of the canary that failed.", ["step", "partition"])

# Vectors computed and reused. Reuse near zero after small edits: the cache is away or the chunker changed.
VECTORS = Counter("headwater_vectors_total", "Vectors by origin.", ["origin"])

# Caches that could not be reached. Slower, never wrong: runbook dependency-down.
CACHE_ERRORS = Counter("headwater_cache_errors_total", "Cache calls that failed.", ["operation"])

# Look-ups by result, to judge what a cache is worth.
CACHE_LOOKUPS = Counter("headwater_cache_lookups_total", "Cache look-ups.", ["cache", "result"])

# Rows judged by the gate. A steady share of `forbidden` or `outdated` is normal; a jump means that a store lags:
# runbook gate-refusals.
GATE_VERDICTS = Counter("headwater_gate_verdicts_total", "Rows judged by the gate.", ["verdict"])

# How far this replica is behind the log. Above the budget it answers 503: runbook stale-replica.
HEADS_STALENESS_SECONDS = Gauge("headwater_heads_staleness_seconds", "Age of the replica's as_of.")

# Queries by endpoint. `degraded` and `failed` above zero mean that a dependency is away or this replica is behind:
# runbook dependency-down. `refused` steadily: somebody asks for what there is not. `broken_off`: the caller hung up.
QUERIES = Counter("headwater_queries_total", "Queries by how they ended.", ["kind", "outcome"])

# Time of a query inside the API. Compare with the legs' own timings in the response's meta: runbook slow-queries.
QUERY_SECONDS = Histogram("headwater_query_seconds", "Time to answer a query.", ["kind"], buckets=SECONDS)

# Query events that the log did not take. Analytics is short of these, answers are not: runbook dependency-down.
QUERY_EVENTS_LOST = Counter("headwater_query_events_lost_total", "Query events that the log did not take.")

# Refused attempts that the log did not take: the audit trail has a gap, the refusals hold: runbook dependency-down.
AUDIT_EVENTS_LOST = Counter("headwater_audit_events_lost_total", "Refusals that the audit trail lacks.")

# Items that connectors brought into the log or could not read. `failed`: see the report: runbook sync-failed.
SYNC_ITEMS = Counter("headwater_sync_items_total", "Items of sources by outcome.", ["outcome"])

# Passes over sources by how they ended. `unauthorised`, `source_gone`, `source_refused` need a person: runbook
# sync-failed. `suspended` is no failure: a worker was stopped, or a source's rate limit is used up for now.
SYNCS_ENDED = Counter("headwater_syncs_ended_total", "Passes over sources.", ["ending"])

# Webhooks by what became of them. `refused` steadily: a secret differs here and there, or somebody knocks who should
# not. `unreadable`: the sender's form changed; the next incremental sync makes it good. `unavailable`: the log is away.
# See runbook sync-failed.
WEBHOOK_DELIVERIES = Counter("headwater_webhook_deliveries_total", "Deliveries of webhooks by outcome.", ["outcome"])

# Decisions of admission. `quarantined`: deletions wait, past a source's budget or because its listing showed
# suspiciously little; look at the source before approving them. `refused` with `stale` now and then is normal, steadily
# it is a source with two writers: runbook admission.
ADMISSION_DECISIONS = Counter("headwater_admission_decisions_total", "Submissions by decision.", ["outcome", "reason"])

# Transactions undone. A few at each rebalance; steadily: two workers share a slot, or the broker is too slow. See
# runbook admission.
ADMISSION_ABORTS = Counter("headwater_admission_aborts_total", "Admission transactions undone.")

# Submissions that retention took before admission had read them, since it started (at most so many). Above zero: what
# they said is not in the log, sources must be synced in full: runbook admission.
SUBMISSIONS_EXPIRED = Counter("headwater_submissions_expired_total", "Submissions removed unread.")

# When that was last found, as Unix time; 0: not since this process started. Within a day of now it pages: a count that
# is there at the first scrape has not increased for whoever scrapes.
SUBMISSIONS_EXPIRED_AT = Gauge(
    "headwater_submissions_expired_timestamp_seconds", "When submissions were last found removed unread."
)

# 1 while backfill waits for the stages. Normal during a first sync; for hours without lag: runbook admission.
BACKFILL_PAUSED = Gauge("headwater_backfill_paused", "Backfill waits until fewer bytes are in flight.")

# Rows that a newer revision made superfluous. Flat while documents change: the sweeper stands still. See
# runbook gate-refusals.
ROWS_REMOVED = Counter("headwater_rows_removed_total", "Superfluous rows removed.", ["store"])

# Since a pass last found the stores equal to the log, or since the auditor began. It grows while something differs, and
# when no pass ends: runbook consistency.
CONSISTENCY_CLEAN_AGE_SECONDS = Gauge("headwater_consistency_clean_age_seconds", "Age of the last clean pass.")

# Documents about which a store differed from the log in the last pass. Above zero for two passes: runbook consistency.
CONSISTENCY_DIFFERENCES = Gauge(
    "headwater_consistency_differences", "Documents that differ, of the last pass.", ["store", "difference"]
)

# Repairs, in documents. `refused`: more than a limit allows, look before raising it: runbook consistency.
CONSISTENCY_REPAIRED = Counter("headwater_consistency_repaired_total", "Documents repaired.", ["repair"])

# How long the last pass took. Near the interval: raise it, or HEADWATER_AUDIT__SHARE: runbook consistency.
CONSISTENCY_PASS_SECONDS = Gauge("headwater_consistency_pass_seconds", "Duration of the last pass.")

# Parser processes by why they ended. `recycled` is ordinary. The others are one hostile or broken document each; many
# in a row without a new source are limits set too low for this corpus: runbook parser-processes.
PARSER_PROCESSES_ENDED = Counter("headwater_parser_processes_ended_total", "Parser processes ended.", ["reason"])

# Calls to sources by how they ended. `limited` is ordinary; steadily: lower `requests_per_s` of the source. `fatal` and
# `poison` name host and remedy in the sync's report: runbook sync-failed.
EGRESS_REQUESTS = Counter("headwater_egress_requests_total", "Calls to sources.", ["outcome"])

# Requests that wait because a source said so. For hours: the source's quota is too small for it: runbook sync-failed.
EGRESS_WAITING = Gauge("headwater_egress_waiting", "Requests that wait for a source's rate limit.")

# Time spent so. Near the duration of the passes: ask the source's owner for a larger quota: runbook sync-failed.
EGRESS_WAITED_SECONDS = Counter("headwater_egress_waited_seconds_total", "Time waited for rate limits of sources.")
