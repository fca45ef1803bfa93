"""From what `--at` says to a block of every chain that the store reaches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import aclosing
from dataclasses import dataclass

from aggregator.gather import Catalogue, Condition
from aggregator.margin.floor import ShortfallFloor
from aggregator.margin.inputs import Cut
from aggregator.margin.risk import NO_RISK, RiskInputs
from chains.errors import ChainError
from chains.identifiers import SOLANA, namespace_of
from chains.model import Block, Finality, Skipped
from chains.ports import Chain
from chains.registry import block_at
from crossmargin.cut import AtBlocks, AtTime, blocks_of, parse_at
from crossmargin.documents import moment
from crossmargin.errors import NotStored
from indexer.store import Cursor, Reader, Store

Connect = Callable[[str], Chain]
"""Makes the adapter of a chain over its nodes."""

NEAREST = """
SELECT max(number) FILTER (number < {number}), min(number) FILTER (number > {number})
FROM main.block WHERE chain_id = '{chain_id}'
"""
"""Both are checked before they come here: a CAIP-2 chain holds no quote."""

NEAREST_TIMEOUT_S = 10.0

RULES = {
    "finalized": Finality.FINALIZED,
    "safe": Finality.SAFE,
    "confirmations": Finality.CONFIRMED,
    "latest": Finality.LATEST,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One state of the store at one cut, with what is wrong with it, what is estimated there, and what the house had decided by then."""

    reader: Reader
    cuts: Mapping[str, Cut]
    condition: Condition
    catalogue: Catalogue
    floor: ShortfallFloor
    risk: RiskInputs = NO_RISK


class Cuts:
    """Finds cuts in one state of the store; `rules`: configured chain → its finality rule.

    `cut_at`: where the store holds a set of a lake, its cut-off: up to then all of every chain is known, and of later nothing.
    """

    def __init__(
        self,
        store: Store,
        reader: Reader,
        rules: Mapping[str, str],
        connect: Connect,
        *,
        cut_at: int | None = None,
    ) -> None:
        self._store = store
        self._reader = reader
        self._rules = rules
        self._connect = connect
        self._cut_at = cut_at

    def at(self, text: str | None, chains: Collection[str]) -> dict[str, Cut]:
        """Return the cut of every configured chain that the store reaches; `chains` are those that were asked about.

        Chains that were not asked about, but whose feeds may count, are cut by the time of the latest that was, unless they are named
        too; so are all that are not named where a time for them is said, by that. Of a chain of which nothing is stored no block can be
        named, and none that was asked about is known beyond its last block. Raises `UsageError`, `NotStored` and `ChainError`.
        """
        if text is None:
            return self._made({chain_id: held.block for chain_id, held in self._cursors().items()}, self._cut_at)
        at = parse_at(text)
        latest = at.time if isinstance(at, AtTime) else at.rest if isinstance(at, AtBlocks) else None
        if latest is not None and self._cut_at is not None and latest > self._cut_at:
            raise NotStored(
                f"what is read here is of {moment(self._cut_at)} and nothing later; ask for a time until then"
            )
        if isinstance(at, AtTime):
            self._check_known(chains, at.time)
            return self._made(self._at_time(at.time), at.time)
        stored = self._cursors().keys()
        asked = [chain_id for chain_id in chains if chain_id in stored] if isinstance(at, AtBlocks) else chains
        numbers = blocks_of(at, asked, self._rules)
        named = {chain_id: self._block(chain_id, number) for chain_id, number in numbers.items()}
        if latest is not None:
            self._check_known(set(chains) - named.keys(), latest)
        time = max(block.time for block in named.values()) if latest is None else latest
        others = {chain_id: block for chain_id, block in self._at_time(time).items() if chain_id not in named}
        return self._made(named) | self._made(others, time)

    def _cursors(self) -> dict[str, Cursor]:
        held = {chain_id: self._reader.cursor(chain_id) for chain_id in self._rules}
        return {chain_id: cursor for chain_id, cursor in held.items() if cursor is not None}

    def _check_known(self, chains: Collection[str], time: int) -> None:
        """Raise `NotStored` for a time at which one of these chains may have gone on unheard."""
        for chain_id, cursor in sorted(self._cursors().items()):
            if chain_id in chains and time > self._known_until(cursor):
                raise NotStored(
                    f"{moment(time)} is not known of {chain_id} yet: its last block here, {cursor.block.number}, is of "
                    f"{moment(cursor.block.time)}; index further, or ask for a time until then"
                )

    def _at_time(self, time: int) -> dict[str, Block]:
        found = {
            chain_id: block_at(chain_id, min(time, cursor.block.number)) or self._reader.block_at_time(chain_id, time)
            for chain_id, cursor in self._cursors().items()
        }
        return {chain_id: block for chain_id, block in found.items() if block is not None}

    def _block(self, chain_id: str, number: int) -> Block:
        cursor = self._cursors().get(chain_id)
        if cursor is None:
            raise NotStored(f"nothing of {chain_id} is indexed yet; run `crossmargin index`")
        if number > cursor.block.number:
            raise NotStored(
                f"block {number} of {chain_id} is not indexed; the last one is {cursor.block.number}: "
                "index further, or ask for an earlier block"
            )
        return self._reader.block(chain_id, number) or self._asked(chain_id, number)

    def _asked(self, chain_id: str, number: int) -> Block:
        """A final block without rows is not stored, and a slot may hold none: the chain's nodes know."""
        try:
            block = asyncio.run(_header(self._connect(chain_id), number))
        except ChainError as error:
            raise NotStored(
                f"block {number} of {chain_id} changed nothing and is not stored, and its header cannot be asked for "
                f"({error}); {self._nearest(chain_id, number)}"
            ) from error
        if isinstance(block, Skipped):
            raise NotStored(
                f"slot {block.number} of {chain_id} was skipped: block {block.child} names block {block.parent} as its parent;"
                f" ask for {block.parent}"
            )
        if block is None:
            raise NotStored(f"{chain_id} has no block {number}; {self._nearest(chain_id, number)}")
        return block

    def _nearest(self, chain_id: str, number: int) -> str:
        query = NEAREST.format(chain_id=chain_id, number=number)
        found = self._store.query(query, timeout_s=NEAREST_TIMEOUT_S, max_rows=1).rows
        names = [str(near) for near in found[0] if near is not None]
        return f"the nearest stored blocks are {' and '.join(names)}"

    def _made(self, blocks: Mapping[str, Block], time: int | None = None) -> dict[str, Cut]:
        """Make cuts of blocks; ages count up to the `time` by which they were found."""
        cursors = self._cursors()
        return {
            chain_id: Cut(
                block=block,
                finality=self._finality(chain_id, block, cursors[chain_id]),
                until=time if time is not None and block.time < time else None,
            )
            for chain_id, block in sorted(blocks.items())
        }

    def _known_until(self, cursor: Cursor) -> int:
        return cursor.block.time if self._cut_at is None else self._cut_at

    def _finality(self, chain_id: str, block: Block, cursor: Cursor) -> Finality:
        settled = block.number <= cursor.finalized
        if namespace_of(chain_id) == SOLANA:
            return Finality.FINALIZED if settled else Finality.CONFIRMED
        rule = self._rules[chain_id].partition(":")[0]
        return RULES[rule] if settled else Finality.LATEST


async def _header(chain: Chain, number: int) -> Block | Skipped | None:
    async with aclosing(chain):
        return await chain.block(number)
