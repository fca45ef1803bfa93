"""What a report is of."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from aggregator.audit.lines import Row
from aggregator.audit.verifier import Json

Tables = Mapping[str, Collection[Row]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """What a snapshot is, beside its tables.

    `decided`: what its manifest says of method, blocks and doubts; `levels`: venue → the weakest evidence up to the cut; `tree`: hash and
    sums; `signer`: the key that signs it, with the moment since when it does.
    """

    name: str
    slot_time: str
    decided: Json
    levels: Mapping[str, str | None]
    skews: Mapping[str, int]
    tree: Json
    sequence: int
    previous: str | None
    signer: Json
