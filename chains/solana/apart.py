"""What two lists of accounts leave open that are not of one slot."""

from __future__ import annotations

from chains.auditing import Whole

APART = 600
"""Slots (four minutes) that lists of one look may lie apart: a node takes that long at most to give one."""

EXCUSE = "the account changed last in slot {own}, what obligations hold of it in slot {held}, and the lists of both need not be of one slot"


def excuse_of(whole: Whole, market: bytes) -> str:
    """Say why a sum may differ from what a market's own account says: one of both changed lately, and the other may not be listed since."""
    own, held = whole.changed.get(market, (-1, -1))
    late = max(own, held) > whole.snapshot.at.number - APART
    return EXCUSE.format(own=own, held=held) if late and own != held else ""
