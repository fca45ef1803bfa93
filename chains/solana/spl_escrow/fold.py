"""Transactions of a vault into journals: what each depositor put in less what it took out, and what belongs to nobody.

The balances that the token program reports before and after every transaction are the proof: each must begin where the one before ended,
and what its instructions name must explain its change to the last unit. Market aspects beside those of `chains.escrow`:
`vault` also has "unattributed" (raw units that no depositor put in or took out) and "accounts" {address: raw units}.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chains.errors import NoContract, NodeWrong
from chains.escrow import ENGINE, TOKEN, VAULT
from chains.identifiers import base58, from_base58
from chains.model import (
    AccountBytes,
    Basis,
    LendingEvent,
    MarketChange,
    PositionChange,
    Quarantined,
    Rows,
    Side,
    VenueSpec,
)
from chains.ports import PositionKey, StateReader
from chains.solana.ports import Folded, NeedReads, Reads, Said
from chains.solana.spl_escrow.events import Held, Movement, VaultTransaction, held_before, vault_transactions
from chains.solana.spl_escrow.receipts import receipts
from chains.solana.tokens import TOKEN_PROGRAMS, Unreadable, token_account

ACCOUNTS = "accounts"
"""Option: the vault's token accounts, in base58."""

TX_ORDINALS = 1 << 16
"""Ordinals that one transaction has to itself."""


class SplEscrow:
    """One vault: the token accounts that `accounts` names, all of the authority at the venue's address."""

    def __init__(self, venue: VenueSpec) -> None:
        self._venue = venue
        self._vault = frozenset(from_base58(text) for text in venue.options[ACCOUNTS])

    @property
    def venue(self) -> VenueSpec:
        """The venue that this fold derives."""
        return self._venue

    @property
    def addresses(self) -> Collection[bytes]:
        """The vault's token accounts."""
        return self._vault

    def decode(self, said: Sequence[Said]) -> list[VaultTransaction]:
        """Read the transactions that touch the vault."""
        return vault_transactions(said, self._vault)

    def fold(self, state: StateReader, decoded: list[VaultTransaction], reads: Reads) -> Folded | NeedReads:
        """Derive deposits and withdrawals; asks for a mint's terms where one transaction hides them."""
        books = _Books.of(self._venue, state, decoded)
        for seen in decoded:
            books.enter(seen, reads)
        if reads.missing:
            return NeedReads(reads=frozenset(reads.missing))
        return Folded(rows=books.rows, balances={account: books.balance(account) for account in self._vault})

    def held_before(self, address: bytes, body: str) -> int | None:
        """Return the raw amount that a token account held before a transaction, as its program reported it."""
        return held_before(body, address)

    def amount(self, address: bytes, account: AccountBytes) -> int:
        """Read a token account of the vault's authority; raises `NoContract` for anything else."""
        where = f"venue {self._venue.id}: {base58(address)} on {self._venue.chain_id}"
        if account.closed:
            return 0
        if account.owner not in TOKEN_PROGRAMS:
            raise NoContract(
                f"{where} belongs to program {base58(account.owner)}, not to a token program; check `accounts` of this [[venue]]"
            )
        try:
            held = token_account(account.data)
        except Unreadable as error:
            raise NoContract(f"{where} is no token account ({error}); check `accounts` of this [[venue]]") from error
        if held.owner != self._venue.address:
            raise NoContract(
                f"{where} is owned by {base58(held.owner)}, `address` says {base58(self._venue.address)}; correct one of them"
            )
        return held.amount


@dataclass(slots=True, kw_only=True)
class _Vault:
    """What the vault holds of one mint."""

    claims: int = 0
    unattributed: int = 0
    accounts: dict[bytes, int] = field(default_factory=dict)

    @staticmethod
    def of(text: str) -> _Vault:
        said = json.loads(text)
        return _Vault(
            claims=int(said["claims"]),
            unattributed=int(said["unattributed"]),
            accounts={from_base58(account): int(amount) for account, amount in said["accounts"].items()},
        )

    def text(self) -> str:
        return _json(
            {
                "balance": str(sum(self.accounts.values())),
                "claims": str(self.claims),
                "unattributed": str(self.unattributed),
                "accounts": {base58(account): str(amount) for account, amount in self.accounts.items()},
            }
        )


@dataclass(slots=True, kw_only=True)
class _Books:
    """A venue while a span is folded: what its depositors and accounts hold, and the rows so far."""

    venue: VenueSpec
    tokens: dict[bytes, str]
    vaults: dict[bytes, _Vault]
    texts: dict[bytes, str]
    nets: dict[PositionKey, int]
    rows: Rows = field(default_factory=Rows)
    _next: int = 0

    @staticmethod
    def of(venue: VenueSpec, state: StateReader, decoded: Iterable[VaultTransaction]) -> _Books:
        markets = state.markets(venue.id)
        keys = {
            (move.owner, held.mint, Side.SUPPLY)
            for seen in decoded
            for held in seen.held
            for move in seen.movements
            if move.account == held.account and move.owner is not None
        }
        texts = {market: text for (market, aspect), text in markets.items() if aspect == VAULT}
        return _Books(
            venue=venue,
            tokens={market: text for (market, aspect), text in markets.items() if aspect == TOKEN},
            vaults={market: _Vault.of(text) for market, text in texts.items()},
            texts=texts,
            nets=dict(state.positions(venue.id, keys)),
        )

    def balance(self, account: bytes) -> int | None:
        """Return what an account of the vault holds by its transactions, `None` where there was none."""
        known = [vault.accounts[account] for vault in self.vaults.values() if account in vault.accounts]
        return sum(known) if known else None

    def enter(self, seen: VaultTransaction, reads: Reads) -> None:
        """Fold one transaction; raises `NodeWrong` where one before it must be missing."""
        self._next = seen.tx_index * TX_ORDINALS
        for held in seen.held:
            self._must_continue(seen, held)
            self._name(seen, held)
            received = receipts(seen, held, reads)
            if isinstance(received, str):
                self._set_aside(seen, held, received)
                attributed = 0
            else:
                attributed = self._attribute(seen, held, received)
            self._keep(seen, held, attributed)

    def _must_continue(self, seen: VaultTransaction, held: Held) -> None:
        where = f"venue {self.venue.id}: {base58(held.account)}"
        known = self.balance(held.account)
        if known is None and held.before:
            raise NoContract(
                f"{where} held {held.before} raw units before its first transaction from slot {self.venue.start_block} on:"
                " earlier deposits would be missing; set `start_block` to a slot before the first deposit"
            )
        if known is not None and known != held.before:
            raise NodeWrong(
                f"{where} held {known} raw units by its transactions and {held.before} before {base58(seen.signature)}"
                f" in slot {seen.slot}: the node leaves out a transaction; ask another"
            )

    def _name(self, seen: VaultTransaction, held: Held) -> None:
        if held.mint in self.tokens:
            return
        program = None if held.program is None else base58(held.program)
        text = _json({"decimals": held.decimals, "symbol": None, "program": program})
        self.tokens[held.mint] = text
        self.rows.markets.append(self._market(seen, held.mint, TOKEN, text))

    def _attribute(self, seen: VaultTransaction, held: Held, received: Sequence[tuple[Movement, int]]) -> int:
        """Enter each movement under its owner; return how much of the change has one."""
        total = 0
        for move, amount in received:
            if move.internal or move.owner is None or amount == 0:
                continue
            signed = amount if move.incoming else -amount
            total += signed
            self._change(seen, held.mint, move.owner, signed)
            self._tell(seen, held, move, amount)
        return total

    def _change(self, seen: VaultTransaction, mint: bytes, owner: bytes, signed: int) -> None:
        key = (owner, mint, Side.SUPPLY)
        old = self.nets.get(key, 0)
        new = self.nets[key] = old + signed
        self.vaults.setdefault(mint, _Vault()).claims += max(new, 0) - max(old, 0)
        row = PositionChange(
            seen.slot,
            seen.tx_index,
            self._ordinal(),
            self.venue.id,
            owner,
            owner,
            mint,
            Side.SUPPLY,
            mint,
            new,
            ENGINE,
            Basis.EXACT,
        )
        self.rows.positions.append(row)

    def _tell(self, seen: VaultTransaction, held: Held, move: Movement, amount: int) -> None:
        assert move.owner is not None  # noqa: S101 - a movement of nobody is not told
        extra = {"vault_account": base58(held.account), "account": base58(move.counterpart)}
        if amount != move.amount:
            extra["sent_raw"] = str(move.amount)
        kind = "supply" if move.incoming else "withdraw"
        self._event(seen, kind, held.mint, move.owner, amount, extra)

    def _set_aside(self, seen: VaultTransaction, held: Held, reason: str) -> None:
        self.rows.quarantined.append(
            Quarantined(
                seen.slot,
                seen.tx_index,
                self._ordinal(),
                self.venue.id,
                f"{reason} at {base58(held.account)}",
                seen.signature,
            )
        )

    def _keep(self, seen: VaultTransaction, held: Held, attributed: int) -> None:
        """Note what the account holds now, and what of the change belongs to nobody."""
        vault = self.vaults.setdefault(held.mint, _Vault())
        rest = held.after - held.before - attributed
        vault.unattributed += rest
        vault.accounts[held.account] = held.after
        internal = any(move.internal and move.account == held.account for move in seen.movements)
        if rest and not internal:
            extra = {"vault_account": base58(held.account)}
            kind = "donation" if rest > 0 else "unattributed_outflow"
            self._event(seen, kind, held.mint, None, abs(rest), extra)
        if (text := vault.text()) != self.texts.get(held.mint):
            self.texts[held.mint] = text
            self.rows.markets.append(self._market(seen, held.mint, VAULT, text))

    def _event(  # noqa: PLR0917 - as many facts as its row
        self,
        seen: VaultTransaction,
        kind: str,
        mint: bytes,
        depositor: bytes | None,
        amount: int,
        extra: Mapping[str, str],
    ) -> None:
        self.rows.events.append(
            LendingEvent(
                block=seen.slot,
                tx_index=seen.tx_index,
                ordinal=self._ordinal(),
                tx_hash=seen.signature,
                venue_id=self.venue.id,
                kind=kind,
                market=mint,
                owner=depositor or self.venue.address,
                counterparty=depositor,
                asset=mint,
                amount_raw=amount,
                extra=_json(extra),
            )
        )

    def _market(self, seen: VaultTransaction, mint: bytes, aspect: str, text: str) -> MarketChange:
        return MarketChange(
            seen.slot, seen.tx_index, self._ordinal(), self.venue.id, mint, aspect, text, ENGINE, Basis.EXACT
        )

    def _ordinal(self) -> int:
        self._next += 1
        return self._next - 1


def _json(value: Any) -> str:  # noqa: ANN401 - what JSON can say
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
