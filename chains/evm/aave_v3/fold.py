"""Aave v3 events and reads → journals.

Aspects of `market_change`, all integers beyond 2^53 as text. Of the whole venue:
    `wiring` {provider, oracle, configurator, base_unit, sentinel}, `engine` {engine, revision, supported, exact, since}: whether
    accounts can be valued, and whether balances are exact; `followed` {contract: first block},
    `sentinel` {address, borrowing, liquidations}: what it answers after the block, as `outcome:hexadecimal words`, `null` without one,
    `emode:<id>` {ltv, liquidation_threshold, liquidation_bonus, price_source, label},
    `emode_assets:<id>` {collateral, borrowable, ltvzero, isolated}: ids of reserves, from 3.2 on.
Of an asset:
    `reserve` {id, symbol, decimals, a_token, variable_debt_token, stable_debt_token, since}, `source` {source, since},
    `rounding` {a_token, variable_debt_token}: the rule of each token, `null` for one that is not known; absent, both are half up,
    `rates` {liquidity_index, liquidity_rate, variable_borrow_index, variable_borrow_rate, updated_at},
    `terms` {ltv, liquidation_threshold, liquidation_bonus, emode},
    `limits` {active, frozen, paused, borrowing, borrow_cap, debt_ceiling, borrowable_in_isolation, siloed, protocol_fee, grace_until}:
    the cap in whole tokens, the ceiling in base currency with two decimals, the fee in basis points of the bonus, Unix seconds,
    `isolation` {total_debt}: what counts towards the ceiling; `deficit` {amount}: bad debt in token units; `treasury` {address};
    `variable_debt` {scaled}: of all accounts together, as stored; `stable_total` {principal, rate, updated_at}: of all stable debt, as its
    token counts it; both are followed from the reserve's listing on, or absent;
    `liquidity` {virtual, supplied}: since 3.1, the tokens that the pool counts as left, and what all accounts together supplied, as stored;
    `held` {outcome, output, silent}: before 3.1, what its token answered of what the aToken holds, and how often that changed without an
    event since the last one; absent where it is not read;
    `discount` {since}: somebody's debt grows by less than the index.
Settings of `account_change`: `collateral`, `stable_debt` {principal, rate, updated_at} and `discount` (the debt is not known exactly)
per asset, `emode` of the account; units are owners.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import pyarrow as pa

from chains.errors import NoContract
from chains.evm.aave_v3 import events as ev
from chains.evm.aave_v3 import held
from chains.evm.aave_v3.accruals import Updates, rates_of
from chains.evm.aave_v3.columns import Entries
from chains.evm.aave_v3.engines import ENGINES
from chains.evm.aave_v3.flows import Counted
from chains.evm.aave_v3.liquidity import ASPECT, before, left_of, settle
from chains.evm.aave_v3.market import HANDLERS, SIDES, Pass
from chains.evm.aave_v3.sentinel import watch
from chains.evm.aave_v3.spans import Logged, emitted_by, enter, logged
from chains.evm.aave_v3.tips import Tips
from chains.evm.logs import unhex
from chains.evm.ports import ETH_CALL, FIRST_LOG, Answer, Folded, NeedReads, Read, Reads
from chains.model import WHOLE_VENUE, Block, Side, VenueSpec
from chains.ports import MarketKey, StateReader

FIRST_WITH_DEFICIT = 7
"""`POOL_REVISION` of 3.3."""


class AaveV3:
    """The fold of one Aave v3 market (or a fork of it), found by its pool and its addresses provider."""

    __slots__ = ("provider", "venue")

    def __init__(self, venue: VenueSpec, provider: bytes) -> None:
        self.venue = venue
        self.provider = provider

    @classmethod
    def topics(cls, venue: VenueSpec) -> tuple[bytes, ...]:
        """Return the topic0 of every event that matters."""
        del venue
        return tuple(event.topic0 for event in ev.EVENTS)

    @classmethod
    def origin(cls, venue: VenueSpec, *, begun: bool) -> Read:
        """Ask for the log in which an addresses provider announced the pool: its third topic is the pool."""
        del begun
        return Read(venue.start_block, FIRST_LOG, venue.address, ev.PROXY_CREATED.topic0)

    @classmethod
    def found(cls, venue: VenueSpec, answer: Answer | None) -> AaveV3:
        """Make the fold of a venue from that log, as JSON; raises `NoContract` where there is none."""
        if answer is None or not answer.returned:
            raise NoContract(
                f"venue {venue.id}: 0x{venue.address.hex()} on {venue.chain_id} was not announced by any addresses provider"
                f" from block {venue.start_block} on; check that it is the protocol's main contract and that `start_block`"
                " is not later than its deployment"
            )
        return cls(venue, unhex(json.loads(answer.output)["address"]))

    def contracts(self, state: StateReader) -> Mapping[bytes, int]:
        """Return pool, provider and whatever the journals know of oracle, configurator and tokens."""
        return self._contracts(state.markets(self.venue.id))

    def decode(self, logs: pa.Table) -> Logged:
        """Turn the logs of a span into the market's events."""
        return logged(logs)

    def fold(self, state: StateReader, decoded: Logged, times: Mapping[int, int], reads: Reads) -> Folded | NeedReads:
        """Derive rows from a span's events; asks for what none carries: symbols, decimals, ids, sources, base unit, revision.

        What few events tell (listing, terms, wiring) comes first: it says what the many of accounts and balances mean, and from when.
        """
        work = Pass(self.venue, self.provider, state, reads, times)
        for event in decoded.few:
            HANDLERS[event.event](work, event)
        if not reads.missing:
            watch(work)
            settle(work)
            if work.versions.terms.reads_liquidity:
                held.watch(work, held.moved_by(decoded, work.liquidations, self.venue.address))
        if reads.is_open():
            return NeedReads(reads=frozenset(reads.missing), looks=frozenset(reads.unlooked))
        contracts = self._contracts(work.tips.markets)
        mine = [misfit for misfit in decoded.misfits if misfit.address in contracts]
        work.tips.rows.quarantined += [misfit.quarantined(self.venue.id) for misfit in mine]
        entries = Entries(
            venue=self.venue, epochs=work.epochs, rows=work.tips.rows, owed=work.owed(), counted=counted_by(work)
        )
        enter(decoded, entries, state, times)
        if work.accruals:
            work.accrue(Updates(emitted_by(self.venue.address, decoded.of(ev.RESERVE_DATA_UPDATED)), times), times)
        if reads.missing:
            return NeedReads(reads=frozenset(reads.missing))
        return Folded(rows=work.tips.rows, contracts=contracts, sources=work.sources)

    def totals(
        self, markets: Mapping[MarketKey, str], sums: Mapping[tuple[bytes, Side], int], at: Block
    ) -> Mapping[Read, int]:
        """Ask each token whose balances are exact for its scaled total supply, and the pool for what no sum tells.

        The supply is the sum of the holders' scaled balances; of the pool: both indexes of each reserve by now, what it has left, and
        its bad debt.
        """
        known = Tips(self.venue.id, markets)
        engine = known.state(WHOLE_VENUE, "engine")
        if not engine or not engine["exact"]:
            return {}
        supplies = {
            Read(at.number, ETH_CALL, unhex(reserve[name]), ev.SCALED_TOTAL_SUPPLY.calldata()): sums.get(
                (asset, side), 0
            )
            for asset, reserve in known.each("reserve")
            for name, side in SIDES.items()
            if known.rounding(asset, name) is not None and not (side is Side.BORROW and known.state(asset, "discount"))
        }
        return supplies | (self._pool_totals(known, engine["revision"], at) if engine["supported"] else {})

    def _pool_totals(self, known: Tips, revision: int, at: Block) -> dict[Read, int]:
        """Return what the pool should say of each reserve that is active; one that was dropped has no indexes any more."""
        found: dict[Read, int] = {}
        for asset, limits in known.each("limits"):
            if not limits["active"]:
                continue
            rates = rates_of(known.markets[asset, "rates"])
            told = {
                ev.NORMALIZED_INCOME: rates.income(at.time),
                ev.NORMALIZED_DEBT: rates.debt(ENGINES[revision], at.time),
            }
            if (left := left_of(known.markets.get((asset, ASPECT)))) is not None:
                told[ev.VIRTUAL_BALANCE] = left.virtual
            if revision >= FIRST_WITH_DEFICIT:
                told[ev.RESERVE_DEFICIT] = int((known.state(asset, "deficit") or {"amount": "0"})["amount"])
            found |= {
                Read(at.number, ETH_CALL, self.venue.address, view.calldata(asset)): said for view, said in told.items()
            }
        return found

    def _contracts(self, markets: Mapping[tuple[bytes, str], str]) -> dict[bytes, int]:
        found = {self.venue.address: self.venue.start_block, self.provider: self.venue.start_block}
        followed = json.loads(markets.get((WHOLE_VENUE, "followed"), "{}"))
        return found | {unhex(address): since for address, since in followed.items()}


def counted_by(work: Pass) -> Counted:
    """Return what is known of the tokens of reserves before a span, and by its few events."""
    known = before(work.state.markets(work.venue.id), work.anchors)
    return Counted(before=known, anchors=work.anchors, liquidations=work.liquidations)
