"""A recorded run of a lending program on a ledger of its own: its transactions in blocks, its accounts as they were at each sample."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from chains.model import ChainSpec, VenueSpec
from tests.contract.test_solana_lending_live import put
from tests.devnet.solana.keys import genesis_hash
from tests.devnet.solana.ledger import Ledger
from tests.support.history_runs import Account, Run, steps

FIRST = 500_000_000
Result = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What happened up to a sample: transactions by the slots that they had, and accounts that changed."""

    blocks: tuple[tuple[Result, ...], ...]
    changed: Mapping[str, Account]


class RecordedNet:
    """The ledger of a run; slots are its own, one for each that had transactions."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.ledger = Ledger(genesis_hash=genesis_hash(9), first_slot=FIRST)
        self.ledger.idle(3)

    @property
    def chain_id(self) -> str:
        return f"solana:{str(self.ledger.genesis_hash)[:32]}"

    @property
    def venue(self) -> VenueSpec:
        return replace(self.run.venue, chain_id=self.chain_id, start_block=FIRST)

    def spec(self, url: str, finality: str = "confirmed") -> ChainSpec:
        return ChainSpec(id=self.chain_id, name="recorded", rpc=(url,), finality=finality, start_block=FIRST)

    def steps(self) -> Iterator[Step]:
        """The run, sample by sample."""
        for _, said, changed in steps(self.run):
            results = [json.loads(each.body) for each in said]
            blocks = (tuple(group) for _, group in groupby(results, key=lambda result: result["slot"]))
            yield Step(blocks=tuple(blocks), changed=changed)

    def play(
        self, step: Step, *, lost: Sequence[str] = (), dress: Callable[[Result], Result] = lambda said: said
    ) -> int:
        """Let a step happen, so that a node's head is its last block; returns how many blocks it took.

        `lost`: signatures that the node never lists; `dress`: how a transaction is written down.
        """
        before = len(self.ledger.blocks)
        for number, results in enumerate(step.blocks or ((),), start=1):
            for result in results:
                if result["transaction"]["signatures"][0] not in lost:
                    self.ledger.land(dress(result))
            if number == max(1, len(step.blocks)):
                put(self.ledger, step.changed)
            self.ledger.mine()
        self.ledger.idle(1)
        return len(self.ledger.blocks) - before
