"""The bytes of an `AggregatorAccountData` account of Switchboard V2, whose feeds stand still by now.

Source: the switchboard-v2 crate, `aggregator.rs` (packed structures, each field behind the one before).
"""

from __future__ import annotations

from dataclasses import dataclass

from chains.identifiers import from_base58
from chains.solana.layouts import Layout, read
from chains.solana.oracles.switchboard.account import NoFeed

AGGREGATORS = from_base58("SW1TCH7qEPTdLsDHRgPuMQjbQxKdH2aBStViMFnt64f")
_SLIDING = 1

AGGREGATOR = Layout(
    name="AggregatorAccountData",
    size=3851,
    discriminator=bytes([217, 230, 65, 101, 201, 162, 27, 125]),
    fields={
        "min_oracle_results": (236, "u32"),
        "num_success": (341, "u32"),
        "round_open_slot": (350, "u64"),
        "round_open_timestamp": (358, "i64"),
        "mantissa": (366, "i128"),
        "scale": (382, "u32"),
        "deviation_mantissa": (386, "i128"),
        "deviation_scale": (402, "u32"),
        "resolution_mode": (3712, "u8"),
    },
    grows=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregator:
    """The latest confirmed round: `mantissa` / 10^`scale`, as of a slot and Unix seconds.

    `deviation_mantissa` / 10^`deviation_scale`: the standard deviation of the answers in it.
    `valid`: enough oracles answered in it, or the aggregator takes the answers of a window instead of rounds (`get_result`).
    """

    mantissa: int
    scale: int
    deviation_mantissa: int
    deviation_scale: int
    slot: int
    time: int
    valid: bool


def aggregator(data: bytes) -> Aggregator:
    """Read an account's bytes; raises `NoFeed`."""
    if problem := AGGREGATOR.problem(data):
        raise NoFeed(problem)
    fields = read(AGGREGATOR.fields, data)
    return Aggregator(
        mantissa=fields["mantissa"],
        scale=fields["scale"],
        deviation_mantissa=fields["deviation_mantissa"],
        deviation_scale=fields["deviation_scale"],
        slot=fields["round_open_slot"],
        time=fields["round_open_timestamp"],
        valid=fields["resolution_mode"] == _SLIDING or fields["num_success"] >= fields["min_oracle_results"],
    )
