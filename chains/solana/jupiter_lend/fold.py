"""Accounts of the vaults program, and those that vaults name, into journals: whose each position is, and what it holds and owes.

All rows are observed, and stand at the end of the slot in which an account was seen; only what changed is written. All accounts of the
vaults program are one set, so that a position and the ticks and branches that decide it are read in one answer, of one slot. Whose a
position is says the token account that has its token, found by the token's mint; until it is, the position's owner is the mint itself.
What a unit holds when it is first seen is no event; what changes between two looks is one, of kind supply, withdraw, borrow or repay
where its own account changed, else liquidation, with {"observed": true}.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from chains.identifiers import base58, from_base58
from chains.model import AccountBytes, Rows, VenueSpec
from chains.ports import StateReader
from chains.solana.derived import program_address
from chains.solana.jupiter_lend.layout import (
    BRANCH,
    CONFIG,
    LIQUIDITY,
    METADATA,
    ORACLE,
    ORACLES,
    POSITION,
    STATE,
    TICK,
    TICK_IDS,
    UNREAD,
    VAULT_AT,
)
from chains.solana.jupiter_lend.lookups import holder_of
from chains.solana.jupiter_lend.options import vaults_of, version_of
from chains.solana.jupiter_lend.oracle import CLOCK, CLOCK_ASPECT, roles_of, sources_of
from chains.solana.jupiter_lend.sources import GONE, Role, source_text
from chains.solana.jupiter_lend.texts import (
    HOLDER,
    PARAMS,
    PROBLEM,
    TERMS,
    TOKEN,
    branch_text,
    ids_text,
    oracle_text,
    params_text,
    problem_text,
    state_text,
    terms_text,
    text_of,
    tick_text,
)
from chains.solana.jupiter_lend.texts import (
    ORACLE as ORACLE_ASPECT,
)
from chains.solana.jupiter_lend.tips import Tips
from chains.solana.layouts import read
from chains.solana.ports import AccountSet
from chains.solana.seen import Seen, by_slot
from chains.solana.tokens import ACCOUNT_SIZE, TOKEN_2022_PROGRAM, TOKEN_PROGRAM, TOKEN_PROGRAMS

MOST_SOUGHT = 500
"""So many positions' holders are looked for at once."""

_DISCRIMINATOR = 8
_ONE = (1).to_bytes(8, "little")
_MINT_AT, _OWNER, _AMOUNT_AT, _AMOUNT = 0, slice(32, 64), 64, slice(64, 72)
_LAYOUTS = {layout.discriminator: layout for layout in (CONFIG, METADATA, STATE, TICK, TICK_IDS, BRANCH, POSITION)}
_ORDER = {CONFIG.discriminator: 0, METADATA.discriminator: 1, STATE.discriminator: 2, POSITION.discriminator: 6}
_OF_ORACLES, _OF_SOURCES, _OF_VAULTS = 3, 4, 5

Markets = Mapping[tuple[bytes, str], str]


class JupiterLend:
    """The vaults of the program at the venue's address, all of them or some."""

    def __init__(self, venue: VenueSpec) -> None:
        self._venue = venue
        self._vaults = vaults_of(venue.options)
        self._engine = version_of(venue.options)

    @property
    def venue(self) -> VenueSpec:
        """The venue that this fold derives."""
        return self._venue

    @property
    def sets(self) -> Sequence[AccountSet]:
        """The accounts of the vaults, of any kind and size, each vault's in one answer; and all oracles."""
        program = self._venue.address
        if self._vaults is None:
            vaults = [AccountSet("vaults", program, None, ())]
        else:
            numbers = [number.to_bytes(2, "little") for number in self._vaults]
            vaults = [AccountSet("vault", program, None, ((VAULT_AT, number),)) for number in numbers]
        return (*vaults, AccountSet("oracle", ORACLES, None, ((0, ORACLE.discriminator),)))

    def others(self, state: StateReader) -> Collection[bytes]:
        """Return the reserves of the vaults' tokens, what their oracles name, and the token accounts that have positions' tokens."""
        markets = state.markets(self._venue.id)
        named = _named(markets)
        holders = {holder_of(text).account for (_, aspect), text in markets.items() if aspect == HOLDER}
        clock = {CLOCK} if any(role is Role.STAKE_POOL for _, role in named) else set()
        return {address for address, _ in named} | {account for account in holders if account} | clock

    def sought(self, state: StateReader) -> Sequence[AccountSet]:
        """Return the token accounts to look for: of each position whose holder is not known, the one that has its token."""
        markets = state.markets(self._venue.id)
        unheld = sorted(
            mint
            for (mint, aspect), text in markets.items()
            if aspect == HOLDER and holder_of(text).unit and not holder_of(text).account
        )
        return [
            AccountSet("holder", program, size, ((_MINT_AT, mint), (_AMOUNT_AT, _ONE)), sought=True)
            for mint in unheld[:MOST_SOUGHT]
            for program, size in ((TOKEN_PROGRAM, ACCOUNT_SIZE), (TOKEN_2022_PROGRAM, None))
        ]

    def concerns(self, state: StateReader) -> Callable[[AccountBytes], bool]:
        """Return what tells a token account of a position's token."""
        mints = frozenset(mint for mint, aspect in state.markets(self._venue.id) if aspect == HOLDER)
        return lambda account: account.owner in TOKEN_PROGRAMS and account.data[:32] in mints

    def fold(self, state: StateReader, seen: Sequence[Seen]) -> Rows:
        """Derive rows from accounts whose bytes changed, in the order of their slots."""
        tips = Tips(self._venue.id, self._engine, state)
        tips.learn({address for address, account in seen if self._may_be_unit(account)})
        for slot, group in by_slot(seen):
            tips.slot = slot
            self._fold_slot(tips, sorted(group, key=lambda each: self._order(each[1])))
            tips.end_slot()
        return tips.rows

    def _may_be_unit(self, account: AccountBytes) -> bool:
        return account.closed or account.data.startswith(POSITION.discriminator)

    def _order(self, account: AccountBytes) -> int:
        """Vaults name oracles, and these the accounts that say prices; positions come last."""
        kind = account.data[:_DISCRIMINATOR]
        if account.owner == self._venue.address:
            return _ORDER.get(kind, _OF_VAULTS)
        return _OF_ORACLES if account.owner == ORACLES else _OF_SOURCES

    def _fold_slot(self, tips: Tips, seen: Sequence[Seen]) -> None:
        for address, account in seen:
            if account.owner in TOKEN_PROGRAMS:
                continue
            if account.closed and tips.is_unit(address):
                tips.close(address)
            elif account.owner == self._venue.address:
                self._of_vault(tips, address, account)
            elif account.owner == ORACLES and account.data.startswith(ORACLE.discriminator):
                _oracle(tips, address, account)
            else:
                _other(tips, address, account)
        for address, account in seen:
            if account.owner in TOKEN_PROGRAMS:
                _of_tokens(tips, address, account)

    def _of_vault(self, tips: Tips, address: bytes, account: AccountBytes) -> None:
        kind = account.data[:_DISCRIMINATOR]
        layout = _LAYOUTS.get(kind)
        if kind in UNREAD:
            return
        problem = f"the account begins with {kind.hex()}" if layout is None else layout.problem(account.data)
        if problem is not None or layout is None:
            self._unreadable(tips, address, str(problem), account.data)
            return
        told = read(layout.fields, account.data)
        if self._vaults is None or told["vault_id"] in self._vaults:
            _ENTERED[kind](tips, address, told)

    def _unreadable(self, tips: Tips, address: bytes, problem: str, data: bytes) -> None:
        if tips.is_unit(address) or data.startswith(POSITION.discriminator):
            tips.spoil(address, problem, data)
            return
        tips.quarantine(f"unknown_account:{base58(address)}", data)
        tips.lose(address, problem)


def _config(tips: Tips, address: bytes, told: dict[str, Any]) -> None:
    tips.params(address, params_text(told))
    tips.market(address, TERMS, terms_text(told))
    _tokens(tips, told["vault_id"])


def _metadata(tips: Tips, address: bytes, told: dict[str, Any]) -> None:
    decimals = {name: told[f"{name}_mint_decimals"] for name in ("supply", "borrow")}
    tips.market(address, f"metadata:{told['vault_id']}", text_of(decimals))
    _tokens(tips, told["vault_id"])


def _tokens(tips: Tips, number: int) -> None:
    """Say of a vault's tokens what its metadata says of them, once both are known."""
    vault, metadata = tips.vault(number), tips.named.get(f"metadata:{number}")
    decimals = {} if metadata is None else json.loads(metadata)
    if vault is not None and decimals and PROBLEM not in decimals:
        tips.market(vault.collateral, TOKEN, text_of({"symbol": None, "decimals": decimals["supply"]}))
        tips.market(vault.loan, TOKEN, text_of({"symbol": None, "decimals": decimals["borrow"]}))


def _state(tips: Tips, address: bytes, told: dict[str, Any]) -> None:
    tips.market(address, f"state:{told['vault_id']}", state_text(told))


def _tick(tips: Tips, address: bytes, told: dict[str, Any]) -> None:
    tips.record(told["vault_id"], address, f"tick:{told['vault_id']}:{told['tick']}", tick_text(told))


def _ids(tips: Tips, address: bytes, told: dict[str, Any]) -> None:
    aspect = f"ids:{told['vault_id']}:{told['tick']}:{told['tick_map']}"
    tips.record(told["vault_id"], address, aspect, ids_text(told))


def _branch(tips: Tips, address: bytes, told: dict[str, Any]) -> None:
    tips.record(told["vault_id"], address, f"branch:{told['vault_id']}:{told['branch_id']}", branch_text(told))


def _position(tips: Tips, address: bytes, told: dict[str, Any]) -> None:
    tips.enter(
        address,
        {
            "vault": told["vault_id"],
            "nft": told["nft_id"],
            "mint": base58(told["position_mint"]),
            "supply_only": int(told["is_supply_only_position"] == 1),
            "tick": told["tick"],
            "tick_id": told["tick_id"],
            "supply": str(told["supply_amount"]),
            "dust": str(told["dust_debt_amount"]),
        },
    )


_ENTERED: Mapping[bytes, Callable[[Tips, bytes, dict[str, Any]], None]] = {
    CONFIG.discriminator: _config,
    METADATA.discriminator: _metadata,
    STATE.discriminator: _state,
    TICK.discriminator: _tick,
    TICK_IDS.discriminator: _ids,
    BRANCH.discriminator: _branch,
    POSITION.discriminator: _position,
}


def _oracle(tips: Tips, address: bytes, account: AccountBytes) -> None:
    try:
        text = oracle_text(account.data, read(ORACLE.fields, account.data)["sources"])
    except ValueError as error:
        text = problem_text(str(error))
    tips.market(address, ORACLE_ASPECT, text)


def _of_tokens(tips: Tips, address: bytes, account: AccountBytes) -> None:
    """Note whether a token account has a position's token; any other account of the token programs is what others say it is."""
    mint = account.data[:32]
    if len(account.data) >= ACCOUNT_SIZE and tips.is_held(mint):
        tips.held_by(mint, address, account.data[_OWNER] if account.data[_AMOUNT] == _ONE else None)
    else:
        _other(tips, address, account)


def _other(tips: Tips, address: bytes, account: AccountBytes) -> None:
    """Note what an account says that vaults or oracles name, or that it is gone."""
    if address == CLOCK and not account.closed:
        tips.market(address, CLOCK_ASPECT, _clock_text(account.data))
        return
    roles = tips.roles(_named).get(address, set())
    for role in sorted(roles):
        tips.market(address, role, source_text(role, account))
    if account.closed:
        tips.lose_holder(address)
        if not roles:
            tips.lose(address, GONE)


def _clock_text(data: bytes) -> str:
    """Return the cluster's epoch, and when it began; what else the clock says, blocks say too."""
    if len(data) < 24:  # noqa: PLR2004 - slot, epoch's start, epoch
        return problem_text(f"the clock has {len(data)} bytes")
    epoch, start = int.from_bytes(data[16:24], "little"), int.from_bytes(data[8:16], "little", signed=True)
    return text_of({"epoch": str(epoch), "epoch_start_timestamp": str(start)})


def _named(markets: Markets) -> set[tuple[bytes, Role]]:
    """Return the accounts that vaults' prices need, with what each says: the reserves of tokens, and the sources of oracles."""
    found: set[tuple[bytes, Role]] = set()
    for (_, aspect), text in markets.items():
        if aspect == PARAMS and PROBLEM not in (told := json.loads(text)):
            tokens = (bytes.fromhex(told[name][2:]) for name in ("loan_token", "collateral_token"))
            found |= {(reserve_address(token), Role.RESERVE) for token in tokens}
            oracle = markets.get((from_base58(told["oracle"]), ORACLE_ASPECT))
            sources = {} if oracle is None else json.loads(oracle)
            found |= set() if "sources" not in sources else set(roles_of(sources_of(sources)))
    return {(address, role) for address, role in found if role is not Role.UNREAD}


def reserve_address(mint: bytes) -> bytes:
    """Return where the Liquidity program keeps a token's reserve."""
    return program_address(LIQUIDITY, b"reserve", mint)
