"""What passed between a chain and its nodes, for Prometheus; a node's label is its number and host, which hold no key."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from chains.errors import ChainError
from chains.ports import Exchange

RPC_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
STATES = ("in_use", "set_aside", "on_trial")


class NodeMetrics:
    """Counters of all chains' exchanges."""

    def __init__(self, registry: CollectorRegistry, errors: Counter) -> None:
        self.errors = errors
        self.requests = Counter(
            "crossmargin_rpc_requests_total",
            "Calls to nodes, each of a batch counted; outcome: answered, refused, or the kind of error.",
            ("chain", "method", "outcome"),
            registry=registry,
        )
        self.received = Counter(
            "crossmargin_rpc_received_bytes_total", "Bodies of answers, as they came.", ("chain",), registry=registry
        )
        self.seconds = Histogram(
            "crossmargin_rpc_seconds",
            "Duration of exchanges with nodes, a batch being one.",
            ("chain", "method"),
            buckets=RPC_SECONDS,
            registry=registry,
        )
        self.states = Gauge(
            "crossmargin_node_state",
            "1 for what a node is: in use, set aside, or on trial.",
            ("chain", "node", "state"),
            registry=registry,
        )

    def of(self, chain_id: str) -> NodeCounts:
        """Return the observer of one chain's nodes."""
        return NodeCounts(self, chain_id)


class NodeCounts:
    """An observer that counts."""

    def __init__(self, metrics: NodeMetrics, chain_id: str) -> None:
        self._metrics = metrics
        self._chain_id = chain_id
        self._known: set[str] = set()

    def exchanged(self, exchange: Exchange) -> None:
        """Count calls, bytes and time."""
        chain_id, metrics = self._chain_id, self._metrics
        metrics.requests.labels(chain_id, exchange.method, exchange.outcome).inc(exchange.requests)
        metrics.received.labels(chain_id).inc(exchange.received)
        metrics.seconds.labels(chain_id, exchange.method).observe(exchange.seconds)
        if exchange.node not in self._known:
            self.turned(exchange.node, STATES[0])

    def failed(self, node: str, error: ChainError) -> None:
        """Count one fault, also one that a retry mended."""
        del node
        self._metrics.errors.labels(self._chain_id, type(error).__name__).inc()

    def turned(self, node: str, state: str) -> None:
        """Show what a node is now."""
        self._known.add(node)
        for each in STATES:
            self._metrics.states.labels(self._chain_id, node, each).set(each == state)
