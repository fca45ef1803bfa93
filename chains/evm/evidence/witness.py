"""What a chain does about evidence: near its head, when blocks become final, and whenever it is asked to look again."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Sequence

import pyarrow as pa

from chains.completeness import COMPLETENESS, Level
from chains.errors import Contradicted, NodeBusy, NodeWrong
from chains.evm.evidence.asking import Nodes
from chains.evm.evidence.attest import Attestor, Interest, covered_anyway
from chains.evm.evidence.compare import Followed
from chains.evm.evidence.corrections import Corrections, table_of
from chains.evm.evidence.filters import Filters
from chains.evm.logs import empty_logs, in_order
from chains.evm.source import EvmSource
from chains.model import Block, ChainSpec
from chains.ports import Examined, Finding, Records

TRIES = 3
"""How often the same thing is tried: fetching what was found wrong again, and asking nodes for evidence that they do not give."""

SILENT = "no node gave the evidence that was asked for"


class Witness:
    """Looks for evidence at the level that a chain's configuration asks for, and remembers what nodes left out."""

    def __init__(self, spec: ChainSpec, source: EvmSource, nodes: Nodes, filters: Filters) -> None:
        self._chain_id = spec.id
        self._level = COMPLETENESS[spec.completeness]
        self._source = source
        self._attestor = Attestor(source, nodes, filters)
        self._found: Counter[Finding] = Counter()
        self._silent = 0
        self.corrections = Corrections()

    async def overlooked(self, blocks: Iterable[Block], logs: pa.Table, followed: Followed) -> pa.Table:
        """Return logs of new blocks that a first answer left out, as far as headers give them away; raises `ChainError`."""
        if self._level == Level.FETCHED:
            return empty_logs()
        return in_order(table_of(await self._attestor.overlooked(blocks, logs, followed, self._level)))

    async def lacking(self, number: int, logs: pa.Table, followed: Followed) -> pa.Table:
        """Return logs of a doubtful block that are not among `logs`; raises `ChainError`."""
        if self._level == Level.FETCHED:
            return empty_logs()
        found = await self._attestor.differing(number, logs, followed)
        return in_order(table_of(difference for difference in found if difference.missing))

    async def mend(self, number: int, followed: Followed) -> bool:
        """Look closely at a block of which what was read cannot be; returns whether it will be read otherwise now. Raises `ChainError`."""
        if self._level == Level.FETCHED:
            return False
        return self.corrections.note(await self._attestor.differing(number, empty_logs(), followed))

    async def attest(
        self, first: int, last: int, records: Records, interests: Sequence[Interest], topics: Collection[bytes]
    ) -> Examined:
        """Look for evidence for blocks that become final; raises `Contradicted` where fetching them again may mend what is wrong."""
        if self._level == Level.FETCHED:
            return Examined(first=first, last=last)
        looked = self._attestor.examine(first, last, records, level=self._level, interests=interests, topics=topics)
        try:
            pieces = [piece async for piece in looked]
        except (NodeBusy, NodeWrong):
            self._silent += 1
            if self._silent < TRIES or not await self._still_there(last, records):
                raise
            pieces = [covered_anyway(first, last, self._level, interests, SILENT)]
        else:
            self._silent = 0
        self.corrections.note(difference for piece in pieces for difference in piece.differences)
        examined = whole([piece.examined for piece in pieces])
        self._must_agree(examined)
        return examined

    async def _still_there(self, number: int, records: Records) -> bool:
        """Tell whether a stored block is the one that the chain has: nothing else becomes final without evidence. Raises `ChainError`."""
        theirs = (await self._source.blocks([number])).get(number)
        return theirs is not None and theirs in records.blocks(number, number)

    def _must_agree(self, examined: Examined) -> None:
        """Have what is wrong fetched again, as often as that may help."""
        self._found.update(examined.findings)
        fresh = [f for f in examined.findings if self._found[f] < TRIES and f.block >= examined.first]
        if fresh:
            more = f", and {len(fresh) - 1} more differences" if len(fresh) > 1 else ""
            error = Contradicted(f"chain {self._chain_id}: {told(fresh[0])}{more}; the blocks are read anew")
            self._source.doubt(error)
            raise error

    async def examine(
        self,
        first: int,
        last: int,
        records: Records,
        *,
        level: Level,
        interests: Sequence[Interest],
        topics: Collection[bytes],
    ) -> AsyncIterator[Examined]:
        """Look at blocks again for evidence of any level; raises `ChainError`."""
        looked = self._attestor.examine(first, last, records, level=level, interests=interests, topics=topics)
        async for piece in looked:
            yield piece.examined


def whole(pieces: Sequence[Examined]) -> Examined:
    """Return what came of the pieces of a span as one."""
    return Examined(
        first=min(piece.first for piece in pieces),
        last=max(piece.last for piece in pieces),
        covered=tuple(span for piece in pieces for span in piece.covered),
        findings=tuple(finding for piece in pieces for finding in piece.findings),
    )


def told(finding: Finding) -> str:
    """Return one sentence about a finding."""
    where = f"block {finding.block}, contract 0x{finding.address.hex()}"
    if finding.kind == "unbalanced":
        return f"{finding.interest} does not add up from {where} on ({finding.evidence})"
    verb = "lacks" if finding.kind == "missing" else "should not have"
    log = f"log {finding.log_index} of {where}, topic 0x{finding.topic0.hex()}, transaction 0x{finding.tx_hash.hex()}"
    return f"{finding.interest} {verb} {log} ({finding.evidence})"
