"""A group at a block, and why nothing of it is known."""

from __future__ import annotations

import json
from functools import cached_property

from chains.identifiers import base58
from chains.model import WHOLE_VENUE, Reason, VenueSnapshot
from chains.solana.marginfi.fixed import Overflowed
from chains.solana.marginfi.integrations import Standing
from chains.solana.marginfi.options import engine_of
from chains.solana.marginfi.prices import Prices, Quote
from chains.solana.marginfi.rates import FeeTerms, Totals, accrued
from chains.solana.marginfi.standings import standing_of
from chains.solana.marginfi.states import (
    GROUP_STATE,
    PROGRAM_STATE,
    TERMS,
    TOTALS,
    Bank,
    Group,
    bank_of,
    group_of,
)


class Book:
    """A group at a block: banks as stored and with interest, and their prices."""

    def __init__(self, snapshot: VenueSnapshot) -> None:
        self.snapshot = snapshot
        self.engine = engine_of(snapshot.venue.options)
        self.prices = Prices(snapshot, self.engine, self.standing)
        self.group = self._group()
        self._banks: dict[bytes, Bank | Reason] = {}
        self._quotes: dict[bytes, Quote | Reason] = {}
        self._accrued: dict[bytes, Totals | Reason] = {}
        self._standings: dict[bytes, Standing | Reason] = {}

    @cached_property
    def problems(self) -> tuple[Reason, ...]:
        """Why no account of the group can be valued."""
        found = [self.group] if isinstance(self.group, Reason) else []
        mark = int(json.loads(self.snapshot.markets.get((WHOLE_VENUE, PROGRAM_STATE), '"0"')))
        if mark > self.engine.marks:
            detail = (
                f"the program marks accounts with {mark}, and the newest version that {self.engine.name} stands for"
                f" with {self.engine.marks}; accounts are not valued"
            )
            found.append(Reason("unsupported_version", self.snapshot.venue.id, detail))
        return tuple(found)

    def bank(self, address: bytes) -> Bank | Reason:
        """Return a bank as stored, or why it is not known."""
        if address not in self._banks:
            self._banks[address] = self._bank(address)
        return self._banks[address]

    def quote(self, bank: Bank) -> Quote | Reason:
        """Return the price that the program reads for a bank, or why there is none."""
        if bank.address not in self._quotes:
            self._quotes[bank.address] = self.prices.quote(bank)
        return self._quotes[bank.address]

    def standing(self, bank: Bank) -> Standing | Reason:
        """Return what a bank's deposits are in another protocol, brought up to date, or why that is not known."""
        if bank.address not in self._standings:
            self._standings[bank.address] = standing_of(self.snapshot, self.engine, bank)
        return self._standings[bank.address]

    def with_interest(self, bank: Bank) -> Totals | Reason:
        """Return a bank's totals as the program would store them at the block's time."""
        if bank.address not in self._accrued:
            self._accrued[bank.address] = self._with_interest(bank)
        return self._accrued[bank.address]

    def _bank(self, address: bytes) -> Bank | Reason:
        markets = self.snapshot.markets
        config, totals = markets.get((address, TERMS)), markets.get((address, TOTALS))
        if config is None:
            return Reason("bank_unknown", base58(address), "the bank has not been read")
        found = bank_of(address, config, totals or "{}")
        return Reason("bank_unreadable", base58(address), found) if isinstance(found, str) else found

    def _with_interest(self, bank: Bank) -> Totals | Reason:
        if isinstance(self.group, Reason):
            return self.group
        try:
            fees = FeeTerms(bank.insurance, bank.group, self.group.program)
            return accrued(bank.totals, self.snapshot.at.time, bank.curve, fees)
        except Overflowed as error:
            return Reason("interest_unknown", base58(bank.address), str(error))

    def _group(self) -> Group | Reason:
        text, name = self.snapshot.markets.get((WHOLE_VENUE, GROUP_STATE)), base58(self.snapshot.venue.address)
        if text is None:
            return Reason("group_unknown", name, "the group has not been read")
        found = group_of(text)
        return Reason("group_unreadable", name, found) if isinstance(found, str) else found
