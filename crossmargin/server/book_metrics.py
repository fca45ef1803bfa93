"""How many accounts are in which status, and as of which blocks."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge

from aggregator.live import Version


class BookMetrics:
    """Gauges of the newest version of the book in memory; absent until there is one."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.accounts = Gauge(
            "crossmargin_accounts", "Accounts of the book in memory by status.", ("status",), registry=registry
        )
        self.blocks = Gauge(
            "crossmargin_book_block", "Block that the book in memory is as of.", ("chain",), registry=registry
        )

    def observe(self, version: Version) -> None:
        """Show a version."""
        for status, count in version.statuses.items():
            self.accounts.labels(status.value).set(count)
        for chain_id, cut in version.cuts.items():
            self.blocks.labels(chain_id).set(cut.block.number)
