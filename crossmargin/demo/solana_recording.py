"""A recorded Solana chain: blocks, transactions, signatures by address, and accounts whenever they changed."""

from __future__ import annotations

import gzip
import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crossmargin.demo.recording import FORMAT, NotRecorded, RpcObject

CAIP_REFERENCE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class SolanaRecording:
    """One cluster.

    `blocks`: slot → header as `getBlock` gives it with `signatures`, and its own `slot`; `transactions`: signature → `getTransaction`
    (json), of those that name the vault; `signatures`: address → `getSignaturesForAddress`, newest first; `accounts`: address → states
    from their slots on, ascending, the account as `getMultipleAccounts` gives it (base64) or `None`; `vault`, `feeds`: what
    configuration names; `story`: what happened when, and to whom; `expected`: for some slots, what the token program held in each of
    the vault's accounts, and what each depositor had of each token by a book that was kept beside the chain.
    """

    label: str
    genesis_hash: str
    blocks: Mapping[int, RpcObject]
    transactions: Mapping[str, RpcObject]
    signatures: Mapping[str, Sequence[RpcObject]]
    accounts: Mapping[str, Sequence[tuple[int, RpcObject | None]]]
    vault: RpcObject
    feeds: Sequence[RpcObject]
    story: RpcObject
    expected: Sequence[RpcObject]

    @property
    def chain_id(self) -> str:
        """The CAIP-2 name."""
        return f"solana:{self.genesis_hash[:CAIP_REFERENCE]}"

    @property
    def first(self) -> int:
        """The first slot that holds a block."""
        return min(self.blocks)

    @property
    def last(self) -> int:
        """The last slot that holds a block."""
        return max(self.blocks)

    @property
    def numbers(self) -> Sequence[int]:
        """Every slot that holds a block, ascending."""
        return sorted(self.blocks)

    def account(self, address: str, slot: int) -> RpcObject | None:
        """Return an account after a slot, `None` where there was none; raises `NotRecorded` for one that nobody looked at."""
        if address not in self.accounts:
            raise NotRecorded(f"the recording has no account {address}")
        states = self.accounts[address]
        index = bisect_right(states, slot, key=lambda state: state[0])
        return states[index - 1][1] if index else None


def load(path: Path) -> SolanaRecording:
    """Read a recording; raises `ValueError` for a file of another format."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        said = json.load(file)
    if said.get("format") != FORMAT:
        raise ValueError(f"{path.name} is a recording of format {said.get('format')}, not {FORMAT}")
    return of(said)


def of(said: RpcObject) -> SolanaRecording:
    """Read what a recording's file says."""
    return SolanaRecording(
        label=said["label"],
        genesis_hash=said["genesis_hash"],
        blocks={block["slot"]: block for block in said["blocks"]},
        transactions={result["transaction"]["signatures"][0]: result for result in said["transactions"]},
        signatures=said["signatures"],
        accounts={
            address: [(state["slot"], state["account"]) for state in states]
            for address, states in said["accounts"].items()
        },
        vault=said["vault"],
        feeds=said["feeds"],
        story=said["events_of_story"],
        expected=said["expected"],
    )
