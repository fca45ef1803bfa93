"""Weighing waits for nodes only so long, and for sums as long as they take."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from aggregator.margin.inputs import Cut
from chains.auditing import Controlled, Reply
from chains.errors import ChainError
from chains.model import Finality, Rows, VenueSpec
from chains.ports import Outcome, Summed
from crossmargin import controls
from crossmargin.controls import Controls
from indexer.store import MEMORY, Store
from tests.unit.store.builders import ASSET, CHAIN, VENUE, append, batch, block, market

SPEC = VenueSpec(id=VENUE, protocol="aave-v3", chain_id=CHAIN, address=b"\x01" * 20, start_block=0)
UNANSWERED = Summed("totalSupply", b"\x01" * 20, ASSET, 5, None, 0, 0, "", Outcome.UNANSWERED)


class Slow:
    """A chain whose nodes never answer, and whose sums take longer than anybody waits for nodes."""

    async def audit(self, snapshot: object, units: object) -> tuple[()]:
        return ()

    async def control(self, snapshot: object, records: object, known: Sequence[Reply] | None = None) -> Controlled:
        if known is None:
            await asyncio.Event().wait()
        for _ in range(5):
            await asyncio.sleep(2 * controls.PATIENCE_S)
        return Controlled(totals=(UNANSWERED,))

    async def aclose(self) -> None:
        pass


@pytest.mark.parametrize("insist", [False, True])
def test_a_venue_whose_nodes_are_silent_is_weighed_without_them_however_long_that_takes(
    monkeypatch: pytest.MonkeyPatch, *, insist: bool
) -> None:
    monkeypatch.setattr(controls, "PATIENCE_S", 0.01)
    with Store.open(MEMORY) as store:
        append(store, batch(1, 5, Rows(markets=[market(2, "{}")])))
        weighing = Controls(store, lambda _: cast("Any", Slow()), lambda: 7.0)
        cuts = {CHAIN: Cut(block=block(5), finality=Finality.LATEST)}
        with store.reading() as reader:
            if insist:
                with pytest.raises(ChainError, match="no node answered about"):
                    weighing.weigh(reader, cuts, [SPEC], insist=True)
                return
            (weighed,) = weighing.weigh(reader, cuts, [SPEC])
        assert weighed.found.sums == (UNANSWERED,)
        with store.reading() as reader:
            assert reader.replies(weighed.look) == []
