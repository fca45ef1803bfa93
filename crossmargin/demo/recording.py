"""A recorded chain: what its node said, and what its contracts answered, as one compressed JSON file."""

from __future__ import annotations

import gzip
import json
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FORMAT = 1

RpcObject = Mapping[str, Any]
"""A header or a log as a node gives it."""

SELECTOR = len("0x") + 8
"""Digits of calldata that name a function."""


class NotRecorded(Exception):
    """Nobody asked this when the recording was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One chain.

    `calls`: (address, calldata) → answers, each from its first block on; `code`: contract → its first block;
    `market`: the Aave market and its feeds; `story`: what happened when, and to whom; `expected`: for some blocks,
    what `getUserAccountData` answered about every account.
    """

    label: str
    chain_number: int
    blocks: Mapping[int, RpcObject]
    logs: Sequence[RpcObject]
    calls: Mapping[tuple[str, str], Sequence[tuple[int, object]]]
    code: Mapping[str, int]
    market: RpcObject
    story: RpcObject
    expected: Sequence[RpcObject]

    @property
    def chain_id(self) -> str:
        """The CAIP-2 name."""
        return f"eip155:{self.chain_number}"

    @property
    def last(self) -> int:
        """The number of the last block."""
        return max(self.blocks)

    @property
    def numbers(self) -> Sequence[int]:
        """The number of every block, ascending."""
        return sorted(self.blocks)

    def answer(self, address: str, calldata: str, block: int) -> object:
        """Return what a contract answers after a block, `0x…` or `{"error": …}`; raises `NotRecorded`.

        A function that a contract of the recording was never asked for is not there, and reverts.
        """
        spans = self.calls.get((address, calldata), ())
        if not spans and self._lacks(address, calldata[:SELECTOR]):
            return {"error": {"code": 3, "message": "execution reverted", "data": "0x"}}
        held = [answer for first, answer in spans if first <= block]
        if not held:
            raise NotRecorded(f"the recording has no answer of {address} to {calldata[:10]} at block {block}")
        return held[-1]

    def _lacks(self, address: str, selector: str) -> bool:
        """Whether a contract is known and was never asked for a function."""
        asked = [calldata for contract, calldata in self.calls if contract == address]
        return bool(asked or address in self.code) and all(calldata[:SELECTOR] != selector for calldata in asked)

    def logs_between(self, first: int, last: int) -> Sequence[RpcObject]:
        """Return the logs of a span of blocks, both included."""
        start = bisect_left(self.logs, first, key=block_of)
        return self.logs[start : bisect_right(self.logs, last, key=block_of)]


def block_of(log: RpcObject) -> int:
    """Return the block of a log."""
    return int(log["blockNumber"], 16)


def load(path: Path) -> Recording:
    """Read a recording; raises `ValueError` for a file of another format."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        said = json.load(file)
    if said.get("format") != FORMAT:
        raise ValueError(f"{path.name} is a recording of format {said.get('format')}, not {FORMAT}")
    return Recording(
        label=said["label"],
        chain_number=int(said["chain_id"]),
        blocks={int(header["number"], 16): header for header in said["blocks"]},
        logs=sorted(said["logs"], key=lambda log: (block_of(log), int(log["logIndex"], 16))),
        calls={
            (call["to"].lower(), call["data"].lower()): [(first, answer) for first, answer in call["spans"]]
            for call in said["calls"]
        },
        code={code["address"].lower(): code["first_block"] for code in said["code"] if code["size"]},
        market=said["market"],
        story=said["events_of_story"],
        expected=said["expected"],
    )
