"""What Prometheus reads of the self-audit."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge

from aggregator.margin.floor import Gravity
from crossmargin.documents import Document

VENUE = ("chain", "venue")


class ParityMetrics:
    """Gauges of the newest check of every view, by venue; a venue that was never compared has none."""

    def __init__(self, registry: CollectorRegistry) -> None:
        about = (*VENUE, "outcome")
        views = "Views of the venue's own contracts by what their newest check came to."
        totals = "Totals of the venue's own contracts by what the newest look at each came to."
        holdings = "Tokens that the venue holds for others, by whether they cover what is claimed."
        self.counts = {
            "views": Gauge("crossmargin_parity_views", views, about, registry=registry),
            "totals": Gauge("crossmargin_venue_totals", totals, about, registry=registry),
            "holdings": Gauge("crossmargin_venue_holdings", holdings, about, registry=registry),
        }
        self.shortfalls = Gauge(
            "crossmargin_venue_shortfalls",
            "Tokens of which the venue has less than is claimed, by how grave that is under the policy's floors.",
            (*VENUE, "gravity"),
            registry=registry,
        )
        self.ratio = Gauge(
            "crossmargin_parity_ratio",
            "Share of the compared views that are equal; 1 is all.",
            VENUE,
            registry=registry,
        )
        self.last_run = Gauge(
            "crossmargin_parity_last_run_timestamp_seconds",
            "When the self-audit last compared the venue.",
            VENUE,
            registry=registry,
        )

    def observe(self, chain_id: str, venue: Document) -> None:
        """Take over what the status says of a venue."""
        about = (chain_id, venue["venue"])
        for kind, gauge in self.counts.items():
            for outcome, found in venue[kind].items():
                gauge.labels(*about, outcome).set(found)
        if venue["parity"] is not None:
            self.ratio.labels(*about).set(float(venue["parity"]))
        graves = Counter(missing["gravity"] for missing in venue["shortfalls"])
        for gravity in Gravity:
            self.shortfalls.labels(*about, gravity.value).set(graves[gravity.value])
        if venue["last"] is not None:
            self.last_run.labels(*about).set(datetime.fromisoformat(venue["last"]["checked_at"]).timestamp())
