"""The few events that say what a market is, folded one by one: reserves, their terms, prices and wiring, and what is seldom."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chains.errors import Unsupported
from chains.evm.aave_v3 import events as ev
from chains.evm.aave_v3 import liquidity
from chains.evm.aave_v3.accruals import BEFORE, Accrual, Rates, Updates, grown
from chains.evm.aave_v3.accruals import text_of as text_of_rates
from chains.evm.aave_v3.engines import ENGINES, FOLLOWED, name_of
from chains.evm.aave_v3.epochs import Epochs, Token
from chains.evm.aave_v3.limits import HANDLERS as OF_LIMITS
from chains.evm.aave_v3.limits import UNLIMITED
from chains.evm.aave_v3.maths import RAY
from chains.evm.aave_v3.options import terms_of
from chains.evm.aave_v3.rounding import Rounding
from chains.evm.aave_v3.stable import NOTHING, StableDebt, note_debt, state_of
from chains.evm.aave_v3.tips import State, Tips
from chains.evm.aave_v3.versions import Versions
from chains.evm.abi import Event, Function, LoggedEvent
from chains.evm.erc20 import DECIMALS, SYMBOL, symbol_of
from chains.evm.logs import unhex
from chains.evm.ports import Reads
from chains.identifiers import hexed
from chains.model import WHOLE_VENUE, Side, VenueSpec
from chains.ports import AccountKey, StateReader

SIDES = {"a_token": Side.SUPPLY, "variable_debt_token": Side.BORROW}
"""Which side of a reserve its tokens stand for, by their name in the aspect `reserve`."""

NOWHERE = bytes(20)
_CONFIGURATOR = b"POOL_CONFIGURATOR".ljust(32, b"\0")


class Pass:
    """One run over the few events of a span: tips of the journals, changed as the events go by, and the rows so far."""

    def __init__(
        self, venue: VenueSpec, provider: bytes, state: StateReader, reads: Reads, times: Mapping[int, int]
    ) -> None:
        self.venue = venue
        self.versions = Versions(venue=venue.address, terms=terms_of(venue.options), reads=reads)
        self.provider = provider
        self.state = state
        self.reads = reads
        self.times = times
        self.tips = Tips(venue.id, state.markets(venue.id))
        self._tokens: dict[bytes, Token] = {}
        self.stable_tokens: dict[bytes, bytes] = {}
        self.stable: dict[AccountKey, StableDebt] = {}
        self.sources: dict[bytes, int] = {}
        self.accruals: list[Accrual] = []
        self.liquidations: list[liquidity.Flow] = []
        self.anchors: list[liquidity.Anchor] = []
        self.counted_at: dict[tuple[int, bytes], liquidity.Left | None] = {}
        self.listed: dict[bytes, int] = {}
        self.sentinels: dict[int, str | None] = {}
        self._treasuries: dict[bytes, bytes] = {}
        self.followed: dict[str, int] = self.tips.state(WHOLE_VENUE, "followed") or {}
        self.wiring: State = self.tips.state(WHOLE_VENUE, "wiring") or {}
        engine = self.tips.state(WHOLE_VENUE, "engine")
        self.exact = bool(engine and engine["exact"])
        self.revision: int | None = engine["revision"] if engine else None
        for asset, reserve in self.tips.each("reserve"):
            self._learn_tokens(asset, reserve)
        self.epochs = Epochs(self.tokens, self.tips.engine)

    # Accounts

    def discount_percent_updated(self, row: LoggedEvent) -> None:
        """Note who pays less interest than others (GHO until 3.3): what is taken off his debt is told by no event."""
        token = self._tokens.get(row.address)
        if token is not None and token.side is Side.BORROW:
            self.tips.account(row, row.args[0], token.asset, "discount", "true")
            if (token.asset, "discount") not in self.tips.markets:
                self.tips.market(row, token.asset, "discount", since=row.block)

    def liquidation_call(self, row: LoggedEvent) -> None:
        collateral, debt, user, covered, seized, liquidator, receive = row.args
        extra = {
            "collateral_asset": hexed(collateral),
            "collateral_amount_raw": str(seized),
            "receive_a_token": receive,
        }
        if row.address == self.venue.address:
            self.tips.history(row, "liquidation", debt, owner=user, other=liquidator, amount=covered, extra=extra)
            self.liquidations += liquidity.liquidated(row)
            engine = ENGINES.get(self.revision or 0)
            if receive and engine and engine.silent:
                known, known_at = self.tips.markets.get((collateral, "rates")), self.listed.get(collateral, BEFORE)
                self.accruals.append(Accrual(row, collateral, known, engine, known_at))

    def accrue(self, updates: Updates, times: Mapping[int, int]) -> None:
        """Note the rates that liquidations changed without telling."""
        for accrual, rates in grown(self.accruals, updates, times, self._owed):
            self.tips.rates(accrual.row, accrual.asset, text_of_rates(rates), accrual.engine.name)

    def _owed(self, accrual: Accrual, rates: Rates) -> bool:
        """Where a reserve earns, somebody owes; where it earns nothing its debt token is asked."""
        reserve = self.tips.state(accrual.asset, "reserve")
        if rates.liquidity_rate or reserve is None:
            return True
        token = unhex(reserve["variable_debt_token"])
        return bool(self._first(accrual.row.block, token, ev.SCALED_TOTAL_SUPPLY))

    # Listing, terms, prices

    def reserve_initialized(self, row: LoggedEvent) -> None:
        if not self.is_from(row, "configurator"):
            return
        asset, a_token, stable, variable, _ = row.args
        decimals = self._first(row.block, asset, DECIMALS)
        data = self._answer(row.block, self.venue.address, ev.RESERVE_DATA, asset)
        reserve = {
            "id": data[7] if data else None,
            "symbol": self._symbol(row.block, asset),
            "decimals": decimals,
            "a_token": hexed(a_token),
            "variable_debt_token": hexed(variable),
            "stable_debt_token": hexed(stable),
            "since": row.block,
        }
        if (asset, "reserve") not in self.tips.markets:
            self.tips.market(row, asset, "variable_debt", scaled="0")
        self.tips.market(row, asset, "reserve", **reserve)
        self.tips.market(row, asset, "terms", ltv=0, liquidation_threshold=0, liquidation_bonus=0, emode=0)
        self.tips.market(row, asset, "limits", **UNLIMITED)
        liquidity.listed(self, row, asset, data[0] if data else None)
        if stable != NOWHERE:
            self.tips.market(row, asset, "stable_total", **state_of(NOTHING))
        self.tips.market(
            row, asset, "rates", liquidity_index=str(RAY), liquidity_rate="0", variable_borrow_index=str(RAY),
            variable_borrow_rate="0", updated_at=0,
        )  # fmt: skip
        if a_token in self._treasuries:
            self.tips.market(row, asset, "treasury", address=hexed(self._treasuries[a_token]))
        self.listed[asset] = (row.block << 32) + row.ordinal
        if self.versions.tell(self.revision):
            self._read_rounding(row, asset, *SIDES)
        elif (told := self.versions.transfers(row.block, a_token, self.revision)) is not Rounding.HALF_UP:
            self.tips.amend(row, asset, "rounding", a_token=told)
        self._learn_tokens(asset, reserve)
        self.epochs.begin(row, self.tokens, self.tips.engine)
        self._follow(row, a_token, stable, variable)
        self._read_source(row, asset)

    def reserve_dropped(self, row: LoggedEvent) -> None:
        if self.is_from(row, "configurator"):
            (asset,) = row.args
            self.tips.amend(row, asset, "terms", ltv=0, liquidation_threshold=0, liquidation_bonus=0, emode=0)
            self.tips.market(row, asset, "limits", **{**UNLIMITED, "active": False})
            liquidity.dropped(self, row, asset)

    def collateral_configuration_changed(self, row: LoggedEvent) -> None:
        if self.is_from(row, "configurator"):
            asset, ltv, threshold, bonus = row.args
            self.tips.amend(row, asset, "terms", ltv=ltv, liquidation_threshold=threshold, liquidation_bonus=bonus)

    def emode_asset_category_changed(self, row: LoggedEvent) -> None:
        if self.is_from(row, "configurator"):
            asset, _, category = row.args
            self.tips.amend(row, asset, "terms", emode=category)

    def emode_category_added(self, row: LoggedEvent) -> None:
        if not self.is_from(row, "configurator"):
            return
        category, ltv, threshold, bonus, price_source, label = row.args
        self.tips.market(
            row, WHOLE_VENUE, f"emode:{category}", ltv=ltv, liquidation_threshold=threshold, liquidation_bonus=bonus,
            price_source=hexed(price_source), label=label,
        )  # fmt: skip
        if price_source != NOWHERE:
            self._read_source(row, price_source)

    def asset_collateral_in_emode_changed(self, row: LoggedEvent) -> None:
        self._name_asset(row, "collateral")

    def asset_ltvzero_in_emode_changed(self, row: LoggedEvent) -> None:
        self._name_asset(row, "ltvzero")

    def _name_asset(self, row: LoggedEvent, role: str) -> None:
        """Note reserve ids, as the pool does: a reserve that takes the id of a dropped one takes its place in categories too."""
        if not self.is_from(row, "configurator"):
            return
        asset, category, named = row.args
        aspect = f"emode_assets:{category}"
        ids = set((self.tips.state(WHOLE_VENUE, aspect) or {}).get(role, ()))
        number = (self.tips.state(asset, "reserve") or {"id": None})["id"]
        ids = ids | {number} if named else ids - {number}
        self.tips.amend(row, WHOLE_VENUE, aspect, **{role: sorted(ids - {None})})

    def asset_borrowable_in_emode_changed(self, row: LoggedEvent) -> None:
        self._name_asset(row, "borrowable")

    def emode_category_isolation_changed(self, row: LoggedEvent) -> None:
        if self.is_from(row, "configurator"):
            category, isolated = row.args
            self.tips.amend(row, WHOLE_VENUE, f"emode_assets:{category}", isolated=isolated)

    def a_token_initialized(self, row: LoggedEvent) -> None:
        """Note whom an aToken pays its protocol's share: it says so before the configurator names it, and when it is upgraded."""
        treasury = row.args[2]
        self._treasuries[row.address] = treasury
        token = self._tokens.get(row.address)
        if token is not None and token.side is Side.SUPPLY:
            self.tips.market(row, token.asset, "treasury", address=hexed(treasury))

    # Prices

    def asset_source_updated(self, row: LoggedEvent) -> None:
        asset, source = row.args
        if self.is_from(row, "oracle") and (asset, "source") in self.tips.markets:
            self._source(row, asset, source)

    def _read_source(self, row: LoggedEvent, asset: bytes) -> None:
        oracle = self.wiring.get("oracle")
        answer = self._first(row.block, unhex(oracle), ev.SOURCE_OF_ASSET, asset) if oracle else None
        self._source(row, asset, unhex(answer) if isinstance(answer, str) else NOWHERE)

    def _source(self, row: LoggedEvent, asset: bytes, source: bytes) -> None:
        if source != NOWHERE:
            self.sources.setdefault(source, row.block)
        self.tips.market(row, asset, "source", source=hexed(source), since=row.block)

    # Wiring

    def owned(self, row: LoggedEvent) -> None:
        """Note the provider's first breath: with it in the span, every address it ever held came by event."""
        self._begin(row)

    def proxy_created(self, row: LoggedEvent) -> None:
        if row.address != self.provider:
            return
        self._begin(row)
        name, proxy, _ = row.args
        if name == _CONFIGURATOR:
            self._wire(row, "configurator", proxy)
        elif proxy == self.venue.address:
            self._read_engine(row)

    def price_oracle_updated(self, row: LoggedEvent) -> None:
        if row.address == self.provider:
            self._begin(row)
            self._wire_oracle(row, row.args[1])

    def price_oracle_sentinel_updated(self, row: LoggedEvent) -> None:
        if row.address == self.provider:
            self._begin(row)
            self._wire_sentinel(row, row.args[1])

    def upgraded(self, row: LoggedEvent) -> None:
        token = self._tokens.get(row.address)
        if row.address == self.venue.address:
            self._read_engine(row)
        elif token is not None and token.rounding is not None:
            self._read_rounding(row, token.asset, *(name for name, side in SIDES.items() if side is token.side))
            self._learn_tokens(token.asset, self.tips.state(token.asset, "reserve") or {})
            self.epochs.begin(row, self.tokens, self.tips.engine)

    def _begin(self, row: LoggedEvent) -> None:
        if row.address != self.provider or self.wiring:
            return
        nothing = dict.fromkeys(("oracle", "configurator", "base_unit", "sentinel"))
        self.wiring = {"provider": hexed(self.provider), **nothing}
        self.tips.market(row, WHOLE_VENUE, "wiring", **self.wiring)
        if row.event is not ev.OWNERSHIP_TRANSFERRED or row.args[0] != NOWHERE:
            self._read_wiring(row)

    def _read_wiring(self, row: LoggedEvent) -> None:
        """Ask an older provider for what it was told before the venue's first block."""
        listed = self._first(row.block, self.venue.address, ev.RESERVES_LIST)
        if listed:
            message = (
                f"venue {self.venue.id}: the market had {len(listed)} reserves at its start_block;"
                " set start_block to the block in which the pool was deployed, or earlier"
            )
            raise Unsupported(message)
        for view, wire in (
            (ev.POOL_CONFIGURATOR, self._wire_configurator),
            (ev.PRICE_ORACLE, self._wire_oracle),
            (ev.PRICE_ORACLE_SENTINEL, self._wire_sentinel),
        ):
            address = self._first(row.block, self.provider, view)
            if isinstance(address, str) and unhex(address) != NOWHERE:
                wire(row, unhex(address))

    def _wire_configurator(self, row: LoggedEvent, address: bytes) -> None:
        self._wire(row, "configurator", address)

    def _wire_oracle(self, row: LoggedEvent, address: bytes) -> None:
        unit = self._first(row.block, address, ev.BASE_CURRENCY_UNIT)
        self.wiring["base_unit"] = None if unit is None else str(unit)
        self._wire(row, "oracle", address)
        for asset, _ in self.tips.each("source"):
            self._read_source(row, asset)

    def _wire_sentinel(self, row: LoggedEvent, address: bytes) -> None:
        self.sentinels[row.block] = None if address == NOWHERE else hexed(address)
        self.wiring |= {"sentinel": self.sentinels[row.block]}
        self.tips.market(row, WHOLE_VENUE, "wiring", **self.wiring)

    def _wire(self, row: LoggedEvent, role: str, address: bytes) -> None:
        self.wiring |= {role: hexed(address)}
        self.tips.market(row, WHOLE_VENUE, "wiring", **self.wiring)
        self._follow(row, address)

    def _follow(self, row: LoggedEvent, *addresses: bytes) -> None:
        """Note contracts to follow from this block on, for ever: what replaced one does not undo its past."""
        fresh = [hexed(a) for a in addresses if a != NOWHERE and hexed(a) not in self.followed]
        if fresh:
            self.followed |= dict.fromkeys(fresh, row.block)
            self.tips.market(row, WHOLE_VENUE, "followed", **self.followed)

    def _read_engine(self, row: LoggedEvent) -> None:
        earlier = self.revision
        said, self.revision = self.versions.pool(row.block)
        before = self.tips.state(WHOLE_VENUE, "engine")
        self.exact = self.revision in FOLLOWED and (before is None or before["exact"])
        self.tips.engine = name_of(said if self.revision is None else self.revision, known=self.revision is not None)
        self.tips.market(
            row, WHOLE_VENUE, "engine", engine=self.tips.engine, revision=self.revision,
            supported=self.exact and self.revision in ENGINES, exact=self.exact, since=row.block,
            **({} if said == self.revision else {"said": said}),
        )  # fmt: skip
        liquidity.upgraded(self, row, earlier)
        self.epochs.begin(row, self.tokens, self.tips.engine)

    def _read_rounding(self, row: LoggedEvent, asset: bytes, *names: str) -> None:
        """Ask tokens which rule they follow; where it was not known once, balances are not, and stay so."""
        reserve = self.tips.state(asset, "reserve") or {}
        found = {name: self.versions.rounding(row.block, name, unhex(reserve[name]), self.revision) for name in names}
        self.tips.amend(row, asset, "rounding", **found)

    # Looking up

    def owed(self) -> dict[bytes, int]:
        """Return the scaled variable debt of all accounts before the span, of the assets where it is followed by now."""
        before = Tips(self.venue.id, self.state.markets(self.venue.id))
        followed = (asset for asset, _ in self.tips.each("variable_debt"))
        return {asset: int((before.state(asset, "variable_debt") or {"scaled": "0"})["scaled"]) for asset in followed}

    def is_from(self, row: LoggedEvent, role: str) -> bool:
        """Tell whether a log is of the contract that has a role in the market now."""
        return bool(self.wiring.get(role) == hexed(row.address))

    @property
    def tokens(self) -> dict[bytes, Token]:
        """The market's tokens as of now."""
        if self.exact:
            return self._tokens
        return {address: token._replace(rounding=None) for address, token in self._tokens.items()}

    def _learn_tokens(self, asset: bytes, reserve: State) -> None:
        others = {address: token for address, token in self._tokens.items() if token.asset != asset}
        self._tokens = others | {
            unhex(reserve[name]): Token(asset, side, self.tips.rounding(asset, name)) for name, side in SIDES.items()
        }
        self.stable_tokens[unhex(reserve["stable_debt_token"])] = asset

    def _answer(self, block: int, to: bytes, view: Function, *arguments: bytes) -> tuple[Any, ...] | None:
        answer = self.reads(block, to, view.calldata(*arguments))
        return view.result(answer.output) if answer.returned else None

    def _first(self, block: int, to: bytes, view: Function, *arguments: bytes) -> Any:  # noqa: ANN401 - the ABI decides
        values = self._answer(block, to, view, *arguments)
        return values[0] if values else None

    def _symbol(self, block: int, token: bytes) -> str:
        return symbol_of(self.reads(block, token, SYMBOL.calldata())) or ""


HANDLERS: Mapping[Event, Callable[[Pass, LoggedEvent], None]] = {
    ev.STABLE_MINT: note_debt,
    ev.STABLE_BURN: note_debt,
    ev.DISCOUNT_PERCENT_UPDATED: Pass.discount_percent_updated,
    ev.LIQUIDATION_CALL: Pass.liquidation_call,
    ev.RESERVE_INITIALIZED: Pass.reserve_initialized,
    ev.RESERVE_DROPPED: Pass.reserve_dropped,
    ev.COLLATERAL_CONFIGURATION_CHANGED: Pass.collateral_configuration_changed,
    ev.EMODE_CATEGORY_ADDED: Pass.emode_category_added,
    ev.EMODE_ASSET_CATEGORY_CHANGED: Pass.emode_asset_category_changed,
    ev.ASSET_COLLATERAL_IN_EMODE_CHANGED: Pass.asset_collateral_in_emode_changed,
    ev.ASSET_LTVZERO_IN_EMODE_CHANGED: Pass.asset_ltvzero_in_emode_changed,
    ev.EMODE_CATEGORY_ISOLATION_CHANGED: Pass.emode_category_isolation_changed,
    ev.ASSET_BORROWABLE_IN_EMODE_CHANGED: Pass.asset_borrowable_in_emode_changed,
    **OF_LIMITS,
    ev.A_TOKEN_INITIALIZED: Pass.a_token_initialized,
    ev.PRICE_ORACLE_SENTINEL_UPDATED: Pass.price_oracle_sentinel_updated,
    ev.ASSET_SOURCE_UPDATED: Pass.asset_source_updated,
    ev.OWNERSHIP_TRANSFERRED: Pass.owned,
    ev.PROXY_CREATED: Pass.proxy_created,
    ev.PRICE_ORACLE_UPDATED: Pass.price_oracle_updated,
    ev.UPGRADED: Pass.upgraded,
}
