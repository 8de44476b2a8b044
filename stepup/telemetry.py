"""Metrics: every one by its name, and how they are read.

With several worker processes each keeps its figures in files under `PROMETHEUS_MULTIPROC_DIR`,
which `stepup serve` sets before it starts them; any worker then answers `/metrics` for all.
"""

from collections.abc import Iterator
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

REGISTRY = CollectorRegistry()
"""Our metrics, all of them and nothing else."""

METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# From a check that takes a tenth of a millisecond to a call that has timed out.
_REQUEST_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
# An announcement takes milliseconds, a lost one a second, and two seconds are promised.
_ACTIVATION_BUCKETS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
# People: a touch takes two seconds, finding the phone a minute, the time limit is five.
_PEOPLE_BUCKETS = (1, 2, 3, 5, 8, 13, 21, 34, 60, 120, 300, 600)


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(f"stepup_{name}", text, labels, registry=REGISTRY)


http_requests_total = _counter(
    "http_requests_total",
    "Requests answered, by route, method and status.",
    "route",
    "method",
    "code",
)
http_request_duration_seconds = Histogram(
    "stepup_http_request_duration_seconds",
    "Time from the first byte of a request to the last of its response.",
    ["route"],
    buckets=_REQUEST_BUCKETS,
    registry=REGISTRY,
)
decisions_total = _counter(
    "decisions_total",
    "Decisions, by action and outcome: allow, step_up or deny.",
    "action",
    "outcome",
)
shadow_decisions_total = _counter(
    "shadow_decisions_total",
    "Decisions that a shadow policy was asked about after the answer, by action and difference: "
    "`same`, `failed`, `raised`, `allow_to_step_up` and the like.",
    "action",
    "difference",
)
shadow_dropped_total = _counter(
    "shadow_dropped_total",
    "Decisions that a shadow policy was not asked about because too many waited.",
)
decision_errors_total = _counter(
    "decision_errors_total",
    "Conditions that failed to evaluate; each demanded the strongest requirement.",
    "action",
)
decision_records_total = _counter(
    "decision_records_total",
    "Decisions that were recorded, by outcome: all step-ups and denials, of allowances a sample.",
    "outcome",
)
decision_records_dropped_total = _counter(
    "decision_records_dropped_total",
    "Records of decisions that were lost, by reason: held_too_long (Redis was away), stream_full "
    "(PostgreSQL was away) or unwritable.",
    "reason",
)
decision_backlog_entries = Gauge(
    "stepup_decision_backlog_entries",
    "Recorded decisions that wait to be written to PostgreSQL.",
    multiprocess_mode="livemostrecent",
    registry=REGISTRY,
)
decision_backlog_oldest_age_seconds = Gauge(
    "stepup_decision_backlog_oldest_age_seconds",
    "How long the oldest recorded decision has waited to be written to PostgreSQL.",
    multiprocess_mode="livemostrecent",
    registry=REGISTRY,
)
decisions_reported_total = _counter(
    "decisions_reported_total",
    "What decisions would have been if everything that is only reported were enforced.",
    "action",
    "outcome",
)
decisions_degraded_total = _counter(
    "decisions_degraded_total",
    "Decisions while a dependency was away, by what the policy wants then: serve or raise.",
    "action",
    "answer",
)
decisions_by_fallback_total = _counter(
    "decisions_by_fallback_total",
    "Decisions that accepted a fallback in place of the level that is asked for.",
    "action",
)
challenges_total = _counter(
    "challenges_total",
    "Challenges, by method and outcome: opened, verified, failed or cancelled.",
    "method",
    "outcome",
)
challenge_seconds = Histogram(
    "stepup_challenge_seconds",
    "Time a subject takes from the opening of a challenge until it is verified.",
    buckets=_PEOPLE_BUCKETS,
    registry=REGISTRY,
)
tokens_minted_total = _counter(
    "tokens_minted_total", "Elevated tokens signed, by key and level.", "kid", "acr"
)
redemptions_total = _counter(
    "redemptions_total",
    "Redemptions of codes, by outcome: granted, repeated, replayed, refused or unknown.",
    "outcome",
)
refreshes_total = _counter(
    "refreshes_total",
    "Uses of refresh tokens, by outcome: granted, repeated, replayed, refused or unknown.",
    "outcome",
)
redemption_unfenced_total = _counter(
    "redemption_unfenced_total",
    "Redemptions and consumptions without a row in PostgreSQL before they were granted; the row "
    "is written later.",
)
redemption_conflicts_total = _counter(
    "redemption_conflicts_total",
    "Redemptions and consumptions that PostgreSQL knows to be another attempt's: Redis has lost "
    "what was spent.",
)
policy_version = Gauge(
    "stepup_policy_version",
    "Version of the active policy; with several workers the oldest that one of them uses.",
    multiprocess_mode="livemin",
    registry=REGISTRY,
)
policy_activation_seconds = Histogram(
    "stepup_policy_activation_seconds",
    "Time from a version's activation until a worker decides by it; 2 s are promised.",
    buckets=_ACTIVATION_BUCKETS,
    registry=REGISTRY,
)
signing_key_state = Gauge(
    "stepup_signing_key_state",
    "1 for the state that a signing key is in, 0 for every other one.",
    ["kid", "use", "algorithm", "region", "state"],
    multiprocess_mode="livemostrecent",
    registry=REGISTRY,
)
signing_key_age_seconds = Gauge(
    "stepup_signing_key_age_seconds",
    "How long the active signing key of a ring has signed.",
    ["use", "algorithm", "region"],
    multiprocess_mode="livemostrecent",
    registry=REGISTRY,
)
jwks_unknown_kid_total = _counter(
    "jwks_unknown_kid_total",
    "Tokens that were asked about and name a key we do not publish: forged ones, or ours too late.",
)
revocation_feed_lag_seconds = Gauge(
    "stepup_revocation_feed_lag_seconds",
    "How long ago everything revoked was known; past 5 s critical answers are refused.",
    ["region"],
    multiprocess_mode="livemax",
    registry=REGISTRY,
)
revocation_entries = Gauge(
    "stepup_revocation_entries",
    "Revocations in memory, until nothing that they end can be alive.",
    multiprocess_mode="livemax",
    registry=REGISTRY,
)
revocation_propagation_seconds = Histogram(
    "stepup_revocation_propagation_seconds",
    "Time from a revocation until a worker hears of it through the feed.",
    buckets=_REQUEST_BUCKETS,
    registry=REGISTRY,
)
cache_age_seconds = Gauge(
    "stepup_cache_age_seconds",
    "Time since PostgreSQL confirmed what serves from memory, by kind; of several workers the "
    "oldest.",
    ["kind"],
    multiprocess_mode="livemax",
    registry=REGISTRY,
)
cache_served_stale_total = _counter(
    "cache_served_stale_total",
    "Times something was served from a copy because PostgreSQL was away, by kind: configuration "
    "(answers) or authenticators (challenges).",
    "kind",
)
outbox_entries = Gauge(
    "stepup_outbox_entries",
    "Rows that wait to be written to PostgreSQL.",
    multiprocess_mode="livemostrecent",
    registry=REGISTRY,
)
outbox_oldest_age_seconds = Gauge(
    "stepup_outbox_oldest_age_seconds",
    "How long the oldest row has waited to be written to PostgreSQL; 0 when none waits.",
    multiprocess_mode="livemostrecent",
    registry=REGISTRY,
)
retry_budget_ratio = Gauge(
    "stepup_retry_budget_ratio",
    "What is left of the budget for repeats: 1 is all of it, at 0 nothing is repeated.",
    ["dependency"],
    multiprocess_mode="livemin",
    registry=REGISTRY,
)
dependency_up = Gauge(
    "stepup_dependency_up",
    "1 when the dependency answered its last check, 0 when it did not.",
    ["name"],
    multiprocess_mode="livemin",
    registry=REGISTRY,
)
redis_wait_acks = Histogram(
    "stepup_redis_wait_acks",
    "Replicas that held a round of spends when its WAIT returned.",
    buckets=(0, 1, 2, 3),
    registry=REGISTRY,
)
redis_wait_timeouts_total = _counter(
    "redis_wait_timeouts_total",
    "Rounds of spends that too few replicas acknowledged in time; nobody was granted anything.",
)
redis_round_size = Histogram(
    "stepup_redis_round_size",
    "Spends in one round, acknowledged together.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
    registry=REGISTRY,
)
redis_round_duration_seconds = Histogram(
    "stepup_redis_round_duration_seconds",
    "Time from the writing of a round of spends to its last reply.",
    buckets=_REQUEST_BUCKETS,
    registry=REGISTRY,
)
redis_fence_checks_total = _counter(
    "redis_fence_checks_total",
    "Rounds of questions to the Sentinels after a spend, by result: ok, veto or no_majority.",
    "result",
)
redis_fence_duration_seconds = Histogram(
    "stepup_redis_fence_duration_seconds",
    "Time that one round of questions to the Sentinels took.",
    buckets=_REQUEST_BUCKETS,
    registry=REGISTRY,
)
redis_failovers_total = _counter(
    "redis_failovers_total", "Changes of the primary that a worker saw behind Sentinels."
)
redis_generation_resets_total = _counter(
    "redis_generation_resets_total",
    "Losses of all data of Redis that a worker noticed; what may have been used counts no more.",
)
redis_reply_mismatches_total = _counter(
    "redis_reply_mismatches_total",
    "Replies that belonged to another request; the connection was closed, nobody got them.",
)


signals_delivered_total = _counter(
    "signals_delivered_total",
    "Security events that a receiver has, by method: push or poll.",
    "method",
)
signals_set_aside_total = _counter(
    "signals_set_aside_total",
    "Security events that were set aside, by problem: refused (the receiver said so) or unbearable "
    "(it answered wrongly too often).",
    "problem",
)
signal_push_failures_total = _counter(
    "signal_push_failures_total",
    "Pushes of security events that will be tried again, by problem: answered (wrongly) or "
    "unreachable.",
    "problem",
)
signal_streams_paused_total = _counter(
    "signal_streams_paused_total",
    "Streams of security events that were paused because too much was set aside.",
)
signals_expired_total = _counter(
    "signals_expired_total",
    "Security events that were dropped because no receiver had fetched them within a week.",
)
signal_backlog_entries = Gauge(
    "stepup_signal_backlog_entries",
    "Security events that wait for their receivers.",
    multiprocess_mode="livemostrecent",
    registry=REGISTRY,
)
signal_backlog_oldest_age_seconds = Gauge(
    "stepup_signal_backlog_oldest_age_seconds",
    "How long the oldest security event has waited for its receiver.",
    multiprocess_mode="livemostrecent",
    registry=REGISTRY,
)
signals_aside_entries = Gauge(
    "stepup_signals_aside_entries",
    "Security events that were set aside, and wait for an operator.",
    multiprocess_mode="livemostrecent",
    registry=REGISTRY,
)


signals_received_total = _counter(
    "signals_received_total",
    "Security events that identity providers sent us, by type and outcome: effective, no_effect, "
    "nobody (it names no subject), or the error that it was refused with.",
    "type",
    "outcome",
)


class MetricText(NamedTuple):
    """What the documentation says about a metric."""

    name: str
    kind: str
    labels: tuple[str, ...]
    text: str


def describe_metrics() -> Iterator[MetricText]:
    """Describe every metric, in the order of their names."""
    every = (metric for metric in globals().values() if isinstance(metric, MetricWrapperBase))
    for metric in sorted(every, key=lambda metric: metric._name):  # noqa: SLF001  not public
        family = next(iter(metric.describe()))
        suffix = "_total" if family.type == "counter" else ""
        labels = tuple(metric._labelnames)  # noqa: SLF001  not public
        yield MetricText(f"{family.name}{suffix}", family.type, labels, family.documentation)


def render_metrics() -> bytes:
    """Return all figures in the Prometheus text format, of all workers when there are several."""
    registry = CollectorRegistry()
    try:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    except ValueError:  # not one of several workers
        registry = REGISTRY
    return generate_latest(registry)


def forget_worker(pid: int, folder: str) -> None:
    """Take a dead worker's gauges out of the figures; its counters stay."""
    mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]
