"""How webhooks fare."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class WebhookMetrics:
    """Counted by the courier; no label ever holds an address."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.webhooks = Gauge("crossmargin_webhooks", "Webhooks by state.", ("state",), registry=registry)
        self.deliveries = Counter(
            "crossmargin_webhook_deliveries_total",
            "Attempts to deliver events: delivered, retried, failed for good, or lost.",
            ("outcome",),
            registry=registry,
        )
