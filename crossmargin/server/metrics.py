"""What Prometheus reads; no label ever holds an account's address."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from chains.completeness import rank
from chains.errors import ChainError
from chains.ports import Head
from crossmargin.documents import Document
from crossmargin.server.book_metrics import BookMetrics
from crossmargin.server.node_metrics import NodeMetrics
from crossmargin.server.parity_metrics import ParityMetrics
from crossmargin.server.stream_metrics import StreamMetrics
from crossmargin.server.webhook_metrics import WebhookMetrics
from indexer.loop import Progress

CHAIN = ("chain",)
INTEREST = ("chain", "interest")
REORG_DEPTHS = (1, 2, 3, 5, 8, 13, 21, 34, 64, 128)
COMMIT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
UNKNOWN_LEVEL = -1
"""The rank of what chains of another family say of themselves: it is on no scale."""

COMMIT = "store"
"""The stage in which a batch is committed."""

REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """A listener that counts; `render` adds what documents say at that moment."""

    def __init__(self, chains: Iterable[str]) -> None:
        self.registry = CollectorRegistry()
        self.head = self._gauge("crossmargin_head_block", "Newest block that the nodes know.", CHAIN)
        self.indexed = self._gauge("crossmargin_indexed_block", "Last block in the store.", CHAIN)
        self.finalized = self._gauge("crossmargin_finalized_block", "Last final block in the store.", CHAIN)
        self.lag = self._gauge("crossmargin_lag_seconds", "Age of the last block in the store.", CHAIN)
        self.lag_blocks = self._gauge("crossmargin_lag_blocks", "Blocks of the nodes that are not in the store.", CHAIN)
        self.evidence = self._gauge(
            "crossmargin_evidence_level",
            "Weakest evidence that no log of a final block is missing: 0 fetched, 1 bloom, 2 totals, 3 agreed, 4 proven.",
            INTEREST,
        )
        self.unproven = self._gauge(
            "crossmargin_unproven_blocks", "Final blocks with less evidence than is asked for.", INTEREST
        )
        self.findings = self._gauge(
            "crossmargin_findings", "Places where stored final blocks and the chain differ.", INTEREST
        )
        self.parity = ParityMetrics(self.registry)
        self.book = BookMetrics(self.registry)
        self.streams = StreamMetrics(self.registry)
        self.webhooks = WebhookMetrics(self.registry)
        self.feed_age = self._gauge(
            "crossmargin_feed_age_seconds",
            "Age of a feed's answer at its chain's last stored block.",
            ("feed",),
        )
        self.snapshot: Gauge | None = None
        self.reorgs = self._counter("crossmargin_reorgs_total", "Rewinds of a chain.", CHAIN)
        self.errors = self._counter(
            "crossmargin_node_errors_total", "Failed attempts to ask a chain's nodes.", ("chain", "kind")
        )
        self.breaks = self._counter(
            "crossmargin_follower_breaks_total", "Faults of this program after which a chain was taken up again.", CHAIN
        )
        self.nodes = NodeMetrics(self.registry, self.errors)
        self.blocks = self._counter("crossmargin_blocks_total", "Blocks taken in.", CHAIN)
        self.records = self._counter("crossmargin_records_total", "Logs or transactions taken in.", CHAIN)
        self.rows = self._counter("crossmargin_rows_total", "Rows derived and stored.", CHAIN)
        self.stages = self._counter(
            "crossmargin_stage_seconds_total", "Time in each stage of taking in.", ("chain", "stage")
        )
        self.depth = self._histogram("crossmargin_reorg_depth", "Blocks per rewind.", CHAIN, REORG_DEPTHS)
        self.commits = self._histogram(
            "crossmargin_commit_seconds", "Duration of a batch's transaction.", CHAIN, COMMIT_SECONDS
        )
        self.requests = self._histogram(
            "crossmargin_http_request_seconds", "Duration of requests.", ("route", "method", "status"), REQUEST_SECONDS
        )
        for chain_id in chains:
            for counted in (self.reorgs, self.breaks, self.blocks, self.records, self.rows, self.depth, self.commits):
                counted.labels(chain_id)

    def broke(self, chain_id: str) -> None:
        """Count a fault that nobody foresaw."""
        self.breaks.labels(chain_id).inc()

    def appended(self, progress: Progress) -> None:
        chain_id = progress.chain_id
        self.blocks.labels(chain_id).inc(progress.indexed - progress.first + 1)
        self.records.labels(chain_id).inc(progress.records)
        self.rows.labels(chain_id).inc(progress.rows)
        for stage, seconds in progress.seconds.items():
            self.stages.labels(chain_id, stage).inc(max(seconds, 0.0))
        if COMMIT in progress.seconds:
            self.commits.labels(chain_id).observe(progress.seconds[COMMIT])

    def rewound(self, chain_id: str, depth: int, to: int) -> None:
        del to
        self.reorgs.labels(chain_id).inc()
        self.depth.labels(chain_id).observe(depth)

    def polled(self, chain_id: str, head: Head) -> None:
        self.head.labels(chain_id).set(head.latest.number)

    def failed(self, chain_id: str, error: ChainError, retry_in: float) -> None:
        """Every single fault has been counted by then."""

    def render(self, status: Document, prices: Document) -> bytes:
        """Write the exposition format."""
        for chain in status["chains"]:
            self._observe_chain(chain)
        for feed in (feed for price in prices["prices"] for feed in price["feeds"]):
            if feed["age_s"] is not None:
                self.feed_age.labels(f"{feed['chain']}/{feed['feed']}").set(feed["age_s"])
        if status["last_snapshot_at"] is not None:
            self._snapshot_gauge().set(status["last_snapshot_at"])
        return generate_latest(self.registry)

    def _snapshot_gauge(self) -> Gauge:
        """Absent until there is one: a gauge at 0 would be a snapshot of 1970."""
        if self.snapshot is None:
            name = "crossmargin_snapshot_last_success_timestamp_seconds"
            self.snapshot = self._gauge(name, "When the last snapshot was finished.", ())
        return self.snapshot

    def _observe_chain(self, chain: Document) -> None:
        indexed = chain["indexed"]
        if indexed is None:
            return
        self.indexed.labels(chain["chain"]).set(indexed["block"])
        self.lag.labels(chain["chain"]).set(chain["lag_seconds"])
        if chain["lag_blocks"] is not None:
            self.lag_blocks.labels(chain["chain"]).set(chain["lag_blocks"])
        if chain["finalized_block"] is not None:
            self.finalized.labels(chain["chain"]).set(chain["finalized_block"])
        for interest in chain["coverage"]:
            self._observe_coverage(chain["chain"], interest)
        for venue in chain["audited"]:
            self.parity.observe(chain["chain"], venue)

    def _observe_coverage(self, chain_id: str, interest: Document) -> None:
        about = (chain_id, interest["interest"])
        level = rank(interest["weakest"]) if interest["weakest"] is not None else UNKNOWN_LEVEL
        if level != UNKNOWN_LEVEL:
            self.evidence.labels(*about).set(level)
        self.unproven.labels(*about).set(interest["unproven_blocks"])
        self.findings.labels(*about).set(len(interest["findings"]))

    def _gauge(self, name: str, text: str, labels: tuple[str, ...]) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)
