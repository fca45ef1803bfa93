"""Recorded runs of EVM protocols (folders with blocks, logs and what the contracts answered), and where they lie.

`CROSSMARGIN_EVM_RUNS` names a folder with more runs in the form of `tests/golden/evm`.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from chains.model import Block, ChainSpec

GOLDEN = Path(__file__).parents[1] / "golden" / "evm"
SHARED = Path(__file__).parents[3] / "shared" / "fixtures" / "evm"
VARIABLE = "CROSSMARGIN_EVM_RUNS"
FEED_DECIMALS = 8

Answers = dict[tuple[str, str], list[tuple[int, object]]]

SILENT = re.compile(r"feed proxy (0x\w+): aggregator (0x\w+) -> (0x\w+) \(silent\)")
"""How a run notes that a feed changed its aggregator without an event."""


@dataclass(frozen=True, kw_only=True)
class EvmRun:
    """One run: what was deployed, what happened, and what the contracts said at the sampled blocks."""

    name: str
    about: Mapping[str, Any]
    blocks: list[dict[str, Any]]
    logs: list[dict[str, Any]]
    samples: list[dict[str, Any]]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a run."""
        return cls(
            name=folder.name,
            about=_json(folder / "chain.json"),
            blocks=_json(folder / "blocks.json"),
            logs=_json(folder / "logs.json"),
            samples=_json(folder / "calls.json")["samples"],
        )

    @property
    def last(self) -> int:
        """The number of the last block."""
        return int(self.blocks[-1]["number"], 16)

    @property
    def chain_id(self) -> str:
        """The chain's CAIP-2 id."""
        return f"eip155:{self.about['chainId']}"

    def block(self, number: int) -> Block:
        """A block as a value."""
        header = self.blocks[number]
        return Block(
            number=number,
            hash=bytes.fromhex(header["hash"][2:]),
            parent_hash=bytes.fromhex(header["parentHash"][2:]),
            time=int(header["timestamp"], 16),
        )

    def spec(self, url: str) -> ChainSpec:
        """The chain as configured over a node."""
        return ChainSpec(
            id=self.chain_id, name="run", rpc=(url,), finality="finalized", start_block=0, completeness="none"
        )

    def served(self) -> dict[str, Any]:
        """What a recording says of the chain itself."""
        return {
            "label": self.name,
            "chain_number": self.about["chainId"],
            "blocks": {int(block["number"], 16): block for block in self.blocks},
            "logs": self.logs,
            "code": {log["address"].lower(): 0 for log in self.logs},
            "market": {},
            "story": {},
            "expected": [],
        }


def folders(kind: str) -> dict[str, Path]:
    """Every run of a kind: those of this checkout, and those of the folder that `CROSSMARGIN_EVM_RUNS` names."""
    more = Path(os.environ.get(VARIABLE) or SHARED)
    return {folder.name: folder for root in (more, GOLDEN) for folder in sorted(root.glob(f"{kind}-*"))}


def views_of(folder: Path) -> Answers | None:
    """What a run's contracts said at any block of all that an indexer asks; nothing for a run without `views.json`."""
    if not any(folder.glob("views.json*")):
        return None
    return {
        (view["to"], view["data"]): [(first, answer) for first, answer in view["spans"]]
        for view in _json(folder / "views.json")
    }


def _json(path: Path) -> Any:
    packed = path.with_name(path.name + ".gz")
    return json.loads(gzip.decompress(packed.read_bytes()) if packed.exists() else path.read_bytes())
