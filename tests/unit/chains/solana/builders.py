"""Transactions as nodes write them, and the tips of journals that a fold looks at."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from chains.identifiers import base58
from chains.model import AccountBytes, Rows, VenueSpec
from chains.ports import AccountKey, MarketKey, PositionKey
from chains.solana.ports import Answer, Folded, NeedReads, Read, Reads, Said
from chains.solana.spl_escrow import SplEscrow
from chains.solana.tokens import TOKEN_2022_PROGRAM, TOKEN_PROGRAM
from tests.support.state import column_of

AUTHORITY = b"\xaa" * 32
VAULT, SECOND = b"\xa1" * 32, b"\xa2" * 32
ANN, BOB, CID = b"\x01" * 32, b"\x02" * 32, b"\x03" * 32
ANNS, BOBS = b"\x11" * 32, b"\x12" * 32
"""Token accounts of Ann and Bob."""
USD, FEE = b"\x0a" * 32, b"\x0b" * 32
"""Mints; the second is of Token-2022 and may withhold fees."""
PAYER, OTHER_PROGRAM = b"\x0f" * 32, b"\x0e" * 32

Call = tuple[bytes, Sequence[bytes], bytes]
"""(program, accounts, data)"""


@dataclass(frozen=True, slots=True)
class Held:
    """What a token account holds, and whose it is."""

    amount: int
    owner: bytes | None
    mint: bytes = USD


Balances = Mapping[bytes, Held]


def u64(amount: int) -> bytes:
    return amount.to_bytes(8, "little")


def transfer(source: bytes, target: bytes, amount: int, *, program: bytes = TOKEN_PROGRAM) -> Call:
    return program, [source, target, CID], b"\x03" + u64(amount)


def hidden(source: bytes, target: bytes, amount: int) -> Call:
    """A transfer of Token-2022, which does not name its fee."""
    return transfer(source, target, amount, program=TOKEN_2022_PROGRAM)


def named(source: bytes, target: bytes, amount: int, fee: int) -> Call:
    """A transfer of Token-2022 that does."""
    body = b"\x1a\x01" + u64(amount) + b"\x06" + u64(fee)
    return TOKEN_2022_PROGRAM, [source, FEE, target, CID], body


def minted(target: bytes, amount: int) -> Call:
    return TOKEN_PROGRAM, [USD, target, CID], b"\x07" + u64(amount)


def body(
    calls: Sequence[Call],
    before: Balances,
    after: Balances,
    *,
    slot: int = 7,
    inner: Mapping[int, Sequence[Call]] | None = None,
    **odd: Any,
) -> dict[str, Any]:
    """A transaction, the calls that its calls made, and what token accounts held; `odd` replaces parts of its `meta`."""
    called = dict(inner or {})
    every = [*calls, *(call for calls_ in called.values() for call in calls_)]
    named_ = [key for program, accounts, _ in every for key in (program, *accounts)]
    keys = list(dict.fromkeys([PAYER, *named_, *before, *after]))
    meta: dict[str, Any] = {
        "err": None,
        "innerInstructions": [
            {"index": index, "instructions": [instruction(call, keys) for call in some]}
            for index, some in called.items()
        ],
        "preTokenBalances": [balance(keys.index(account), held) for account, held in before.items()],
        "postTokenBalances": [balance(keys.index(account), held) for account, held in after.items()],
        "loadedAddresses": {"writable": [], "readonly": []},
    }
    message = {
        "accountKeys": [base58(key) for key in keys],
        "instructions": [instruction(call, keys) for call in calls],
        "recentBlockhash": base58(b"\x05" * 32),
    }
    return {
        "slot": slot,
        "blockTime": 1,
        "version": "legacy",
        "transaction": {"signatures": [base58(signature(slot))], "message": message},
        "meta": meta | odd,
    }


def instruction(call: Call, keys: Sequence[bytes]) -> dict[str, Any]:
    program, accounts, data = call
    return {
        "programIdIndex": keys.index(program),
        "accounts": [keys.index(account) for account in accounts],
        "data": base58(data),
        "stackHeight": 1,
    }


def balance(index: int, held: Held) -> dict[str, Any]:
    shown = {"amount": str(held.amount), "decimals": 6, "uiAmount": None, "uiAmountString": "0"}
    owner = {} if held.owner is None else {"owner": base58(held.owner)}
    program = TOKEN_2022_PROGRAM if held.mint == FEE else TOKEN_PROGRAM
    return {
        "accountIndex": index,
        "mint": base58(held.mint),
        "programId": base58(program),
        "uiTokenAmount": shown,
        **owner,
    }


def signature(slot: int) -> bytes:
    return slot.to_bytes(64)


def said(whole: Mapping[str, Any], *, tx_index: int = 0) -> Said:
    slot = whole["slot"]
    return Said(slot, tx_index, signature(slot), b"\x09" * 32, json.dumps(whole))


def venue(*accounts: bytes) -> VenueSpec:
    listed = tuple(base58(account) for account in accounts or (VAULT, SECOND))
    return VenueSpec(
        id="vault",
        protocol="spl-escrow",
        chain_id="solana:test",
        address=AUTHORITY,
        start_block=1,
        options={"accounts": listed, "liabilities": "none"},
    )


@dataclass(slots=True)
class Tips:
    """A `StateReader` that keeps what a store would."""

    held: dict[PositionKey, int] = field(default_factory=dict)
    aspects: dict[MarketKey, str] = field(default_factory=dict)

    def take(self, rows: Rows) -> None:
        self.held |= {(p.unit_id, p.market, p.side): p.amount_raw for p in rows.positions}
        self.aspects |= {(m.market, m.aspect): m.state for m in rows.markets}

    def vault(self, mint: bytes = USD) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.aspects[mint, "vault"])
        return found

    def markets(self, venue_id: str) -> dict[MarketKey, str]:
        return self.aspects

    def positions(self, venue_id: str, keys: Collection[PositionKey]) -> dict[PositionKey, int]:
        return {key: self.held[key] for key in keys if key in self.held}

    def amounts(self, venue_id: str, keys: pa.Table) -> pa.Array:
        return column_of(keys, self.held)

    def accounts(self, venue_id: str, keys: Collection[AccountKey]) -> dict[AccountKey, str]:
        return {}

    def units(self, venue_id: str) -> frozenset[bytes]:
        return frozenset()

    def answers(self) -> dict[bytes, int]:
        return {}

    def account_bytes(self, addresses: Collection[bytes]) -> dict[bytes, AccountBytes]:
        return {}


def fold(tips: Tips, transactions: Iterable[Said], *, mint: Answer | None = None) -> Rows:
    """Fold a span as the chain does, and let the tips be what they are after it; `mint`: what every mint's account is."""
    escrow, known = SplEscrow(venue()), dict[Read, Answer]()
    decoded = escrow.decode(list(transactions))
    while True:
        match escrow.fold(tips, decoded, Reads(known)):
            case NeedReads(reads=reads):
                assert reads.isdisjoint(known)
                assert mint is not None
                known |= dict.fromkeys(reads, mint)
            case Folded(rows=rows):
                tips.take(rows)
                return rows


def mint_account(*terms: tuple[int, int]) -> bytes:
    """The bytes of a mint of Token-2022; `terms`: the newer and the older (basis points, maximum)."""
    if not terms:
        return bytes(82)
    newer, older = terms
    config = bytes(72) + fee_terms(older) + fee_terms(newer)
    return bytes(82) + bytes(83) + b"\x01" + (1).to_bytes(2, "little") + (108).to_bytes(2, "little") + config


def fee_terms(terms: tuple[int, int]) -> bytes:
    """Epoch, maximum, basis points."""
    return u64(0) + u64(terms[1]) + terms[0].to_bytes(2, "little")
