"""A node that serves a recorded chain over JSON-RPC on loopback, up to a head that can be moved."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from crossmargin.demo.node import INVALID_PARAMS, SERVER_ERROR, RpcError, RpcNode
from crossmargin.demo.recording import Recording, RpcObject

SAFE_DEPTH = 32
FINAL_DEPTH = 64
TOPICS = 4
NOT_THE_CODE = "0xfe"
"""What is said of a contract's code: that there is some. Recordings do not hold it."""


class ReplayNode(RpcNode):
    """Serves `recording` at `url` within its async context; knows nothing above its head."""

    def __init__(self, recording: Recording, *, head: int | None = None) -> None:
        super().__init__(
            {
                "eth_chainId": lambda _: hex(recording.chain_number),
                "net_version": lambda _: str(recording.chain_number),
                "web3_clientVersion": lambda _: "crossmargin-replay/1",
                "eth_blockNumber": lambda _: hex(self.head),
                "eth_getBlockByNumber": self._block_by_number,
                "eth_getBlockByHash": self._block_by_hash,
                "eth_getLogs": self._logs,
                "eth_call": self._call,
                "eth_getCode": self._code,
            }
        )
        self.recording = recording
        self.head = recording.last if head is None else head
        self._by_hash = {header["hash"]: number for number, header in recording.blocks.items()}

    def set_head(self, number: int) -> None:
        """Move the head, forward or back."""
        if number not in self.recording.blocks:
            raise ValueError(f"{self.recording.label} has no block {number}")
        self.head = number

    def _block_by_number(self, params: Sequence[Any]) -> RpcObject | None:
        number = self._number(params[0])
        return self.recording.blocks.get(number) if number <= self.head else None

    def _block_by_hash(self, params: Sequence[Any]) -> RpcObject | None:
        number = self._by_hash.get(params[0])
        return None if number is None or number > self.head else self.recording.blocks[number]

    def _logs(self, params: Sequence[Any]) -> list[RpcObject]:
        query = params[0]
        first, last = self._span(query)
        addresses = _choices(query.get("address"))
        topics = [_choices(topic) for topic in query.get("topics") or []]
        if len(topics) > TOPICS:
            raise RpcError(INVALID_PARAMS, "invalid params: more than four topics")
        found = self.recording.logs_between(first, min(last, self.head))
        return [log for log in found if _matches(log, addresses, topics)]

    def _span(self, query: RpcObject) -> tuple[int, int]:
        if "blockHash" in query:
            if "fromBlock" in query or "toBlock" in query:
                raise RpcError(INVALID_PARAMS, "invalid params: blockHash and a block range exclude each other")
            number = self._known_hash(query["blockHash"])
            return number, number
        first, last = (self._number(query.get(key, "latest")) for key in ("fromBlock", "toBlock"))
        if first > self.head:
            raise RpcError(INVALID_PARAMS, "block range extends beyond current head block")
        if first > last:
            raise RpcError(INVALID_PARAMS, "invalid block range")
        return first, last

    def _call(self, params: Sequence[Any]) -> object:
        call, block = params[0], params[1] if len(params) > 1 else "latest"
        calldata = call.get("data", call.get("input", "0x"))
        answer = self.recording.answer(call["to"].lower(), calldata.lower(), self._state_of(block))
        if isinstance(answer, dict):
            error = answer["error"]
            raise RpcError(error.get("code", 3), error.get("message", "execution reverted"), error.get("data"))
        return answer

    def _code(self, params: Sequence[Any]) -> str:
        block = self._state_of(params[1] if len(params) > 1 else "latest")
        first = self.recording.code.get(params[0].lower())
        return "0x" if first is None or block < first else NOT_THE_CODE

    def _state_of(self, block: object) -> int:
        """The number of a block that must exist: a tag, a number, a hash, or an EIP-1898 object."""
        match block:
            case {"blockHash": str(digest)}:
                return self._known_hash(digest)
            case {"blockNumber": str(text)}:
                return self._known(self._number(text))
            case str() if len(block) == len("0x") + 64:
                return self._known_hash(block)
            case str():
                return self._known(self._number(block))
            case _:
                raise RpcError(INVALID_PARAMS, "invalid params: no block")

    def _number(self, tag: str) -> int:
        lowest = min(self.recording.blocks)
        match tag:
            case "latest" | "pending":
                return self.head
            case "safe":
                return max(lowest, self.head - SAFE_DEPTH)
            case "finalized":
                return max(lowest, self.head - FINAL_DEPTH)
            case "earliest":
                return lowest
            case _:
                return _quantity(tag)

    def _known(self, number: int) -> int:
        if number > self.head or number not in self.recording.blocks:
            raise RpcError(SERVER_ERROR, "header not found")
        return number

    def _known_hash(self, digest: str) -> int:
        number = self._by_hash.get(digest)
        if number is None or number > self.head:
            raise RpcError(SERVER_ERROR, "unknown block")
        return number


def _quantity(text: str) -> int:
    if not text.startswith("0x") or text == "0x":
        raise RpcError(INVALID_PARAMS, f"invalid params: {text!r} is no quantity")
    return int(text, 16)


def _choices(wanted: object) -> Collection[str] | None:
    """What a filter admits: `None` for anything."""
    if wanted is None or wanted == []:
        return None
    values = wanted if isinstance(wanted, list) else [wanted]
    return {str(value).lower() for value in values}


def _matches(log: RpcObject, addresses: Collection[str] | None, topics: Sequence[Collection[str] | None]) -> bool:
    if addresses is not None and log["address"].lower() not in addresses:
        return False
    said = log["topics"]
    return len(said) >= len(topics) and all(
        wanted is None or topic in wanted for wanted, topic in zip(topics, said, strict=False)
    )
