"""What Save's instructions tell of obligations; their numbers, accounts and order as the program's `instruction.rs` documents them.

The program checks that the signer of a deposit, a withdrawal or a loan owns the obligation; anybody may repay and liquidate. Amounts are
those that its token transfers move. A loan is all that leaves the reserve, fees included. Deposits of collateral tokens as such are told in
these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from chains.model import Side, VenueSpec
from chains.ports import MarketKey
from chains.solana.calls import Call, Flows, calls
from chains.solana.save.layout import OBLIGATION, OWNER, PROGRAM
from chains.solana.save.maths import WAD
from chains.solana.told import (
    BORROW,
    FLASH_BORROW,
    FLASH_REPAY,
    LIQUIDATION,
    NO_UNIT,
    REPAY,
    SUPPLY,
    WITHDRAW,
    WRITE_OFF,
    Deed,
    Delta,
    Parties,
    Strange,
    Telling,
    Told,
    holder_of,
    mint_of,
    parties,
    telling,
)
from chains.solana.transactions import Transaction, text_of

Named = Mapping[str, bytes]
_AMOUNT = slice(1, 9)
_HOST = 10
"""Place of the account that a loan's fee is shared with, behind the token program or the clock."""


def _deposit(call: Call, at: Named, flows: Flows, read: Transaction) -> Deed:
    del call
    amount, collateral = flows.moved(at["source"], at["supply"]), flows.into(at["collateral"])
    delta = Delta(at["unit"], at["reserve"], Side.SUPPLY, amount, collateral)
    other = holder_of(read, at["source"])
    return _line(SUPPLY, at, read, amount, (delta,), {"collateral_raw": str(collateral)}, other=other)


def _withdraw(call: Call, at: Named, flows: Flows, read: Transaction) -> Deed:
    del call
    amount, collateral = flows.moved(at["supply"], at["target"]), flows.out_of(at["collateral"])
    delta = Delta(at["unit"], at["reserve"], Side.SUPPLY, -amount, -collateral)
    other = holder_of(read, at["target"])
    return _line(WITHDRAW, at, read, amount, (delta,), {"collateral_raw": str(collateral)}, other=other)


def _deposit_collateral(call: Call, at: Named, flows: Flows, read: Transaction) -> Deed:
    del call
    amount = flows.moved(at["source"], at["supply"])
    delta = Delta(at["unit"], at["reserve"], Side.SUPPLY, None, amount)
    other = holder_of(read, at["source"])
    return _line(SUPPLY, at, read, amount, (delta,), {"collateral_raw": str(amount)}, other=other)


def _withdraw_collateral(call: Call, at: Named, flows: Flows, read: Transaction) -> Deed:
    del call
    amount = flows.moved(at["supply"], at["target"])
    delta = Delta(at["unit"], at["reserve"], Side.SUPPLY, None, -amount)
    other = holder_of(read, at["target"])
    return _line(WITHDRAW, at, read, amount, (delta,), {"collateral_raw": str(amount)}, other=other)


def _borrow(call: Call, at: Named, flows: Flows, read: Transaction) -> Deed:
    hosts = set(call.accounts[_HOST - 1 :]) - {at["target"], at["fees"]}
    fee = flows.moved(at["supply"], at["fees"]) + sum(flows.moved(at["supply"], host) for host in hosts)
    amount = flows.moved(at["supply"], at["target"]) + fee
    delta = Delta(at["unit"], at["reserve"], Side.BORROW, amount)
    return _line(BORROW, at, read, amount, (delta,), {"fee_raw": str(fee)}, other=holder_of(read, at["target"]))


def _repay(call: Call, at: Named, flows: Flows, read: Transaction) -> Deed:
    del call
    amount = flows.moved(at["source"], at["supply"])
    delta = Delta(at["unit"], at["reserve"], Side.BORROW, -amount)
    return _line(REPAY, at, read, amount, (delta,), {}, other=at["payer"])


def _liquidate(call: Call, at: Named, flows: Flows, read: Transaction) -> Deed:
    """Tell of a liquidation; where there is no `redeemed` account the liquidator keeps collateral tokens."""
    del call
    repaid, collateral = flows.moved(at["source"], at["supply"]), flows.out_of(at["collateral"])
    extra = {"collateral_market": text_of(at["seized_reserve"]), "collateral_raw": str(collateral)}
    if "redeemed" in at:
        extra["collateral_asset"] = text_of(mint_of(read, (at["seized_supply"], at["redeemed"])))
        extra["collateral_amount_raw"] = str(flows.moved(at["seized_supply"], at["redeemed"]))
        extra["fee_raw"] = str(flows.moved(at["redeemed"], at["fees"]))
    else:
        extra["collateral_asset"] = text_of(mint_of(read, (at["collateral"], at["target"])))
        extra["collateral_amount_raw"] = str(collateral)
    deltas = (
        Delta(at["unit"], at["reserve"], Side.BORROW, -repaid),
        Delta(at["unit"], at["seized_reserve"], Side.SUPPLY, None, -collateral),
    )
    return _line(LIQUIDATION, at, read, repaid, deltas, extra, other=at["liquidator"])


def _write_off(call: Call, at: Named, flows: Flows, read: Transaction) -> Deed:
    del flows
    amount = int.from_bytes(call.data[_AMOUNT], "little")
    delta = Delta(at["unit"], at["reserve"], Side.BORROW, None)
    return _line(WRITE_OFF, at, read, amount, (delta,), {"at_most": True})


def _flash_borrow(call: Call, at: Named, flows: Flows, read: Transaction) -> Deed:
    """Tell of a flash loan: whose account it went into got it, for nobody signs."""
    del call
    owner = holder_of(read, at["target"]) or at["target"]
    return _line(FLASH_BORROW, at, read, flows.moved(at["supply"], at["target"]), (), {}, owner=owner)


def _flash_repay(call: Call, at: Named, flows: Flows, read: Transaction) -> Deed:
    del call
    fee = flows.moved(at["source"], at["fees"]) + flows.moved(at["source"], at["host_fees"])
    amount = flows.moved(at["source"], at["supply"])
    return _line(FLASH_REPAY, at, read, amount, (), {"fee_raw": str(fee)}, owner=at["payer"])


def _line(  # noqa: PLR0917 - as many facts as a line has
    kind: str,
    at: Named,
    read: Transaction,
    amount: int,
    deltas: tuple[Delta, ...],
    extra: Mapping[str, object],
    *,
    other: bytes | None = None,
    owner: bytes | None = None,
) -> Deed:
    return Deed(
        kind=kind,
        unit=at.get("unit", NO_UNIT),
        owner=owner or at.get("owner"),
        market=at["reserve"],
        asset=mint_of(read, [at["supply"]]) if "supply" in at else b"",
        amount=amount,
        counterparty=other,
        extra=extra,
        deltas=deltas,
    )


class _Form(NamedTuple):
    accounts: Parties
    tell: Callable[[Call, Named, Flows, Transaction], Deed]


def _form(name: str, roles: str, tell: Callable[[Call, Named, Flows, Transaction], Deed]) -> _Form:
    return _Form(parties(name, roles), tell)


_INIT = 6
_NEW = parties("init_obligation", "unit market owner")

_FORMS: Mapping[int, _Form] = {
    8: _form("deposit_obligation_collateral", "source supply reserve unit market owner", _deposit_collateral),
    9: _form("withdraw_obligation_collateral", "supply target reserve unit market - owner", _withdraw_collateral),
    10: _form("borrow_obligation_liquidity", "supply target reserve fees unit market - owner", _borrow),
    11: _form("repay_obligation_liquidity", "source supply reserve unit market payer", _repay),
    12: _form(
        "liquidate_obligation",
        "source target reserve supply seized_reserve collateral unit market - liquidator",
        _liquidate,
    ),
    14: _form(
        "deposit_reserve_liquidity_and_obligation_collateral",
        "source - reserve supply - market - collateral unit owner",
        _deposit,
    ),
    15: _form(
        "withdraw_obligation_collateral_and_redeem_reserve_liquidity",
        "collateral - reserve unit market - target - supply owner",
        _withdraw,
    ),
    17: _form(
        "liquidate_obligation_and_redeem_reserve_collateral",
        "source target redeemed reserve supply seized_reserve - collateral seized_supply fees unit market - liquidator",
        _liquidate,
    ),
    19: _form("flash_borrow_reserve_liquidity", "supply target reserve market", _flash_borrow),
    20: _form("flash_repay_reserve_liquidity", "source supply fees host_fees reserve market payer", _flash_repay),
    21: _form("forgive_debt", "unit reserve market", _write_off),
}

_SILENT = frozenset({0, 1, 2, 3, 4, 5, 7, 16, 18, 22, 23, 24})
"""Instructions that change no position of an obligation. Deposits that stay in wallets as collateral tokens are among them."""


class SaveTeller:
    """The instructions of Save that concern one lending market."""

    nets = False

    def __init__(self, venue: VenueSpec) -> None:
        self._market = venue.address

    def tell(self, read: Transaction) -> Iterator[Telling]:
        """Yield what each call did to obligations of the market."""
        return telling(calls(read, PROGRAM), lambda call: self._told(call, read))

    def worth(self, markets: Mapping[MarketKey, str], market: bytes, side: Side, amount: int) -> int | None:
        """Return a debt in raw token units; collateral is compared in its own tokens."""
        del markets, market
        return amount // WAD if side is Side.BORROW else None

    def owner(self, account: bytes) -> bytes | None:
        """Return the owner in an obligation's account."""
        return None if OBLIGATION.problem(account) else account[OWNER]

    def _told(self, call: Call, read: Transaction) -> Told | None:
        number = call.data[0] if call.data else -1
        if number == _INIT:
            at = _NEW.of(call)
            mine = at["market"] == self._market
            owners = {at["unit"]: at["owner"]}
            return Told(name=_NEW.name, owners=owners, born=(at["unit"],)) if mine else None
        if number in _FORMS:
            return self._formed(call, read, _FORMS[number])
        if number in _SILENT:
            return None
        raise Strange(f"unknown_instruction:{call.data[:1].hex()}")

    def _formed(self, call: Call, read: Transaction, form: _Form) -> Told | None:
        at = form.accounts.of(call)
        if at["market"] != self._market:
            return None
        deed = form.tell(call, at, call.flows(), read)
        nothing = not deed.amount and all(not delta.exact for delta in deed.deltas)
        owners = {at["unit"]: at["owner"]} if "owner" in at else {}
        return Told(name=form.accounts.name, deeds=() if nothing else (deed,), owners=owners)


teller = SaveTeller
