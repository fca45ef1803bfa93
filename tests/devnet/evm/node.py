"""A synchronous JSON-RPC client over one kept-alive loopback connection."""

import json
import socket
from collections.abc import Sequence
from typing import Any, Self, TypeAlias
from urllib.parse import urlsplit

Request: TypeAlias = tuple[str, Sequence[Any]]

BATCH_LIMIT = 500


class RpcError(Exception):
    """What the node answered instead of a result."""

    def __init__(self, method: str, error: dict[str, Any]) -> None:
        super().__init__(f"{method}: {error.get('message')} ({error.get('code')})")
        self.method = method
        self.error = error


class Node:
    """One node, asked from one thread."""

    def __init__(self, url: str, *, timeout_seconds: float = 60) -> None:
        parts = urlsplit(url)
        self.url = url
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout_seconds)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = self._socket.makefile("rb")
        self._head = f"POST / HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n".encode()

    def close(self) -> None:
        """Drop the connection."""
        self._answers.close()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def call(self, method: str, *params: Any) -> Any:
        """The result of one request. Raises RpcError."""
        return self._ask((method, params))

    def batch(self, requests: Sequence[Request]) -> list[Any]:
        """The results in the order of the requests. Raises RpcError at the first failure."""
        answers = self.try_batch(requests)
        return [unwrap(method, answer) for (method, _), answer in zip(requests, answers, strict=True)]

    def try_batch(self, requests: Sequence[Request]) -> list[dict[str, Any]]:
        """Each answer with either `result` or `error`, in the order of the requests."""
        answers: list[dict[str, Any]] = []
        for first in range(0, len(requests), BATCH_LIMIT):
            part = requests[first : first + BATCH_LIMIT]
            replies = self._post([envelope(index, request) for index, request in enumerate(part)])
            answers += sorted(replies, key=lambda reply: int(reply["id"]))
        return answers

    def eth_call(self, to: str, calldata: str, block: int | str = "latest") -> str:
        """What a view answers at a block, as hex. Raises RpcError when it reverts."""
        return str(self._ask(eth_call_request(to, calldata, block)))

    def header(self, block: int | str = "latest") -> dict[str, Any]:
        """A block without its transactions' bodies."""
        found = self._ask(header_request(block))
        if found is None:
            raise LookupError(f"no block {block}")
        return dict(found)

    def height(self) -> int:
        """The number of the newest block."""
        return int(self.call("eth_blockNumber"), 16)

    def _ask(self, request: Request) -> Any:
        return unwrap(request[0], self._post(envelope(0, request)))

    def _post(self, body: Any) -> Any:
        # The tests of one file make ten thousand small requests, for each of which `http.client` takes five times as long.
        asked = json.dumps(body).encode()
        self._socket.sendall(b"%bContent-Length: %d\r\n\r\n%b" % (self._head, len(asked), asked))
        length = 0
        while (line := self._answers.readline()) != b"\r\n":
            if not line:
                raise ConnectionError(f"{self.url} has ended the connection")
            name, _, said = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(said)
        return json.loads(self._answers.read(length))


def tag(block: int | str) -> str:
    """A block number as the wire wants it; words such as `latest` stay."""
    return hex(block) if isinstance(block, int) else block


def envelope(index: int, request: Request) -> dict[str, Any]:
    """One request in JSON-RPC dress."""
    method, params = request
    return {"jsonrpc": "2.0", "id": index, "method": method, "params": list(params)}


def header_request(block: int | str) -> Request:
    """The method and parameters that ask for a block without its transactions' bodies."""
    return "eth_getBlockByNumber", (tag(block), False)


def eth_call_request(to: str, calldata: str, block: int | str) -> Request:
    """The method and parameters of a pinned view call."""
    return "eth_call", ({"to": to, "data": calldata}, tag(block))


def unwrap(method: str, answer: dict[str, Any]) -> Any:
    """The result, or RpcError."""
    if "error" in answer:
        raise RpcError(method, answer["error"])
    return answer["result"]
