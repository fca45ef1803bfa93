"""Our numbers beside what the chains themselves said when they were recorded, kind by kind, to the last unit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from aggregator.margin.health import open_units
from aggregator.margin.inputs import VenueInputs
from chains.escrow import VAULT
from chains.identifiers import EVM, base58, format_address, parse_address
from chains.model import Block, Side, UnitSnapshot, VenueSpec
from crossmargin.demo.recorded import Recorded
from crossmargin.demo.recording import Recording
from crossmargin.demo.solana_recording import SolanaRecording
from indexer.store import Reader

FIELDS = (
    "totalCollateralBase",
    "totalDebtBase",
    "availableBorrowsBase",
    "currentLiquidationThreshold",
    "ltv",
    "healthFactor",
)
"""The answer of `getUserAccountData`, in its own order."""

Numbers = tuple[int, ...]


class Kind(StrEnum):
    """What was recorded: Aave's own answers, the token program's own balances, and the recording's own book of depositors."""

    ACCOUNT_DATA = "aave_account_data"
    TOKEN_BALANCE = "spl_token_balance"  # noqa: S105 - tokens that are money
    NET_DEPOSIT = "spl_net_deposit"


class Comparison(NamedTuple):
    """One answer as it was recorded and as we give it; `subject`: whose it is, in the chain's own words."""

    kind: Kind
    chain_id: str
    block: int
    subject: str
    theirs: Numbers | None
    ours: Numbers | None


def compare(reader: Reader, venue: VenueSpec, recorded: Recorded) -> Iterator[Comparison]:
    """Compare everything that was recorded of a venue, at every block at which it was asked."""
    match recorded:
        case Recording():
            return _accounts(reader, venue, recorded)
        case SolanaRecording():
            return _vault(reader, venue, recorded)


def _accounts(reader: Reader, venue: VenueSpec, recording: Recording) -> Iterator[Comparison]:
    """Compare what a pool answers about every account that the recording knows."""
    for expected in recording.expected:
        block = _stored(reader, venue, recording, expected["block"])
        theirs = {
            parse_address(EVM, owner): tuple(map(int, numbers)) for owner, numbers in expected["accounts"].items()
        }
        ours = _numbers(reader, venue, block, theirs.keys())
        for owner, numbers in theirs.items():
            who = format_address(venue.chain_id, owner)
            yield Comparison(Kind.ACCOUNT_DATA, venue.chain_id, block.number, who, numbers, ours.get(owner))


def _vault(reader: Reader, venue: VenueSpec, recording: SolanaRecording) -> Iterator[Comparison]:
    """Compare what each of a vault's token accounts holds, and what each depositor has of each token."""
    for expected in recording.expected:
        block = _stored(reader, venue, recording, expected["slot"])
        balances = {account: int(amount) for account, amount in expected["accounts"].items()}
        nets = {
            f"{owner} {mint}": int(net)
            for owner, mints in expected["depositors"].items()
            for mint, net in mints.items()
        }
        for kind, theirs, ours in (
            (Kind.TOKEN_BALANCE, balances, _balances(reader, venue, block)),
            (Kind.NET_DEPOSIT, nets, _nets(reader, venue, block)),
        ):
            for subject in sorted(theirs.keys() | ours.keys()):
                said, found = _one(theirs, subject), _one(ours, subject)
                yield Comparison(kind, venue.chain_id, block.number, subject, said, found)


def _stored(reader: Reader, venue: VenueSpec, recorded: Recorded, number: int) -> Block:
    block = reader.block(venue.chain_id, number)
    if block is None:
        raise ValueError(f"{recorded.label}: block {number} is not stored")
    return block


def _numbers(reader: Reader, venue: VenueSpec, at: Block, owners: Iterable[bytes]) -> dict[bytes, Numbers | None]:
    """What we say of some owners; of one without any history, what an empty unit gives."""
    known = {unit.owner: unit for unit in reader.unit_snapshots(venue, at)}
    units = tuple(known.get(owner) or _nothing(owner) for owner in owners)
    snapshot = reader.venue_snapshot(venue, at)
    return {
        held.unit.owner: None if held.unit.native is None else tuple(held.unit.native[name] for name in FIELDS)
        for held in open_units(VenueInputs(snapshot=snapshot, units=units))
    }


def _nothing(owner: bytes) -> UnitSnapshot:
    return UnitSnapshot(unit_id=owner, owner=owner, positions={}, settings={})


def _balances(reader: Reader, venue: VenueSpec, at: Block) -> dict[str, int]:
    """What we say that each token account holds."""
    markets = reader.venue_snapshot(venue, at).markets
    vaults: list[Any] = [json.loads(text) for (_, aspect), text in markets.items() if aspect == VAULT]
    return {account: int(amount) for vault in vaults for account, amount in vault["accounts"].items()}


def _nets(reader: Reader, venue: VenueSpec, at: Block) -> dict[str, int]:
    """What we say that each depositor has, token by token, without zeros."""
    return {
        f"{base58(unit.owner)} {base58(mint)}": amount
        for unit in reader.unit_snapshots(venue, at)
        for (mint, side), amount in unit.positions.items()
        if side is Side.SUPPLY and amount
    }


def _one(amounts: Mapping[str, int], subject: str) -> Numbers | None:
    return (amounts[subject],) if subject in amounts else None
