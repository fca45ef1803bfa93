"""What differs between versions of the program, by the version that a venue's configuration says runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What versions of the program do differently.

    `confidence_limit`: a price whose interval is wider than the bank's limit (10 % without one) is refused; before, it is only capped.
    `switchboard`: Switchboard's intervals are the ones described here. `integrations`: banks may hold positions in other protocols, valued
    as described in `integrations`. `marks`: the number with which the newest of these versions marks
    the accounts whose health it computes.
    """

    name: str
    confidence_limit: bool
    switchboard: bool
    integrations: bool
    marks: int


ENGINES: Mapping[str, Engine] = {
    "0.1.0": Engine(name="marginfi-0.1.0", confidence_limit=False, switchboard=False, integrations=False, marks=0),
    "0.1.7": Engine(name="marginfi-0.1.7", confidence_limit=True, switchboard=True, integrations=True, marks=5),
}
"""By the version that the venue's configuration names: 0.1.0 to 0.1.2, and 0.1.4 to 0.1.7."""

NEWEST = "0.1.7"
