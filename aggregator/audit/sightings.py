"""How old accounts are that were read, and what several nodes say of them, as tables that `verify_accounts.py` checks by themselves."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import pyarrow as pa
import rfc8785

from aggregator.audit import account_verifier
from aggregator.audit.lines import Row
from aggregator.audit.verifier import Json
from chains.agreeing import Agreed, Agreement, NodeAnswer
from chains.identifiers import format_address, from_base58
from chains.model import VenueSpec

LOOKS, AGREEMENTS = account_verifier.LOOKS, account_verifier.AGREEMENTS
TEXT, INTEGER = pa.string(), pa.int64()

LOOK_SCHEMA: Mapping[str, pa.DataType] = {
    "venue_id": TEXT,
    "chain_id": TEXT,
    "slot": INTEGER,
    "look_slot": INTEGER,
    "observed_slot": INTEGER,
    "skew_slots": INTEGER,
    "skew_s": INTEGER,
}
AGREEMENT_SCHEMA: Mapping[str, pa.DataType] = {
    "venue_id": TEXT,
    "chain_id": TEXT,
    "unit_id": TEXT,
    "outcome": TEXT,
    "slot": INTEGER,
    "answers": TEXT,
    "data": TEXT,
}


class Sighting(NamedTuple):
    """Since when what is known of a venue's accounts at a cut is known.

    `slot`: the cut's; `look_slot`: the head of the last look up to it, `observed_slot`: its oldest answer, `skew_s`: how many seconds
    before the cut that was at most. All are `None` where no look is known.
    """

    slot: int
    look_slot: int | None = None
    observed_slot: int | None = None
    skew_s: int | None = None

    @property
    def skew_slots(self) -> int | None:
        """How many slots before the cut it was seen."""
        return None if self.observed_slot is None else self.slot - self.observed_slot

    @property
    def is_at_cut(self) -> bool:
        """Whether all of it was seen in the very slot of the cut."""
        return self.observed_slot == self.slot


def look_row(venue: VenueSpec, seen: Sighting) -> Row:
    """Write how old a venue's accounts are."""
    return {
        "venue_id": venue.id,
        "chain_id": venue.chain_id,
        "slot": seen.slot,
        "look_slot": seen.look_slot,
        "observed_slot": seen.observed_slot,
        "skew_slots": seen.skew_slots,
        "skew_s": seen.skew_s,
    }


def sighting_of(row: Json) -> Sighting:
    """Return what a line of looks says."""
    return Sighting(row["slot"], row["look_slot"], row["observed_slot"], row["skew_s"])


def agreement_rows(venue: VenueSpec, found: Iterable[Agreement]) -> Iterator[Row]:
    """Write what nodes said of accounts, a row an account."""
    for each in found:
        answers = [_answer(venue.chain_id, answer) for answer in each.answers]
        alike = len({answer.said for answer in each.answers}) == 1
        yield {
            "venue_id": venue.id,
            "chain_id": venue.chain_id,
            "unit_id": format_address(venue.chain_id, each.unit_id),
            "outcome": each.outcome.value,
            "slot": each.slot,
            "answers": rfc8785.dumps(answers).decode(),
            "data": b64encode(each.data).decode() if alike else None,
        }


def agreement_of(row: Json) -> Agreement:
    """Return what a line of agreements says came of it, without the answers."""
    return Agreement(from_base58(row["unit_id"]), Agreed(row["outcome"]), (), b"")


def _answer(chain_id: str, answer: NodeAnswer) -> Json:
    return {
        "node": answer.node,
        "slot": answer.slot,
        "owner": None if answer.closed else format_address(chain_id, answer.owner),
        "sha256": answer.sha256.hex(),
        "closed": answer.closed,
    }
