"""Recorded runs of SPL vaults (`tests/golden/solana/spl-vault/<case>`): as configured venues, and as nodes that serve them.

A run has no blocks: here every slot with a transaction holds one, and its hash is made of its slot.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chains.identifiers import base58, from_base58
from chains.model import ChainSpec, VenueSpec
from crossmargin.demo.solana_recording import SolanaRecording

GOLDEN = Path(__file__).parents[1] / "golden" / "solana"
SHARED = Path(__file__).parents[3] / "shared" / "fixtures" / "solana" / "runs"
VARIABLE = "CROSSMARGIN_SOLANA_RUNS"
PROGRAM = "spl-vault"
AMOUNT = slice(64, 72)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplRun:
    """One recorded run: what was configured, what happened, what the token programs said at the end and on the way."""

    name: str
    case: dict[str, Any]
    transactions: list[dict[str, Any]]
    signatures: dict[str, list[dict[str, Any]]]
    expected: dict[str, Any]
    checkpoints: list[dict[str, Any]]
    final_accounts: dict[str, dict[str, Any]]

    @property
    def vault_accounts(self) -> list[str]:
        """Every token account of the vault."""
        return [account for accounts in self.case["vault_token_accounts"].values() for account in accounts]

    @property
    def genesis_hash(self) -> str:
        """A name for the chain that nobody recorded."""
        return made_hash(f"genesis {self.name}")

    @property
    def slots(self) -> list[int]:
        """Every slot with a transaction."""
        return sorted({item["slot"] for item in self.transactions})

    def cut(self, transactions: int) -> SplRun:
        """The run as it was after so many transactions."""
        kept = self.transactions[:transactions]
        names = {item["transaction"]["signatures"][0] for item in kept}
        signatures = {
            address: [item for item in listed if item["signature"] in names]
            for address, listed in self.signatures.items()
        }
        return replace(self, transactions=kept, signatures=signatures)

    def chain(self, url: str) -> ChainSpec:
        """The run as a configured chain."""
        return ChainSpec(
            id=f"solana:{self.genesis_hash[:32]}",
            name=self.name,
            rpc=(url,),
            finality="finalized",
            start_block=self.slots[0],
        )

    def venue(self) -> VenueSpec:
        """The vault as a configured venue."""
        return VenueSpec(
            id=PROGRAM,
            protocol="spl-escrow",
            chain_id=f"solana:{self.genesis_hash[:32]}",
            address=from_base58(self.case["vault_authority"]),
            start_block=self.slots[0],
            options={"accounts": tuple(self.vault_accounts), "liabilities": "none"},
        )

    def recording(self) -> SolanaRecording:
        """The run as a chain that a node can serve."""
        blocks = list(self._blocks())
        return SolanaRecording(
            label=self.name,
            genesis_hash=self.genesis_hash,
            blocks={block["slot"]: block for block in blocks},
            transactions={item["transaction"]["signatures"][0]: item for item in self.transactions},
            signatures=self.signatures,
            accounts={account: list(self._states(account)) for account in self.vault_accounts},
            vault={},
            feeds=(),
            story={},
            expected=(),
        )

    def _blocks(self) -> Iterator[dict[str, Any]]:
        times = {item["slot"]: item["blockTime"] for item in self.transactions}
        parent = self.slots[0] - 1
        for height, slot in enumerate(self.slots):
            yield {
                "slot": slot,
                "blockhash": made_hash(f"{self.name} {slot}"),
                "previousBlockhash": made_hash(f"{self.name} {parent}"),
                "parentSlot": parent,
                "blockHeight": height,
                "blockTime": times[slot],
            }
            parent = slot

    def _states(self, account: str) -> Iterator[tuple[int, dict[str, Any] | None]]:
        """What the token program reported after each transaction, in the bytes of the account at the end."""
        final = self.final_accounts[account]
        raw = bytearray(base64.b64decode(final["data"][0]))
        for item in self.transactions:
            keys = item["transaction"]["message"]["accountKeys"]
            after = {keys[b["accountIndex"]]: b for b in item["meta"]["postTokenBalances"]}
            if account in after:
                raw[AMOUNT] = int(after[account]["uiTokenAmount"]["amount"]).to_bytes(8, "little")
                yield item["slot"], final | {"data": [base64.b64encode(bytes(raw)).decode(), "base64"]}


def made_hash(text: str) -> str:
    """A hash that stands for a block."""
    return base58(hashlib.sha256(text.encode()).digest())


def load(folder: Path) -> SplRun:
    """Read one run."""

    def read(name: str) -> Any:
        return json.loads((folder / f"{name}.json").read_text())

    with gzip.open(folder / "transactions.json.gz", "rt", encoding="utf-8") as file:
        transactions = [item["result"] for item in json.load(file)]
    return SplRun(
        name=folder.name,
        case=read("case"),
        transactions=transactions,
        signatures=read("signatures"),
        expected=read("expected"),
        checkpoints=read("checkpoints"),
        final_accounts=read("final_accounts"),
    )


def runs() -> dict[str, Path]:
    """Every run there is: the golden ones, and those of the folder that the environment names."""
    others = Path(os.environ.get(VARIABLE, SHARED))
    found = {f"golden/{folder.name}": folder for folder in sorted((GOLDEN / PROGRAM).glob("*/"))}
    return found | {f"runs/{folder.name}": folder for folder in sorted((others / PROGRAM).glob("*/"))}
