"""Whose a log is that the store lacks: events that only others take of a contract are nobody else's loss."""

from __future__ import annotations

import pytest

from chains.evm.evidence.attest import Interest
from chains.evm.evidence.compare import Difference
from chains.evm.evidence.receipts import BlockLog

CONTRACT, OURS, THEIRS = b"\x0a" * 20, b"\x01" * 32, b"\x02" * 32


@pytest.mark.parametrize(
    "missing, topic, block, taken",
    [(True, OURS, 5, True), (True, THEIRS, 5, False), (False, THEIRS, 5, True), (True, OURS, 4, False)],
)
def test_a_venue_takes_its_own_events_from_its_first_block_on(
    *, missing: bool, topic: bytes, block: int, taken: bool
) -> None:
    interest = Interest(
        name="venue:v", venue="v", first=5, contracts={CONTRACT: 5}, fetched="", topics=frozenset({OURS})
    )
    log = BlockLog(0, 0, b"\x0c" * 32, CONTRACT, (topic,), b"")

    assert interest.takes(Difference(missing, block, b"\x0b" * 32, log, "receipts")) is taken
