"""How tables of legs and results are laid out; kernels, readers and builders share it.

A leg is a way to hold or to owe something: an asset's mark, its side, and what its class and estimates make of it. Accounts hold
amounts of legs, supplies first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indexes = NDArray[np.int64]
Places = NDArray[np.int32]
Bits = NDArray[np.uint8]

SEEN = 4
"""Margins of an account, in order: maintenance at the mid, the low and the high of the marks, initial at the low."""

PURPOSE_OF = (0, 0, 0, 1)
"""For each of them: which of a leg's two weights counts."""

MID, COUNTS, RISK = 0, slice(1, 5), slice(5, 9)
LEG_WIDTH = 9
"""Columns of a leg, of one token and in USD: what it is worth at the mid; then, for each margin as it is seen, what counts before the
market takes its part, and that part (of a debt: what the market may add)."""

PRICES, LEFT, MARKET_ALONE = slice(0, 4), slice(4, 8), slice(8, 12)
OTHERS, CAP_LEFT, SALE_KEPT, SALE_SLOPE = range(12, 16)
PART_WIDTH = 16
"""Columns of what a supply is made of whose weight depends on how much is sold: for each margin as it is seen the price that it takes
(USD), the share that the class leaves and the market layer by itself; what the other layers leave, the least that all leave; and what is
left of a sale, `kept − slope·√value` (see `aggregator.margin.layers.sale_cost`)."""

COLLATERAL, INITIAL_COLLATERAL, MAINTENANCE_COLLATERAL, DEBT, INITIAL_DEBT, MAINTENANCE_DEBT = range(6)
"""Columns of what an account has besides its positions, in USD, the same from every side."""

HEALTH, HEALTH_LOW, HEALTH_HIGH, EXCESS, HEADROOM, VALUE, OWED, REQUIRED = range(8)
WIDTH = 8
"""Columns of a result: three health factors; E(1) of the maintenance margin at the mid and of the initial one at the low; at the mid
the value of collateral and of debt and what the maintenance margin requires (B). USD. Without debt a health factor is `LARGEST_RATIO`."""

UNPRICED_COLLATERAL, UNPRICED_DEBT, HAS_DEBT, DEBT_UNKNOWN, ALONE, GONE, CLAIMED = 1, 2, 4, 8, 16, 32, 64
"""Flags of an account. The first two follow from marks, the others are said of it. `ALONE`: its numbers follow from more than arrays
hold (see `entries.apart`), so that `aggregator.margin.account.assess` alone gives them. `GONE`: it has nothing any more.
`CLAIMED`: others have claims on its collateral, so that without a price of that it depends on what it was last worth whether its debt is
known: then only `assess` tells."""

SIZED, AT_RISK = 4, 8
"""Flags of a leg: selling more of it costs more; the market may take of it, or add to it. `UNPRICED_…` are its others."""
