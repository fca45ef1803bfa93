"""What klend's instructions tell of obligations; names, accounts and their order as in the program's own description (IDL, 1.7 to 1.22).

The program checks that the signer of a deposit, a withdrawal or a loan owns the obligation; anybody may repay and liquidate. Amounts are
those that its token transfers move. A loan is all that leaves the reserve, fees included; where a referrer takes part, his share of the
fee is owed too and moves nothing, so that the loan's amount is not named. Deposits of collateral tokens as such are told in these.
Earlier versions knew no mints among the accounts: their instructions are refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from chains.model import Side, VenueSpec
from chains.ports import MarketKey
from chains.solana.anchor import EVENT_CALL, TAG, instruction_tag, tags
from chains.solana.calls import Call, Flows, calls
from chains.solana.kamino.layout import OBLIGATION
from chains.solana.kamino.maths import BITS
from chains.solana.kamino.options import program_of
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
_OWNER = slice(64, 96)
_SOCIALIZED = slice(TAG, TAG + 8)

_DEPOSIT = "owner unit market - reserve mint supply - collateral source - token_program token_program"
_WITHDRAW = "owner unit market - reserve mint collateral - supply target - token_program token_program"
_LIQUIDATE = (
    "liquidator unit market - reserve mint supply seized_reserve seized_mint - collateral seized_supply fees source - target"
    " token_program token_program token_program"
)
_REPAY = "payer unit market reserve mint supply source token_program"


class _Form(NamedTuple):
    """An instruction, or a part of one: its accounts, and what they tell; `first`: the place of the first of them."""

    accounts: Parties
    tell: Callable[[Call, Named, Flows, Transaction], tuple[Deed, ...]]
    proves_owner: bool = False
    first: int = 0


def _deposit(call: Call, at: Named, flows: Flows, read: Transaction) -> tuple[Deed, ...]:
    del call
    amount, collateral = flows.moved(at["source"], at["supply"]), flows.into(at["collateral"])
    delta = Delta(at["unit"], at["reserve"], Side.SUPPLY, amount, collateral)
    other = holder_of(read, at["source"])
    return _some(SUPPLY, at, amount, (delta,), {"collateral_raw": str(collateral)}, other=other)


def _withdraw(call: Call, at: Named, flows: Flows, read: Transaction) -> tuple[Deed, ...]:
    del call
    amount, collateral = flows.moved(at["supply"], at["target"]), flows.out_of(at["collateral"])
    delta = Delta(at["unit"], at["reserve"], Side.SUPPLY, -amount, -collateral)
    other = holder_of(read, at["target"])
    return _some(WITHDRAW, at, amount, (delta,), {"collateral_raw": str(collateral)}, other=other)


def _deposit_collateral(call: Call, at: Named, flows: Flows, read: Transaction) -> tuple[Deed, ...]:
    del call
    amount = flows.moved(at["source"], at["collateral"])
    delta = Delta(at["unit"], at["reserve"], Side.SUPPLY, None, amount)
    named = {**at, "mint": mint_of(read, (at["collateral"], at["source"]))}
    other = holder_of(read, at["source"])
    return _some(SUPPLY, named, amount, (delta,), {"collateral_raw": str(amount)}, other=other)


def _withdraw_collateral(call: Call, at: Named, flows: Flows, read: Transaction) -> tuple[Deed, ...]:
    del call
    amount = flows.moved(at["collateral"], at["target"])
    delta = Delta(at["unit"], at["reserve"], Side.SUPPLY, None, -amount)
    named = {**at, "mint": mint_of(read, (at["collateral"], at["target"]))}
    other = holder_of(read, at["target"])
    return _some(WITHDRAW, named, amount, (delta,), {"collateral_raw": str(amount)}, other=other)


def _borrow(call: Call, at: Named, flows: Flows, read: Transaction) -> tuple[Deed, ...]:
    received, fee = flows.moved(at["supply"], at["target"]), flows.moved(at["supply"], at["fees"])
    referred = at["referrer"] != call.instruction.program
    delta = Delta(at["unit"], at["reserve"], Side.BORROW, None if referred else received + fee)
    extra = {"fee_raw": str(fee)} | ({"referrer": text_of(at["referrer"])} if referred else {})
    return _some(BORROW, at, received + fee, (delta,), extra, other=holder_of(read, at["target"]))


def _repay(call: Call, at: Named, flows: Flows, read: Transaction) -> tuple[Deed, ...]:
    del call, read
    amount = flows.moved(at["source"], at["supply"])
    delta = Delta(at["unit"], at["reserve"], Side.BORROW, -amount)
    return _some(REPAY, at, amount, (delta,), {}, other=at["payer"])


def _liquidate(call: Call, at: Named, flows: Flows, read: Transaction) -> tuple[Deed, ...]:
    del call, read
    repaid, collateral = flows.moved(at["source"], at["supply"]), flows.out_of(at["collateral"])
    redeemed = flows.moved(at["seized_supply"], at["target"])
    extra: dict[str, object] = {
        "collateral_asset": text_of(at["seized_mint"]),
        "collateral_market": text_of(at["seized_reserve"]),
        "collateral_raw": str(collateral),
        "fee_raw": str(flows.moved(at["target"], at["fees"])),
    }
    if redeemed or not collateral:
        extra["collateral_amount_raw"] = str(redeemed)
    deltas = (
        Delta(at["unit"], at["reserve"], Side.BORROW, -repaid),
        Delta(at["unit"], at["seized_reserve"], Side.SUPPLY, None, -collateral),
    )
    return _some(LIQUIDATION, at, repaid, deltas, extra, other=at["liquidator"])


def _roll_over(call: Call, at: Named, flows: Flows, read: Transaction) -> tuple[Deed, ...]:
    """Move a debt to another reserve of the same token; what fees add to it moves nothing."""
    del call, read
    if at["reserve"] == at["new_reserve"]:
        return ()
    amount = flows.moved(at["new_supply"], at["supply"])
    extra: dict[str, object] = {"rollover": True}
    old = Delta(at["unit"], at["reserve"], Side.BORROW, None)
    new = Delta(at["unit"], at["new_reserve"], Side.BORROW, None)
    return (
        *_some(REPAY, at, amount, (old,), extra, other=at["payer"]),
        *_some(BORROW, {**at, "reserve": at["new_reserve"]}, amount, (new,), extra, other=at["payer"]),
    )


def _write_off(call: Call, at: Named, flows: Flows, read: Transaction) -> tuple[Deed, ...]:
    del flows, read
    amount = int.from_bytes(call.data[_SOCIALIZED], "little")
    delta = Delta(at["unit"], at["reserve"], Side.BORROW, None)
    return _some(WRITE_OFF, {**at, "mint": b""}, amount, (delta,), {"at_most": True})


def _flash_borrow(call: Call, at: Named, flows: Flows, read: Transaction) -> tuple[Deed, ...]:
    del call, read
    named = {**at, "unit": NO_UNIT}
    return _some(FLASH_BORROW, named, flows.moved(at["supply"], at["target"]), (), {}, owner=at["payer"])


def _flash_repay(call: Call, at: Named, flows: Flows, read: Transaction) -> tuple[Deed, ...]:
    del call, read
    extra: dict[str, object] = {"fee_raw": str(flows.moved(at["source"], at["fees"]))}
    named = {**at, "unit": NO_UNIT}
    return _some(FLASH_REPAY, named, flows.moved(at["source"], at["supply"]), (), extra, owner=at["payer"])


def _some(
    kind: str,
    at: Named,
    amount: int,
    deltas: tuple[Delta, ...],
    extra: Mapping[str, object],
    *,
    other: bytes | None = None,
    owner: bytes | None = None,
) -> tuple[Deed, ...]:
    """Return one line, or none where nothing was moved."""
    if not amount and all(not delta.exact for delta in deltas):
        return ()
    deed = Deed(
        kind=kind,
        unit=at["unit"],
        owner=owner or at.get("owner"),
        market=at["reserve"],
        asset=at["mint"],
        amount=amount,
        counterparty=other,
        extra=extra,
        deltas=deltas,
    )
    return (deed,)


def _forms() -> Iterator[tuple[str, tuple[_Form, ...]]]:
    """Yield each instruction that changes positions with its parts."""

    def one(name: str, roles: str, tell: Callable[..., tuple[Deed, ...]], *, owner: bool = False) -> _Form:
        return _Form(parties(name, roles), tell, owner)

    borrow = "owner unit market - reserve mint supply fees target referrer token_program"
    plain = {
        "deposit_reserve_liquidity_and_obligation_collateral": (_DEPOSIT, _deposit, True),
        "withdraw_obligation_collateral_and_redeem_reserve_collateral": (_WITHDRAW, _withdraw, True),
        "deposit_obligation_collateral": (
            "owner unit market reserve collateral source token_program",
            _deposit_collateral,
            True,
        ),
        "withdraw_obligation_collateral": (
            "owner unit market - reserve collateral target token_program",
            _withdraw_collateral,
            True,
        ),
        "borrow_obligation_liquidity": (borrow, _borrow, True),
        "repay_obligation_liquidity": (_REPAY, _repay, False),
        "liquidate_obligation_and_redeem_reserve_collateral": (
            _LIQUIDATE,
            _liquidate,
            False,
        ),
    }
    for name, (roles, tell, owner) in plain.items():
        yield name, (one(name, roles, tell, owner=owner),)
        yield f"{name}_v2", (one(f"{name}_v2", roles, tell, owner=owner),)
    filled = borrow.replace("owner", "payer")
    yield "fill_borrow_order", (one("fill_borrow_order", filled, _borrow),)
    for name, first in (
        ("repay_and_withdraw_and_redeem", _Form(parties("repay_and_withdraw_and_redeem", _REPAY), _repay)),
        ("deposit_and_withdraw", _Form(parties("deposit_and_withdraw", _DEPOSIT), _deposit, proves_owner=True)),
    ):
        second = 9 if first.tell is _repay else 14
        yield name, (first, _Form(parties(name, _WITHDRAW), _withdraw, proves_owner=True, first=second))
    rolled = "payer unit market - reserve new_reserve mint supply new_supply token_program"
    yield "rollover_fixed_term_borrow", (one("rollover_fixed_term_borrow", rolled, _roll_over),)
    for name in ("socialize_loss", "socialize_loss_v2"):
        yield name, (one(name, "- unit market reserve", _write_off),)
    flash_borrow = "payer - market reserve mint supply target fees - - - token_program"
    yield "flash_borrow_reserve_liquidity", (one("flash_borrow_reserve_liquidity", flash_borrow, _flash_borrow),)
    flash_repay = "payer - market reserve mint supply source fees - - - token_program"
    yield "flash_repay_reserve_liquidity", (one("flash_repay_reserve_liquidity", flash_repay, _flash_repay),)


_FORMS = {instruction_tag(name): (name, forms) for name, forms in _forms()}
_INIT, _INIT_NAME = instruction_tag("init_obligation"), "init_obligation"
_NEW = parties(_INIT_NAME, "owner - unit market")

_SILENT = tags(
    (
        "init_lending_market", "update_lending_market", "update_lending_market_owner", "init_reserve", "clone_reserve_config",
        "init_farms_for_reserve", "update_reserve_config", "update_entire_reserve_config", "redeem_fees", "withdraw_protocol_fee",
        "seed_deposit_on_init_reserve", "topup_reserve_rewards", "mark_obligation_for_deleveraging", "refresh_reserve",
        "refresh_reserves_batch", "deposit_reserve_liquidity", "redeem_reserve_collateral", "init_obligation_farms_for_reserve",
        "refresh_obligation_farms_for_reserve", "refresh_obligation", "request_elevation_group", "init_referrer_token_state",
        "init_user_metadata", "update_user_metadata_owner", "withdraw_referrer_fees", "init_referrer_state_and_short_url",
        "delete_referrer_state_and_short_url", "set_obligation_order", "set_borrow_order", "update_obligation_config",
        "initiate_obligation_ownership_transfer", "approve_obligation_ownership_transfer", "accept_obligation_ownership",
        "abort_obligation_ownership_transfer", "enqueue_to_withdraw", "withdraw_queued_liquidity",
        "recover_invalid_ticket_collateral", "cancel_withdraw_ticket", "init_global_config", "update_global_config",
        "update_global_config_admin", "idl_missing_types",
    )
)  # fmt: skip
"""Instructions that change no position of an obligation. Deposits that stay in wallets as collateral tokens are among them."""


class KaminoTeller:
    """The instructions of klend that concern one lending market."""

    nets = False

    def __init__(self, venue: VenueSpec) -> None:
        self._market = venue.address
        self._program = program_of(venue.options)

    def tell(self, read: Transaction) -> Iterator[Telling]:
        """Yield what each call did to obligations of the market."""
        return telling(calls(read, self._program), lambda call: self._told(call, read))

    def worth(self, markets: Mapping[MarketKey, str], market: bytes, side: Side, amount: int) -> int | None:
        """Return a debt in raw token units; collateral is compared in its own tokens."""
        del markets, market
        return amount >> BITS if side is Side.BORROW else None

    def owner(self, account: bytes) -> bytes | None:
        """Return the owner in an obligation's account."""
        return None if OBLIGATION.problem(account) else account[_OWNER]

    def _told(self, call: Call, read: Transaction) -> Told | None:
        tag = call.data[:TAG]
        if tag == _INIT:
            at = _NEW.of(call)
            mine = at["market"] == self._market
            return Told(name=_INIT_NAME, owners={at["unit"]: at["owner"]}, born=(at["unit"],)) if mine else None
        if tag in _FORMS:
            return self._formed(call, read, *_FORMS[tag])
        if tag in _SILENT or tag == EVENT_CALL:
            return None
        raise Strange(f"unknown_instruction:{tag.hex()}")

    def _formed(self, call: Call, read: Transaction, name: str, forms: tuple[_Form, ...]) -> Told | None:
        deeds: list[Deed] = []
        owners: dict[bytes, bytes] = {}
        for form in forms:
            at = form.accounts.of(call, form.first)
            if at["market"] != self._market:
                return None
            deeds += form.tell(call, at, call.flows(), read)
            if form.proves_owner:
                owners[at["unit"]] = at["owner"]
        return Told(name=name, deeds=tuple(deeds), owners=owners)


teller = KaminoTeller
