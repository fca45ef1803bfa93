"""What marginfi's instructions tell of members' accounts; names and accounts as in the program's own descriptions (IDL, 0.1.0 to 0.1.8).

The program notes an event for each deposit, withdrawal, loan (with its fee) and repayment: the amount in raw units of the bank's token, and
whose account it is. Where the log does not tell, it is what the token transfer moves, unless the token may withhold a fee. Of a liquidation
the collateral is exact; the debt is told as the event's balances before and after, doubles, to the nearest unit. The liquidator's own
account takes the collateral over and pays debt and insurance fee of what it has, or owes it: lines of their own, marked as such.

Lines have the kind of their instruction. A recorded version lets a loan take from the account's own deposit in that bank first; what each
did to either side is not told, and only deposits less debts are compared with accounts.

Within a flash loan, and while a receiver liquidates, the same instructions run: lines say so. Deposits in banks that keep them in another
protocol are told in tokens and not compared with shares.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from chains.model import Side, VenueSpec
from chains.ports import MarketKey
from chains.solana.anchor import TAG, instruction_tag, tags
from chains.solana.calls import Call, Flows, calls
from chains.solana.marginfi.events import (
    BANKRUPT,
    LIQUIDATED,
    MOVED,
    Liquidated,
    Moved,
    bankrupt,
    liquidated,
    moved,
)
from chains.solana.marginfi.fixed import FRACTION_BITS
from chains.solana.marginfi.layout import ACCOUNT
from chains.solana.marginfi.options import program_of
from chains.solana.marginfi.states import FIRST_INTEGRATION, TERMS, TOTALS
from chains.solana.marginfi.tips import SHARE_VALUE
from chains.solana.tokens import TOKEN_PROGRAM, Unreadable
from chains.solana.told import (
    BORROW,
    LIQUIDATION,
    REPAY,
    SUPPLY,
    TRANSFER_ACCOUNT,
    WHOLE_UNIT,
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
)
from chains.solana.transactions import Transaction, text_of

Named = Mapping[str, bytes]
Tell = Callable[[Call, Named, Transaction, str | None], Told]
"""What a call told, given its accounts, its transaction, and what goes on with its unit."""

_AMOUNT = slice(TAG, TAG + 8)


class _Movement(NamedTuple):
    """An instruction that moves tokens between somebody's token account and a bank; `native`: into the bank's own vault."""

    accounts: Parties
    event: str
    kind: str
    side: Side
    sign: int
    native: bool = True


def _movements() -> Iterator[_Movement]:
    into, out_of = "group unit authority bank user vault", "group unit authority bank user - vault"
    for event, kind, side, sign, roles in (
        ("Deposit", SUPPLY, Side.SUPPLY, 1, into),
        ("Repay", REPAY, Side.BORROW, -1, into),
        ("Withdraw", WITHDRAW, Side.SUPPLY, -1, out_of),
        ("Borrow", BORROW, Side.BORROW, 1, out_of),
    ):
        yield _Movement(parties(f"lending_account_{event.lower()}", roles), event, kind, side, sign)
    for protocol, place in (("kamino", 4), ("drift", 7), ("juplend", 4), ("solend", 4)):
        roles = "group unit authority bank" + " -" * (place - 4) + " user"
        yield _Movement(parties(f"{protocol}_deposit", roles), "", SUPPLY, Side.SUPPLY, 1, native=False)
        yield _Movement(parties(f"{protocol}_withdraw", roles), "", WITHDRAW, Side.SUPPLY, -1, native=False)


_LIQUIDATE = parties(
    "lending_account_liquidate", "group asset_bank debt_bank liquidator authority unit - vault insurance"
)
_BANKRUPTCY = parties("lending_pool_handle_bankruptcy", "group - bank unit")
_PURGE = parties("purge_deleverage_balance", "group unit - bank")
_NEW = tuple(
    parties(name, "group unit authority") for name in ("marginfi_account_initialize", "marginfi_account_initialize_pda")
)
_MOVED_OVER = tuple(
    parties(name, "group unit new authority - new_authority")
    for name in ("transfer_to_new_account", "transfer_to_new_account_pda")
)
_HANDED_OVER = parties("set_new_account_authority", "unit group authority new_authority")
_BEGIN = {
    instruction_tag("lending_account_start_flashloan"): "flashloan",
    instruction_tag("start_liquidation"): "receivership",
    instruction_tag("start_deleverage"): "receivership",
}
_END = {
    instruction_tag("lending_account_end_flashloan"): "flashloan",
    instruction_tag("end_liquidation"): "receivership",
    instruction_tag("end_deleverage"): "receivership",
}
_SILENT = tags(
    (
        "config_group_fee", "configure_bank_rate_limits", "configure_deleverage_withdrawal_limit", "configure_group_rate_limits",
        "drift_harvest_reward", "drift_init_user", "edit_global_fee_state", "edit_staked_settings", "init_bank_metadata",
        "init_global_fee_state", "init_staked_settings", "juplend_init_position", "kamino_harvest_reward", "kamino_init_obligation",
        "lending_account_clear_emissions", "lending_account_close_balance", "lending_account_pulse_health",
        "lending_account_settle_emissions", "lending_account_sort_balances", "lending_account_withdraw_emissions",
        "lending_account_withdraw_emissions_permissionless", "lending_pool_accrue_bank_interest", "lending_pool_add_bank",
        "lending_pool_add_bank_drift", "lending_pool_add_bank_juplend", "lending_pool_add_bank_kamino",
        "lending_pool_add_bank_permissionless", "lending_pool_add_bank_solend", "lending_pool_add_bank_with_seed",
        "lending_pool_clone_bank", "lending_pool_clone_emode", "lending_pool_close_bank", "lending_pool_collect_bank_fees",
        "lending_pool_configure_bank", "lending_pool_configure_bank_emode", "lending_pool_configure_bank_interest_only",
        "lending_pool_configure_bank_limits_only", "lending_pool_configure_bank_oracle",
        "lending_pool_force_tokenless_repay_complete", "lending_pool_pulse_bank_price_cache", "lending_pool_reclaim_emissions_vault",
        "lending_pool_set_fixed_oracle_price", "lending_pool_setup_emissions", "lending_pool_update_emissions_parameters",
        "lending_pool_update_fees_destination_account", "lending_pool_withdraw_fees", "lending_pool_withdraw_fees_permissionless",
        "lending_pool_withdraw_insurance", "marginfi_account_close", "marginfi_account_close_order",
        "marginfi_account_end_execute_order", "marginfi_account_init_liq_record", "marginfi_account_keeper_close_order",
        "marginfi_account_place_order", "marginfi_account_set_freeze", "marginfi_account_set_keeper_close_flags",
        "marginfi_account_start_execute_order", "marginfi_account_update_emissions_destination_account", "marginfi_group_configure",
        "marginfi_group_initialize", "migrate_curve", "migrate_pyth_push_oracle", "panic_pause", "panic_unpause",
        "panic_unpause_permissionless", "propagate_fee_state", "propagate_staked_settings", "set_account_flag",
        "solend_init_obligation", "unset_account_flag", "update_deleverage_withdrawals",
        "update_group_rate_limiter", "write_bank_metadata",
    )
)  # fmt: skip
"""Instructions that change no position. `lending_account_close_balance` closes what is less than one unit."""


class MarginfiTeller:
    """The instructions of marginfi that concern one group."""

    nets = True

    def __init__(self, venue: VenueSpec) -> None:
        self._group = venue.address
        self._program = program_of(venue.options)

    def tell(self, read: Transaction) -> Iterator[Telling]:
        """Yield what each call did to accounts of the group."""
        during: dict[bytes, str] = {}
        for call in calls(read, self._program):
            try:
                told = self._told(call, read, during)
            except Strange as strange:
                yield call, strange
            except (Unreadable, ValueError) as problem:
                yield call, Strange(f"unreadable:{problem}")
            else:
                if told is not None:
                    yield call, told

    def worth(self, markets: Mapping[MarketKey, str], market: bytes, side: Side, amount: int) -> int | None:
        """Return shares in raw token units at the bank's share value; `None` for a bank that nobody has read, or of another protocol's."""
        totals, terms = markets.get((market, TOTALS)), json.loads(markets.get((market, TERMS), "{}"))
        if totals is None or terms.get("asset_tag", FIRST_INTEGRATION) >= FIRST_INTEGRATION:
            return None
        return amount * int(json.loads(totals)[SHARE_VALUE[side]]) >> 2 * FRACTION_BITS

    def owner(self, account: bytes) -> bytes | None:
        """Return the authority in a member's account."""
        at = ACCOUNT.fields["authority"][0]
        return None if ACCOUNT.problem(account) else account[at : at + 32]

    def _told(self, call: Call, read: Transaction, during: dict[bytes, str]) -> Told | None:
        """Say what a call did; `during`: the accounts that are within a flash loan or in other hands."""
        tag = call.data[:TAG]
        if tag in _BEGIN:
            during[_first(call)] = _BEGIN[tag]
        elif tag in _END:
            during.pop(_first(call), None)
        elif tag in _FORMS:
            accounts, tell = _FORMS[tag]
            at = accounts.of(call)
            return tell(call, at, read, during.get(at["unit"])) if at["group"] == self._group else None
        elif tag not in _SILENT:
            raise Strange(f"unknown_instruction:{tag.hex()}")
        return None


def _first(call: Call) -> bytes:
    if not call.accounts:
        raise Strange("unknown_accounts:flashloan")
    return call.accounts[0]


def _noted(call: Call, tag: bytes) -> bytes | None:
    """Return the first event of a kind that a call noted, `None` where there is none; raises `Strange` where the log does not tell."""
    if call.written is None:
        raise Strange("log_incomplete")
    return next((event for event in call.written if event[:TAG] == tag), None)


def _event(call: Call, movement: _Movement, at: Named) -> Moved | None:
    for event in call.written or ():
        if MOVED.get(event[:TAG]) == movement.event:
            found = moved(event)
            if (found.header.account, found.bank) == (at["unit"], at["bank"]):
                return found
    return None


def _moved(call: Call, movement: _Movement, at: Named, read: Transaction, during: str | None) -> Told:
    event = _event(call, movement, at) if movement.native else None
    amount = event.amount if event else _transferred(call, movement, at, read)
    if not amount:
        return Told(name=movement.accounts.name)
    owner = event.header.authority if event else None
    deed = Deed(
        kind=movement.kind,
        unit=at["unit"],
        owner=owner,
        market=at["bank"],
        asset=event.mint if event else mint_of(read, [at["user"]]),
        amount=amount,
        counterparty=holder_of(read, at["user"]),
        extra={during: True} if during else {},
        deltas=(Delta(at["unit"], at["bank"], movement.side, movement.sign * amount if movement.native else None),),
    )
    return Told(name=movement.accounts.name, deeds=(deed,), owners={at["unit"]: owner} if owner else {})


def _transferred(call: Call, movement: _Movement, at: Named, read: Transaction) -> int:
    """Return what a call moved; raises `Strange` where an event is lacking and the token may withhold a fee, or a loan adds one."""
    flows: Flows = call.flows()
    if not movement.native:
        return flows.out_of(at["user"]) if movement.sign > 0 else flows.into(at["user"])
    if call.written is not None:
        return 0
    balance = read.after.get(at["vault"]) or read.before.get(at["vault"])
    if movement.kind == BORROW or balance is None or balance.program != TOKEN_PROGRAM:
        raise Strange("log_incomplete")
    return flows.moved(at["user"], at["vault"]) or flows.moved(at["vault"], at["user"])


def _liquidation(call: Call, at: Named, read: Transaction, during: str | None) -> Told:
    del read, during
    noted = _noted(call, LIQUIDATED)
    if noted is None:
        raise Strange("no_event:lending_account_liquidate")
    event, fee = liquidated(noted), call.flows().moved(at["vault"], at["insurance"])
    seized = int.from_bytes(call.data[_AMOUNT], "little")
    repaid = max(round(event.before[1] - event.after[1]), 0)
    deed = Deed(
        kind=LIQUIDATION,
        unit=at["unit"],
        owner=event.authority,
        market=event.debt_bank,
        asset=event.debt_mint,
        amount=repaid,
        counterparty=event.header.authority,
        extra={
            "collateral_asset": text_of(event.asset_mint),
            "collateral_market": text_of(event.asset_bank),
            "collateral_amount_raw": str(seized),
            "liquidator_account": text_of(event.header.account),
            "insurance_fee_raw": str(fee),
            "rounded": True,
        },
        deltas=(
            Delta(at["unit"], event.debt_bank, Side.BORROW, -repaid),
            Delta(at["unit"], event.asset_bank, Side.SUPPLY, -seized),
        ),
    )
    owners = {event.account: event.authority, event.header.account: event.header.authority}
    return Told(name=_LIQUIDATE.name, deeds=(deed, *_liquidator(event, seized, repaid + fee)), owners=owners)


def _liquidator(event: Liquidated, seized: int, paid: int) -> Iterator[Deed]:
    """Yield what the liquidator's account took over and paid: of its deposit in the bank of the debt first, and the rest as a loan."""
    owed = min(max(round(event.after[3] - event.before[3]), 0), paid)
    for kind, bank, mint, side, sign, amount in (
        (SUPPLY, event.asset_bank, event.asset_mint, Side.SUPPLY, 1, seized),
        (WITHDRAW, event.debt_bank, event.debt_mint, Side.SUPPLY, -1, paid - owed),
        (BORROW, event.debt_bank, event.debt_mint, Side.BORROW, 1, owed),
    ):
        if amount:
            unit = event.header.account
            yield Deed(
                kind=kind,
                unit=unit,
                owner=event.header.authority,
                market=bank,
                asset=mint,
                amount=amount,
                counterparty=event.authority,
                extra={"by_liquidation": True},
                deltas=(Delta(unit, bank, side, sign * amount),),
            )


def _bankruptcy(call: Call, at: Named, read: Transaction, during: str | None) -> Told:
    del read, during
    noted = _noted(call, BANKRUPT)
    event = bankrupt(noted) if noted is not None else None
    deed = Deed(
        kind=WRITE_OFF,
        unit=at["unit"],
        owner=event.header.authority if event else None,
        market=at["bank"],
        asset=event.mint if event else b"",
        amount=round(event.bad_debt) if event else 0,
        extra={"rounded": True} if event else {"amount_unknown": True},
        deltas=(Delta(at["unit"], at["bank"], Side.BORROW, None),),
    )
    return Told(name=_BANKRUPTCY.name, deeds=(deed,))


def _purge(call: Call, at: Named, read: Transaction, during: str | None) -> Told:
    del call, read, during
    deltas = (Delta(at["unit"], WHOLE_UNIT, Side.SUPPLY, None),)
    deed = Deed(
        kind=WRITE_OFF, unit=at["unit"], owner=None, market=at["bank"], asset=b"", amount=0,
        extra={"amount_unknown": True}, deltas=deltas,
    )  # fmt: skip
    return Told(name=_PURGE.name, deeds=(deed,))


def _moved_over(name: str, at: Named) -> Told:
    deltas = tuple(Delta(unit, WHOLE_UNIT, Side.SUPPLY, None) for unit in (at["unit"], at["new"]))
    deed = Deed(
        kind=TRANSFER_ACCOUNT, unit=at["unit"], owner=at["authority"], market=b"", asset=b"", amount=0,
        counterparty=at["new_authority"], extra={"new_account": text_of(at["new"])}, deltas=deltas,
    )  # fmt: skip
    return Told(name=name, deeds=(deed,), owners={at["new"]: at["new_authority"]})


def _form_of_movement(movement: _Movement) -> Tell:
    return lambda call, at, read, during: _moved(call, movement, at, read, during)


def _handed_over(call: Call, at: Named, read: Transaction, during: str | None) -> Told:
    """The account stays, and all in it; only its authority is another (0.1.0 to 0.1.2)."""
    del call, read, during
    return Told(name=_HANDED_OVER.name, owners={at["unit"]: at["new_authority"]})


def _form_of_birth(name: str) -> Tell:
    return lambda _, at, __, ___: Told(name=name, owners={at["unit"]: at["authority"]}, born=(at["unit"],))


def _form_of_handing_over(name: str) -> Tell:
    return lambda _, at, __, ___: _moved_over(name, at)


def _forms() -> Iterator[tuple[Parties, Tell]]:
    for movement in _movements():
        yield movement.accounts, _form_of_movement(movement)
    for accounts in _NEW:
        yield accounts, _form_of_birth(accounts.name)
    for accounts in _MOVED_OVER:
        yield accounts, _form_of_handing_over(accounts.name)
    yield _HANDED_OVER, _handed_over
    yield _LIQUIDATE, _liquidation
    yield _BANKRUPTCY, _bankruptcy
    yield _PURGE, _purge


_FORMS = {instruction_tag(accounts.name): (accounts, tell) for accounts, tell in _forms()}

teller = MarginfiTeller
