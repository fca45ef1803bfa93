"""How many blocks one request for logs spans: as many as the node takes, and as hold as many logs as fit into memory."""

from __future__ import annotations

from chains.rpc.limit import GROW, PATIENCE, Limit

START = 100
MOST = 100_000
TARGET_LOGS = 10_000

WITHIN = 10
"""A node that minds how many logs one answer holds is asked for a tenth less."""

SUDDEN = 4
"""Where logs turn up at once, their limit at a node is not judged by the few that came before: a refusal counts from a quarter on."""

SHRINK = 4
"""An answer within the target narrows the next request to a quarter at most."""


class _Reach:
    """What one node takes: so many blocks, and so many logs."""

    __slots__ = ("blocks", "logs")

    def __init__(self, start: int, most: int, target: int, patience: int) -> None:
        self.blocks = Limit(start=start, most=most, patience=patience)
        self.logs = Limit(start=target, most=target, patience=patience)


class Ranges:
    """The width, in blocks, of requests for logs of one kind to the nodes of one chain.

    It begins at `start` and doubles, up to `most`, as long as answers hold less than `target` logs and the node refuses nothing; each
    node's limits are remembered (see `Limit`), and the node that answered last decides, since it will probably be asked next.
    """

    def __init__(
        self, *, start: int = START, most: int = MOST, target: int = TARGET_LOGS, patience: int = PATIENCE
    ) -> None:
        self._start = start
        self._most = most
        self._target = target
        self._patience = patience
        self._nodes: dict[str, _Reach] = {}
        self._node = ""
        self._fitting = start
        self._density = 0.0

    def width(self) -> int:
        """Return how many blocks to ask for next."""
        return max(1, min(self._fitting, self._reach(self._node).blocks.value))

    def unfit(self, width: int) -> frozenset[str]:
        """Return the nodes that are known to refuse so many blocks."""
        return frozenset(node for node, reach in self._nodes.items() if reach.blocks.refuses(width))

    def taken(self, width: int, node: str) -> None:
        """Note that a node answered for so many blocks."""
        self._node = node
        self._reach(node).blocks.succeeded(width)

    def succeeded(self, width: int, logs: int, node: str | None = None) -> None:
        """Note how many logs so many blocks held, all requests for them together; `node`: who answered, if it is not noted yet."""
        if node is not None:
            self.taken(width, node)
        reach = self._reach(self._node)
        self._density = logs / width
        if logs:
            reach.logs.succeeded(logs)
        self._fitting = max(1, min(self._fit(width, logs, self._wanted(reach)), self._most))

    def _wanted(self, reach: _Reach) -> int:
        """Return how many logs an answer of a node should hold."""
        most = reach.logs.value
        return most if most == self._target else max(1, most - most // WITHIN)

    def _fit(self, width: int, logs: int, target: int) -> int:
        """Return how many blocks hold as many logs as are wanted; a narrow request says nothing of a wider one but that it is too wide."""
        holding = width * target // logs if logs else self._most
        if logs <= target:
            holding = max(holding, self._fitting // SHRINK)
        telling = GROW * width >= self._fitting
        return min(holding, GROW * self._fitting if telling else self._fitting)

    def refused(
        self,
        width: int,
        limit: int | None = None,
        *,
        results: int | None = None,
        lasting: bool = False,
        node: str | None = None,
    ) -> None:
        """Note that a node refused so many blocks, with what it said of its limits: see `RangeTooWide`.

        Without `node` it is noted already what that one minds, and only to be asked for less.
        """
        self._node = self._node if node is None else node
        narrower = limit if limit is not None and 0 < limit < width else width // 2
        if lasting:
            self._reach(self._node).blocks.refused(width, limit)
            return
        self._fitting = max(1, min(self._fitting, narrower))
        if node is not None:
            self._refuse_logs(self._reach(node).logs, round(self._density * width), results)

    def _refuse_logs(self, most: Limit, held: int, results: int | None) -> None:
        if results is not None:
            most.refused(max(held, results + 1), results)
        elif held * SUDDEN >= self._target:
            most.refused(held)

    def _reach(self, node: str) -> _Reach:
        if node not in self._nodes:
            self._nodes[node] = _Reach(self._start, self._most, self._target, self._patience)
        return self._nodes[node]
