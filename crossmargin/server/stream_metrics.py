"""What subscribers are told, and how many there are."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class StreamMetrics:
    """Counted by the event loop."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.events = Counter("crossmargin_events_total", "Events told to subscribers.", ("kind",), registry=registry)
        self.open = Gauge("crossmargin_streams", "Open streams and websockets.", ("transport",), registry=registry)
        self.dropped = Counter(
            "crossmargin_streams_dropped_total", "Streams that were closed because nobody read on.", registry=registry
        )
