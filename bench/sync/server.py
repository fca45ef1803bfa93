"""A node that serves a generated chain over HTTP: `python -m bench.sync.server FOLDER` prints its address.

As lean as it can be, so that it is not what a benchmark measures: an answer to eth_getLogs is one slice of a file, sent by the
kernel. `bench_counts` tells what was asked and sent since the last `bench_reset`.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bench.sync.recorded import Recorded, block_hash, number_of, place_of_tx, time_of, tx_hash, unique

FINAL_DEPTH = 64
SAFE_DEPTH = 32
_FULL_BLOOM, _NO_BLOOM = "0x" + "ff" * 256, "0x" + "00" * 256
"""A full bloom excludes nothing, as those of busy blocks nearly do; a block without logs has an empty one."""
_NOBODY = "0x" + "00" * 20
_ZERO = "0x" + "00" * 32
_UNCLES = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"


class _Request(msgspec.Struct):
    method: str
    params: list[Any] = msgspec.field(default_factory=list)
    id: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"null"))


_ONE = msgspec.json.Decoder(_Request)
_MANY = msgspec.json.Decoder(list[_Request])


class Refusal(Exception):
    """An error answer: code, message and data."""

    def __init__(self, code: int, text: str, data: str | None = None) -> None:
        super().__init__(text)
        self.body = {"code": code, "message": text} | ({} if data is None else {"data": data})


class Slice:
    """Logs that stand side by side in the file: bytes `start`..`end`."""

    __slots__ = ("end", "start")

    def __init__(self, start: int, end: int) -> None:
        self.start, self.end = start, end


class Chain:
    """Answers of one chain."""

    def __init__(self, recorded: Recorded, *, most_logs: int | None = None) -> None:
        self.recorded = recorded
        self.most_logs = most_logs
        self.head = recorded.head
        self.meta = recorded.meta
        self.kinds = [tuple(kind) for kind in self.meta["kinds"]]
        self._wanted: dict[bytes, np.ndarray[Any, Any]] = {}
        self._receipts = lru_cache(maxsize=64)(self._made_receipts)
        self.methods: dict[str, Callable[..., Any]] = {
            "eth_chainId": lambda: hex(self.meta["chain_id"]),
            "net_version": lambda: str(self.meta["chain_id"]),
            "web3_clientVersion": lambda: "recorded/1",
            "eth_syncing": lambda: False,
            "eth_gasPrice": lambda: "0x3b9aca00",
            "eth_blockNumber": lambda: hex(self.head),
            "eth_getBlockByNumber": self.block_by_number,
            "eth_getBlockByHash": self.block_by_hash,
            "eth_getLogs": self.logs,
            "eth_call": self.call,
            "eth_getCode": self.code,
            "eth_getBlockReceipts": self.block_receipts,
            "eth_getTransactionReceipt": self.receipt,
        }

    def number(self, tag: Any) -> int:
        """Return the block that a tag, a number, a hash or an EIP-1898 object names; past the head for none."""
        if isinstance(tag, dict):
            tag = tag.get("blockHash") or tag.get("blockNumber")
        if tag in {"latest", "pending"}:
            return self.head
        if tag in {"safe", "finalized"}:
            return max(self.head - (SAFE_DEPTH if tag == "safe" else FINAL_DEPTH), 0)
        if tag == "earliest":
            return 0
        return number_of(bytes.fromhex(tag[2:])) if len(tag) == 66 else int(tag, 16)

    # Blocks

    def block_by_number(self, tag: str, full: bool = False) -> Any:  # noqa: FBT001, FBT002 - as the wire has it
        number = self.number(tag)
        return msgspec.Raw(self._block(number, full=full)) if number <= self.head else None

    def block_by_hash(self, hashed: str, full: bool = False) -> Any:  # noqa: FBT001, FBT002 - as the wire has it
        return self.block_by_number(hashed, full)

    def _block(self, number: int, *, full: bool) -> bytes:
        count = int(self.recorded.txs[number])
        hashes = [tx_hash(number, tx) for tx in range(count)]
        txs = ",".join(self._tx(number, tx, h) if full else f'"{h}"' for tx, h in enumerate(hashes))
        first = self.recorded.first_log
        bloom = _FULL_BLOOM if first[number + 1] > first[number] else _NO_BLOOM
        root = "0x" + unique(b"root", number).hex()
        return (
            f'{{"number":"{number:#x}","hash":"{block_hash(number)}","parentHash":"{block_hash(number - 1)}",'
            f'"timestamp":"{time_of(number):#x}","miner":"{_NOBODY}","difficulty":"0x0","totalDifficulty":"0x0",'
            f'"extraData":"0x","gasLimit":"0x2255100","gasUsed":"{21_000 * count:#x}","logsBloom":"{bloom}",'
            f'"mixHash":"{_ZERO}","nonce":"0x0000000000000000","receiptsRoot":"{root}","sha3Uncles":"{_UNCLES}",'
            f'"size":"0x400","stateRoot":"{root}","transactionsRoot":"{root}","baseFeePerGas":"0x7","uncles":[],'
            f'"transactions":[{txs}]}}'
        ).encode()

    @staticmethod
    def _tx(number: int, tx: int, hashed: str) -> str:
        return (
            f'{{"hash":"{hashed}","blockHash":"{block_hash(number)}","blockNumber":"{number:#x}","transactionIndex":"{tx:#x}",'
            f'"from":"{_NOBODY}","to":"{_NOBODY}","value":"0x0","gas":"0x5208","gasPrice":"0x7","maxFeePerGas":"0x7",'
            f'"maxPriorityFeePerGas":"0x0","input":"0x","nonce":"{number:#x}","type":"0x2","chainId":"0x1","v":"0x0",'
            f'"r":"0x1","s":"0x1","yParity":"0x0","accessList":[]}}'
        )

    # Logs

    def logs(self, query: dict[str, Any]) -> Any:
        first, last = self._span(query)
        if first > last:
            return []
        start, end = int(self.recorded.first_log[first]), int(self.recorded.first_log[last + 1])
        wanted = self._kinds_wanted(query)
        if not wanted.any():
            return []
        places = self._places(start, end, wanted)
        if self.most_logs is not None and (count := _count(places)) > self.most_logs:
            raise Refusal(-32005, f"query returned more than {self.most_logs} results ({count})")
        later = [_words(topic) for topic in query.get("topics", ())[1:]]
        if any(later):
            return [log for log in self._parsed(places) if _matches(log, later)]
        return self._slices(places)

    def _span(self, query: dict[str, Any]) -> tuple[int, int]:
        if hashed := query.get("blockHash"):
            return self.number(hashed), self.number(hashed)
        first, last = self.number(query.get("fromBlock", "latest")), self.number(query.get("toBlock", "latest"))
        return first, min(last, self.head)

    def _kinds_wanted(self, query: dict[str, Any]) -> np.ndarray[Any, Any]:
        """Tell for each kind of log whether address and first topic ask for it."""
        topics = query.get("topics") or []
        key = msgspec.json.encode([query.get("address"), topics[:1]])
        if key not in self._wanted:
            contracts = {a.lower() for a in _words(query.get("address"))}
            firsts = set(_words(topics[0])) if topics else set()
            self._wanted[key] = np.array(
                [
                    (not contracts or contract in contracts) and (not firsts or topic0 in firsts)
                    for contract, topic0 in self.kinds
                ]
            )
        return self._wanted[key]

    def _places(self, start: int, end: int, wanted: np.ndarray[Any, Any]) -> tuple[int, int] | np.ndarray[Any, Any]:
        """Return the span of logs where all are wanted, else the numbers of those that are."""
        if wanted.all():
            return start, end
        mask = wanted[self.recorded.kinds[start:end]]
        if mask.all():
            return start, end
        return start + np.flatnonzero(mask)

    def _slices(self, places: tuple[int, int] | np.ndarray[Any, Any]) -> Any:
        offsets = self.recorded.offsets
        if isinstance(places, tuple):
            start, end = places
            return Slice(int(offsets[start]) + 1, int(offsets[end])) if end > start else []
        if not len(places):
            return []
        edges = np.flatnonzero(np.diff(places) != 1) + 1
        starts = offsets[places[np.concatenate([[0], edges])]].tolist()
        ends = offsets[places[np.concatenate([edges - 1, [len(places) - 1]])] + 1].tolist()
        logs = self.recorded.logs
        return msgspec.Raw(b"[" + b"".join([logs[a:b] for a, b in zip(starts, ends, strict=True)])[1:] + b"]")

    def _parsed(self, places: tuple[int, int] | np.ndarray[Any, Any]) -> list[dict[str, Any]]:
        found = self._slices(places)
        if isinstance(found, Slice):
            found = b"[" + self.recorded.logs[found.start : found.end] + b"]"
        return list(msgspec.json.decode(found)) if found else []

    # Receipts

    def block_receipts(self, tag: Any) -> Any:
        number = self.number(tag)
        return self._receipts(number) if number <= self.head else None

    def _made_receipts(self, number: int) -> list[dict[str, Any]]:
        by_tx: dict[str, list[dict[str, Any]]] = {}
        for log in self._parsed((int(self.recorded.first_log[number]), int(self.recorded.first_log[number + 1]))):
            by_tx.setdefault(log["transactionHash"], []).append(log)
        return [
            _receipt(number, tx, by_tx.get(tx_hash(number, tx), [])) for tx in range(int(self.recorded.txs[number]))
        ]

    def receipt(self, hashed: str) -> Any:
        number, tx = place_of_tx(hashed)
        found = self._receipts(number) if number <= self.head else []
        return found[tx] if tx < len(found) else None

    # State

    def call(self, call: dict[str, str], tag: Any = "latest", *_: Any) -> str:
        to, asked = call["to"].lower(), (call.get("data") or call.get("input") or "0x").lower()
        number = self.number(tag)
        column = self.meta["views"].get(to, {}).get(asked)
        if column is not None and self.recorded.views is not None:
            return "0x" + bytes(self.recorded.views[number, column]).hex()
        answer = self.meta["calls"].get(to, {}).get(asked)
        if answer is None:
            raise Refusal(3, "execution reverted", "0x")
        return str(answer)

    def code(self, contract: str, tag: Any = "latest") -> str:
        born = self.meta["born"].get(contract.lower())
        return "0x6001" if born is not None and self.number(tag) >= born else "0x"


def _receipt(number: int, tx: int, logs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "transactionHash": tx_hash(number, tx),
        "transactionIndex": hex(tx),
        "blockHash": block_hash(number),
        "blockNumber": hex(number),
        "from": _NOBODY,
        "to": _NOBODY,
        "cumulativeGasUsed": hex(21_000 * (tx + 1)),
        "gasUsed": "0x5208",
        "effectiveGasPrice": "0x7",
        "contractAddress": None,
        "logs": logs,
        "logsBloom": _FULL_BLOOM if logs else _NO_BLOOM,
        "status": "0x1",
        "type": "0x2",
    }


def _words(said: Any) -> list[str]:
    if said is None:
        return []
    return [said] if isinstance(said, str) else list(said)


def _matches(log: dict[str, Any], later: list[list[str]]) -> bool:
    topics = log["topics"][1:]
    return all(not wanted or (i < len(topics) and topics[i] in wanted) for i, wanted in enumerate(later))


def _count(places: tuple[int, int] | np.ndarray[Any, Any]) -> int:
    return places[1] - places[0] if isinstance(places, tuple) else len(places)


class Server:
    """One thread a connection; the kernel does the work."""

    def __init__(self, chain: Chain, port: int) -> None:
        self.chain = chain
        self._listener = socket.create_server(("127.0.0.1", port), backlog=256)
        self.port = self._listener.getsockname()[1]
        self.counts: Counter[str] = Counter()

    def serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            try:
                for body in bodies(connection):
                    self._answer(connection, body)
            except (ConnectionError, TimeoutError):
                return

    def _answer(self, connection: socket.socket, body: bytes) -> None:
        if body.lstrip()[:1] == b"[":
            parts = [self._whole(request) for request in _MANY.decode(body)]
            self._send(connection, b"[" + b",".join(parts) + b"]")
            return
        request = _ONE.decode(body)
        result = self._result(request)
        if isinstance(result, Slice):
            self._stream(connection, request.id, result)
        else:
            self._send(connection, _envelope(request.id, result))

    def _whole(self, request: _Request) -> bytes:
        result = self._result(request)
        if isinstance(result, Slice):
            result = msgspec.Raw(b"[" + self.chain.recorded.logs[result.start : result.end] + b"]")
        return _envelope(request.id, result)

    def _result(self, request: _Request) -> Any:
        if request.method == "bench_counts":
            return dict(self.counts)
        if request.method == "bench_reset":
            self.counts.clear()
            return True
        self.counts[request.method] += 1
        method = self.chain.methods.get(request.method)
        if method is None:
            return Refusal(-32601, f"the method {request.method} does not exist")
        try:
            return method(*request.params)
        except Refusal as refusal:
            return refusal

    def _send(self, connection: socket.socket, body: bytes) -> None:
        self.counts["bytes"] += len(body)
        connection.sendall(_head(len(body)) + body)

    def _stream(self, connection: socket.socket, request_id: msgspec.Raw, logs: Slice) -> None:
        before, after = b'{"jsonrpc":"2.0","id":' + bytes(request_id) + b',"result":[', b"]}"
        size = len(before) + logs.end - logs.start + len(after)
        self.counts["bytes"] += size
        connection.sendall(_head(size) + before, socket.MSG_MORE)
        start, source = logs.start, self.chain.recorded.file.fileno()
        while start < logs.end:
            start += os.sendfile(connection.fileno(), source, start, logs.end - start)
        connection.sendall(after)


def _head(size: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % size


def _envelope(request_id: msgspec.Raw, result: Any) -> bytes:
    if isinstance(result, Refusal):
        return b'{"jsonrpc":"2.0","id":' + bytes(request_id) + b',"error":' + json.dumps(result.body).encode() + b"}"
    body = bytes(result) if isinstance(result, msgspec.Raw) else msgspec.json.encode(result)
    return b'{"jsonrpc":"2.0","id":' + bytes(request_id) + b',"result":' + body + b"}"


def bodies(connection: socket.socket) -> Iterator[bytes]:
    """Yield the bodies of the requests of a connection until it is closed."""
    buffer = b""
    while True:
        while b"\r\n\r\n" not in buffer:
            if not (more := connection.recv(1 << 16)):
                return
            buffer += more
        head, _, buffer = buffer.partition(b"\r\n\r\n")
        size = _content_length(head)
        while len(buffer) < size:
            if not (more := connection.recv(1 << 16)):
                return
            buffer += more
        yield buffer[:size]
        buffer = buffer[size:]


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sync.server", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path, help="where the chain was generated")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--most-logs", type=int, help="refuse wider answers, as public nodes do")
    options = parser.parse_args()
    server = Server(Chain(Recorded(options.folder), most_logs=options.most_logs), options.port)
    print(f"http://127.0.0.1:{server.port}", flush=True)
    server.serve()


if __name__ == "__main__":
    main()
