"""What venues of all lending protocols may say in the configuration.

`history`: where lines of history come from: `looks`, from what two looks at an account leave unexplained (the default), or
`transactions`, from every transaction of the venue since the chain's first slot.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HISTORY = "history"
TRANSACTIONS, LOOKS = "transactions", "looks"


def check_history(options: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the option, in words."""
    said = options.get(HISTORY, LOOKS)
    return [] if said in (TRANSACTIONS, LOOKS) else [f"{HISTORY} {said!r} is not known; use {TRANSACTIONS} or {LOOKS}"]


def wants_transactions(options: Mapping[str, Any]) -> bool:
    """Tell whether a venue's history is to be read from its transactions."""
    return bool(options.get(HISTORY, LOOKS) == TRANSACTIONS)
