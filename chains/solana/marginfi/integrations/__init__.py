"""Banks whose deposits are positions in another protocol: which accounts say what these are worth, and what they say at a block.

The program multiplies its own oracle's price by what one unit of the position is in tokens, and demands that the other protocol brought
its pool up to date in the same slot, or second. Anybody may do that just before; so the pool is brought up to date here, as its own program
would. A folder of another protocol knows how: this one asks it.

Source: marginfi-v2 0.1.7, `programs/marginfi/src/state/price.rs`, `programs/{kamino,drift,solend}-mocks/src/state.rs`.
"""

from chains.solana.marginfi.integrations import drift, kamino, save
from chains.solana.marginfi.integrations.ports import HELD, HELD_BESIDE, HELD_TOTALS, Asked, Integration, Standing

BY_TAG: dict[int, Integration] = {3: kamino.KAMINO, 4: drift.DRIFT, 5: save.SAVE}
"""By the asset tag of a bank."""

PROGRAMS = tuple(each.program for each in BY_TAG.values())

__all__ = ["BY_TAG", "HELD", "HELD_BESIDE", "HELD_TOTALS", "PROGRAMS", "Asked", "Integration", "Standing"]
