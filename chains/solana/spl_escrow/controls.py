"""What a vault's token accounts hold, beside what its depositors put in and took out, and what belongs to nobody."""

from __future__ import annotations

import json
from collections.abc import Iterator

from chains.auditing import Told, Whole
from chains.escrow import VAULT
from chains.model import Side


def told(whole: Whole) -> Iterator[Told]:
    """Name what the accounts hold of each mint, as the token program reported it with the last transaction, and the claims on it."""
    vault = whole.snapshot.venue.address
    for (mint, aspect), text in sorted(whole.snapshot.markets.items()):
        if aspect == VAULT:
            said = json.loads(text)
            ours = whole.sums.get((mint, Side.SUPPLY), 0) + int(said["unattributed"])
            yield Told("balance of all accounts", vault, mint, ours, int(said["balance"]))
            yield Told("claims", vault, mint, whole.claims.get((mint, Side.SUPPLY), 0), int(said["claims"]))
