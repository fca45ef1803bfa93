"""The vaults of a venue while a fold runs: how they came to be, their own numbers, what they lend against, and how their oracles quote."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from chains.evm.abi import Event, LoggedEvent
from chains.evm.erc20 import DECIMALS, SYMBOL, decimals_of, symbol_of
from chains.evm.euler_v2 import events as ev
from chains.evm.euler_v2.debts import Book, Changed, Moved, OutOfStep
from chains.evm.euler_v2.maths import ALL_OPERATIONS, DEFAULT_INTEREST_FEE, Debt, Status, accrued, assets_up
from chains.evm.euler_v2.options import Terms
from chains.evm.euler_v2.routes import NotYet, Scout, feeds_of
from chains.evm.euler_v2.tips import NOBODY, Tips, compact
from chains.evm.ports import Reads
from chains.identifiers import hexed
from chains.model import WHOLE_VENUE, Side

ROUTE, LTV = "route:", "ltv:"
UNSUPPORTED = "unsupported_version"
METADATA = 60
"""Bytes that a vault's proxy carries: asset, oracle, unit of account."""

TERMS: Mapping[Event, tuple[str, ...]] = {
    ev.SET_INTEREST_FEE: ("interest_fee",),
    ev.SET_RATE_MODEL: ("rate_model",),
    ev.SET_DISCOUNT: ("max_discount",),
    ev.SET_COOL_OFF: ("cool_off",),
    ev.SET_HOOKS: ("hook_target", "hooked_operations"),
    ev.SET_FLAGS: ("flags",),
    ev.SET_CAPS: ("supply_cap", "borrow_cap"),
}
_LTV_FIELDS = ("borrow", "liquidation", "initial", "target", "ramp")


class Vaults:
    """Every vault of the venue as of now; `sources` are the feeds that were met, with the first block that matters."""

    def __init__(self, terms: Terms, tips: Tips, times: Mapping[int, int], reads: Reads) -> None:
        self.terms = terms
        self.tips = tips
        self.times = times
        self.reads = reads
        self.sources: dict[bytes, int] = {}
        self.known = dict(tips.each("vault"))
        self.routers = {router for router, _ in tips.each("router")}
        self.doubtful = {vault for vault, _ in tips.each("doubt")}
        self.books = {vault: self._book(vault, Status.of(state)) for vault, state in tips.each("status")}
        self.converted: set[bytes] = set()

    def asset(self, vault: bytes) -> bytes:
        """Return the token that a vault lends."""
        return bytes.fromhex(self.known[vault]["asset"][2:])

    def status(self, row: LoggedEvent) -> Status:
        """Return the emitting vault's numbers with interest until this event."""
        self._accrue(row, row.address)
        return self.books[row.address].status

    # Becoming and code

    def proxy_created(self, row: LoggedEvent) -> None:
        """Take in a new vault: a proxy of the factory that carries what a vault carries."""
        vault, upgradeable, implementation, metadata = row.args
        wanted = self.terms.vaults is None or vault in self.terms.vaults
        if row.address != self.terms.factory or len(metadata) != METADATA or not wanted:
            return
        asset, oracle, unit = metadata[:20], metadata[20:40], metadata[40:]
        self.known[vault] = {
            "asset": hexed(asset),
            "symbol": symbol_of(self.reads(row.block, asset, SYMBOL.calldata())) or "",
            "decimals": decimals_of(self.reads(row.block, asset, DECIMALS.calldata())),
            "oracle": hexed(oracle),
            "unit": hexed(unit),
            "unit_decimals": None if unit == NOBODY else self._unit_decimals(row.block, unit),
            "upgradeable": upgradeable,
            "since": row.block,
        }
        self.tips.market(row, vault, "vault", self.known[vault])
        terms = {"interest_fee": DEFAULT_INTEREST_FEE, "hooked_operations": ALL_OPERATIONS}
        self.tips.market(row, vault, "terms", terms)
        self.books[vault] = self._book(vault, Status(at=self.times[row.block]))
        self._keep_status(row, vault)
        code = self.tips.state(WHOLE_VENUE, "code") or {}
        if not code.get("first"):
            code = {"implementation": hexed(implementation), "first": hexed(implementation)}
            self.tips.market(row, WHOLE_VENUE, "code", code)
        self._judge(row, implementation, code["first"], [vault])
        self._route(row, vault, asset)

    def set_implementation(self, row: LoggedEvent) -> None:
        """Let the factory's vaults run other code."""
        if row.address != self.terms.factory:
            return
        (implementation,) = row.args
        code = {"first": None, **(self.tips.state(WHOLE_VENUE, "code") or {}), "implementation": hexed(implementation)}
        self.tips.market(row, WHOLE_VENUE, "code", code)
        upgraded = [vault for vault, state in self.known.items() if state["upgradeable"]]
        self._judge(row, implementation, code["first"], upgraded)

    def _judge(self, row: LoggedEvent, code: bytes, first: str | None, vaults: Sequence[bytes]) -> None:
        """Doubt vaults that run code of which nobody said that it computes as this folder does."""
        allowed = self.terms.implementations
        if hexed(code) == first if allowed is None else code in allowed:
            return
        for vault in vaults:
            detail = f"the vault's code is {hexed(code)}, which is not known to compute as this program does"
            self.doubt(row, vault, UNSUPPORTED, detail)

    def _unit_decimals(self, block: int, unit: bytes) -> int:
        said = decimals_of(self.reads(block, unit, DECIMALS.calldata()))
        return 18 if said is None else said

    def doubt(self, row: LoggedEvent, vault: bytes, code: str, detail: str) -> None:
        """Stop to compute a vault, for good: what it did in between is not known."""
        if vault not in self.doubtful:
            self.doubtful.add(vault)
            self.tips.market(row, vault, "doubt", {"code": code, "detail": detail})

    # Numbers

    def vault_status(self, row: LoggedEvent) -> None:
        """Take a vault's own numbers, and compare those that follow from earlier ones."""
        vault = row.address
        shares, borrows, fees, cash, accumulator, rate, _ = row.args
        expected = self.status(row)
        follows = (expected.accumulator, assets_up(expected.borrows), 0 if vault in self.converted else expected.fees)
        self.converted.discard(vault)
        if (accumulator, borrows, fees) != follows:
            self.doubt(row, vault, "out_of_step", "its interest, debts or fees are not what follows from its events")
        self.books[vault].status = replace(expected, shares=shares, fees=fees, cash=cash, rate=rate)
        self._keep_status(row, vault)

    def settle(self, vault: bytes, logged: Sequence[LoggedEvent], moved: Moved | None) -> list[LoggedEvent]:
        """Take in what a vault logged of debts; returns what was no part of the movement that ends it."""
        last = moved.row if moved else logged[-1]
        self._accrue(last, vault)
        try:
            return self.books[vault].settle(logged, moved)
        except OutOfStep as problem:
            self.doubt(last, vault, "out_of_step", str(problem))
            return []

    def _accrue(self, row: LoggedEvent, vault: bytes) -> None:
        fee = (self.tips.state(vault, "terms") or {})["interest_fee"]
        book = self.books[vault]
        book.status = accrued(book.status, fee, self.times[row.block])

    def _keep_status(self, row: LoggedEvent, vault: bytes) -> None:
        self.tips.market(row, vault, "status", self.books[vault].status.text())

    def _book(self, vault: bytes, status: Status) -> Book:
        def load(account: bytes) -> Debt:
            text = self.tips.settings.get((account, vault, "debt"))
            return Debt() if text is None else Debt.of(json.loads(text))

        def store(changed: Changed) -> None:
            row, account, debt = changed
            self.tips.setting(row, account, vault, "debt", state=debt.text())
            self.tips.position(row, (account, vault, Side.BORROW), self.asset(vault), debt.owed)

        return Book(status, load, store)

    # Terms and prices

    def set_terms(self, row: LoggedEvent) -> None:
        """Note what governance set."""
        values = [hexed(value) if isinstance(value, bytes) else value for value in row.args]
        self.tips.amend(row, row.address, "terms", **dict(zip(TERMS[row.event], values, strict=True)))

    def set_ltv(self, row: LoggedEvent) -> None:
        """Note what a vault lends against a collateral, and find out how its oracle quotes that."""
        collateral, *numbers = row.args
        self.tips.market(row, row.address, LTV + hexed(collateral), dict(zip(_LTV_FIELDS, numbers, strict=True)))
        self._route(row, row.address, collateral)

    def router_changed(self, row: LoggedEvent) -> None:
        """Find the ways anew that lead over a router and the tokens that it was told of; all where it has another fallback."""
        if row.address not in self.routers:
            return
        told = {hexed(token) for token in row.args[:2]} if row.event is ev.CONFIG_SET else {hexed(row.args[0])}
        for (vault, aspect), text in list(self.tips.markets.items()):
            if not aspect.startswith(ROUTE):
                continue
            state = json.loads(text)
            touched = row.event is ev.FALLBACK_SET or told & set(state["path"])
            if hexed(row.address) in state["routers"] and touched:
                self._route(row, vault, bytes.fromhex(aspect.removeprefix(ROUTE)[2:]))

    def _route(self, row: LoggedEvent, vault: bytes, token: bytes) -> None:
        oracle, unit = (bytes.fromhex(self.known[vault][name][2:]) for name in ("oracle", "unit"))
        if oracle == NOBODY:
            return
        scout = Scout(self.reads, row.block, self.terms.oracles, {each: self.asset(each) for each in self.known})
        try:
            way = scout.route(oracle, token, unit)
        except NotYet:
            return
        for router in sorted(scout.routers - self.routers):
            self.routers.add(router)
            self.tips.market(row, router, "router", {"since": row.block})
        for feed in feeds_of(way):
            self.sources.setdefault(feed, row.block)
        state = {"way": way, "path": sorted(map(hexed, scout.path)), "routers": sorted(map(hexed, scout.routers))}
        if self.tips.markets.get((vault, ROUTE + hexed(token))) != compact(state):
            self.tips.market(row, vault, ROUTE + hexed(token), state)
