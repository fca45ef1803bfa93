"""Accounts of a lending market as observed into journals.

Market aspects: `terms` and `reserve` (market = a reserve) as `reserve.py` writes them, where `reserve` is {"problem": text} for a reserve
that cannot be read; `price` (market = a price account) as `price.py` writes it; `lending_market` (no market) {"problem": text or null},
once there was one. One setting of a unit (an obligation), for no market: `obligation` {"owner", "closeable", "deposits": [reserve],
"borrows": [[reserve, cumulative rate]]} in the order of its account. A borrow of more digits than a column holds has its amount third;
where closeable, "attributed" has the debt attributed to each deposit; "problem" says why nothing is known any more. Positions: raw units
of the reserve's collateral token, and wads of raw token units owed.

Each row stands at the end of the slot that its account was seen in. What changed between two looks at an obligation is told as events
with "observed"; what an obligation held when it was first seen is no event.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby

from chains.identifiers import base58
from chains.model import WHOLE_VENUE, AccountBytes, Rows, VenueSpec
from chains.ports import StateReader
from chains.solana.ports import AccountSet
from chains.solana.save.columns import WORTH_COLUMNS, enter_many
from chains.solana.save.events import tell
from chains.solana.save.layout import (
    MARKET,
    MARKET_AT,
    OBLIGATION,
    OWNER,
    PROGRAM,
    RESERVE,
    Malformed,
    Obligation,
    obligations,
    reserve_fields,
)
from chains.solana.save.price import price_state
from chains.solana.save.reserve import liquidation_state, pool_state, terms_state
from chains.solana.save.tips import LENDING_MARKET, NOTHING, POOL, PRICE, TERMS, Tips
from chains.solana.seen import Seen

GONE = "there is no account at this address any more"


class Save:
    """One lending market: its reserves, its obligations, and the price accounts that its reserves name."""

    def __init__(self, venue: VenueSpec) -> None:
        self._venue = venue

    @property
    def venue(self) -> VenueSpec:
        """The venue that this fold derives."""
        return self._venue

    @property
    def sets(self) -> Sequence[AccountSet]:
        """All accounts of the program that name the market: one that outgrows its known size must not seem to be gone."""
        return (AccountSet("account", PROGRAM, None, ((MARKET_AT, self._venue.address),), spread=OWNER.start),)

    def others(self, state: StateReader) -> Collection[bytes]:
        """The market itself, and the price accounts that its reserves name."""
        tips = Tips(self._venue.id, state.markets(self._venue.id))
        return {self._venue.address, *tips.price_accounts}

    def fold(self, state: StateReader, seen: Sequence[Seen]) -> Rows:
        """Derive rows from accounts whose bytes changed."""
        tips = Tips(self._venue.id, state.markets(self._venue.id))
        tips.learn(state, {address for address, account in seen if _perhaps_unit(account)})
        often = Counter(address for address, _ in seen)
        for slot, accounts in groupby(sorted(seen, key=_slot), key=_slot):
            self._enter(tips, slot, list(accounts), often)
        return tips.rows

    def _enter(self, tips: Tips, slot: int, seen: Sequence[Seen], often: Mapping[bytes, int]) -> None:
        """Enter what was seen in one slot, reserves before the obligations that name them; `often`: how often each account was."""
        own = [each for each in seen if each[0] != self._venue.address and each[1].owner == PROGRAM]
        held = [each for each in own if len(each[1].data) == OBLIGATION.size]
        for address, account in own:
            match len(account.data):
                case RESERVE.size:
                    _enter_reserve(tips, address, account)
                case OBLIGATION.size:
                    pass
                case size:
                    problem = f"the account has {size} bytes, as no reserve and no obligation has"
                    _set_aside(tips, address, account, "unknown_account", problem)
        for address, account in seen:
            if address == self._venue.address:
                self._market(tips, account)
            elif account.closed:
                _close(tips, address, account)
            elif account.owner != PROGRAM:
                tips.market(slot, address, PRICE, price_state(account))
        _enter_obligations(tips, slot, held, often)

    def _market(self, tips: Tips, account: AccountBytes) -> None:
        """Note what is wrong with the market itself, or that nothing is any more; the chain's other venues go on."""
        problem = self._problem(account)
        if problem is not None and not account.closed:
            tips.quarantine(account.slot, "unknown_account:lending_market", account.data)
        if problem is not None or (WHOLE_VENUE, LENDING_MARKET) in tips.markets:
            tips.market(account.slot, WHOLE_VENUE, LENDING_MARKET, {"problem": problem})

    def _problem(self, account: AccountBytes) -> str | None:
        problem = MARKET.problem(account.data)
        if account.closed:
            problem = GONE
        elif account.owner != PROGRAM:
            problem = f"the account belongs to program {base58(account.owner)}"
        if problem is None:
            return None
        return f"{base58(self._venue.address)} is no lending market of Save: {problem}; see `address` of the venue"


def _slot(seen: Seen) -> int:
    return seen[1].slot


def _perhaps_unit(account: AccountBytes) -> bool:
    return account.closed or (account.owner == PROGRAM and len(account.data) != RESERVE.size)


def _enter_reserve(tips: Tips, address: bytes, account: AccountBytes) -> None:
    try:
        fields = reserve_fields(account.data)
    except Malformed as problem:
        _set_aside(tips, address, account, "malformed_account:reserve", str(problem))
        return
    tips.market(account.slot, address, TERMS, terms_state(fields) | liquidation_state(fields))
    tips.market(account.slot, address, POOL, pool_state(fields))


def _enter_obligations(tips: Tips, slot: int, held: Sequence[Seen], often: Mapping[bytes, int]) -> None:
    """Enter obligations; those that are new and not seen again as columns, if they are many."""
    new = [each for each in held if often[each[0]] == 1 and tips.unit(each[0]) is None]
    if len(new) >= WORTH_COLUMNS:
        odd = enter_many(tips, slot, [address for address, _ in new], [account.data for _, account in new])
        entered = {address for address, _ in new} - odd
        held = [each for each in held if each[0] not in entered]
    read = obligations([account.data for _, account in held])
    for (address, account), obligation in zip(held, read, strict=True):
        _enter_obligation(tips, address, account, obligation)


def _enter_obligation(tips: Tips, address: bytes, account: AccountBytes, held: Obligation | Malformed) -> None:
    if isinstance(held, Malformed):
        _set_aside(tips, address, account, "malformed_account:obligation", str(held))
        return
    before = tips.unit(address)
    tips.hold(account.slot, address, held)
    if before is not None:
        tell(tips, account.slot, address, before.held, held)


def _set_aside(tips: Tips, address: bytes, account: AccountBytes, reason: str, problem: str) -> None:
    """Keep an account that cannot be read; what is known of it stays and is in doubt from now on."""
    tips.quarantine(account.slot, reason, account.data)
    unit = tips.unit(address)
    if (address, POOL) in tips.markets:
        tips.market(account.slot, address, POOL, {"problem": problem})
    elif unit is not None:
        tips.hold(account.slot, address, unit.held, problem)
    elif len(account.data) == OBLIGATION.size:
        tips.hold(account.slot, address, NOTHING._replace(owner=account.data[OWNER]), problem)


def _close(tips: Tips, address: bytes, account: AccountBytes) -> None:
    unit = tips.unit(address)
    if (address, POOL) in tips.markets:
        tips.market(account.slot, address, POOL, {"problem": GONE})
    elif unit is not None:
        nothing = NOTHING._replace(owner=unit.held.owner)
        tips.hold(account.slot, address, nothing)
        tell(tips, account.slot, address, unit.held, nothing)
    elif (address, PRICE) in tips.markets or address in tips.price_accounts:
        tips.market(account.slot, address, PRICE, price_state(account))
