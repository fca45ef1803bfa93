"""What is on its way to an account at a cut: by what was imported of the messages of bridges, and the blocks of its chains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aggregator.margin.inputs import Cut, InFlight
from aggregator.margin.numbers import rfc3339
from indexer.store.transfers import DELIVERED, PROVEN, TransferRow


def in_flight(rows: Iterable[TransferRow], cuts: Mapping[str, Cut]) -> tuple[InFlight, ...]:
    """Return what was sent by the cut and is not there yet; of each message at most one."""
    return tuple(map(_in_flight, on_the_way(rows, cuts)))


def on_the_way(rows: Iterable[TransferRow], cuts: Mapping[str, Cut]) -> list[TransferRow]:
    """Return those messages that were sent by the cut and have not arrived at it."""
    newest = max((cut.now for cut in cuts.values()), default=0)
    return [row for row in rows if _sent(row, cuts, newest) and not _arrived(row, cuts)]


def _sent(row: TransferRow, cuts: Mapping[str, Cut], newest: int) -> bool:
    """By the clock of the chain that it left, or of the newest block where that chain is not followed."""
    cut = cuts.get(row.source_chain)
    return row.sent_at <= (newest if cut is None else cut.now)


def _arrived(row: TransferRow, cuts: Mapping[str, Cut]) -> bool:
    """Whether the destination shows it at its block; of one that is not followed it is enough that it was delivered."""
    if row.state != DELIVERED or row.delivered_block is None:
        return False
    cut = cuts.get(row.destination_chain)
    return cut is None or row.delivered_block <= cut.block.number


def _in_flight(row: TransferRow) -> InFlight:
    return InFlight(
        message=f"{row.protocol}:{row.message}",
        asset=row.asset,
        amount_raw=row.amount_raw,
        decimals=row.decimals,
        sender=row.sender,
        recipient=row.recipient,
        proven=row.state in {PROVEN, DELIVERED},
        sent_at=rfc3339(row.sent_at),
        source_tx=row.source_tx,
        source=row.source,
        evidence=row.grade,
        checked=row.checked or None,
    )
