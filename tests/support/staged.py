"""Instructions of lending programs that no recorded run has: their token transfers are real, run by the token programs on the ledger.

What cannot be had is the lending program. Its call is put around the transfers when the transaction is written down: the transfers, which a
router called, are then what the program called.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from solders.instruction import Instruction
from solders.message import Message
from solders.transaction import VersionedTransaction
from spl.token.constants import TOKEN_2022_PROGRAM_ID, TOKEN_PROGRAM_ID

from chains.identifiers import base58
from tests.devnet.solana import tokens, wire
from tests.devnet.solana.accounts import SYSTEM_PROGRAM
from tests.devnet.solana.keys import genesis_hash, keypair
from tests.devnet.solana.ledger import Ledger
from tests.devnet.solana.router import routed

PLENTY = 10**15
LIQUID, COLLATERAL = "liquid", "collateral-token"
HOLDINGS = {
    "source": (LIQUID, "user"),
    "target": (LIQUID, "friend"),
    "user_collateral": (COLLATERAL, "user"),
    "supply": (LIQUID, "program"),
    "new_supply": (LIQUID, "program"),
    "fees": (LIQUID, "program"),
    "host": (LIQUID, "friend"),
    "collateral": (COLLATERAL, "program"),
}
"""Token accounts by name: of which token, and whose."""

Result = dict[str, Any]
Move = tuple[str, str, int]
"""From which account (or "mint") to which (or "burn"), and how much."""


class Stage:
    """A ledger with a token, a token for collateral, and accounts of both; `newer`: the first is one of Token-2022."""

    def __init__(self, *, newer: bool = False) -> None:
        self.ledger = Ledger(genesis_hash=genesis_hash(31))
        self.people = {name: keypair(31, name) for name in ("admin", "user", "friend", "program")}
        self.mints = {name: keypair(31, f"mint/{name}") for name in (LIQUID, COLLATERAL)}
        self.programs = {LIQUID: TOKEN_2022_PROGRAM_ID if newer else TOKEN_PROGRAM_ID, COLLATERAL: TOKEN_PROGRAM_ID}
        self.holders = {name: keypair(31, f"account/{name}") for name in HOLDINGS}
        for key in self.people.values():
            self.ledger.set_account(key.pubkey(), owner=SYSTEM_PROGRAM, lamports=10**13)
        self.ledger.mine()
        admin = self.people["admin"].pubkey()
        for name, mint in self.mints.items():
            self._run(tokens.create_mint(self.programs[name], admin, mint.pubkey(), admin, 6), "admin", also=[mint])
        for name, (token, owner) in HOLDINGS.items():
            made = tokens.create_token_account(
                self.programs[token],
                admin,
                self.holders[name].pubkey(),
                self.mints[token].pubkey(),
                self.people[owner].pubkey(),
            )
            self._run([*made, self._move(("mint", name, PLENTY))], "admin", also=[self.holders[name]])

    def key(self, role: str) -> bytes:
        """The address of an account, a mint, a person, a token program; of anything else one made of its name."""
        if role in self.holders:
            return bytes(self.holders[role].pubkey())
        if role in self.mints:
            return bytes(self.mints[role].pubkey())
        if role in self.people:
            return bytes(self.people[role].pubkey())
        if role == "token_program":
            return bytes(TOKEN_PROGRAM_ID)
        return sha256(role.encode()).digest()

    def called(
        self, program: bytes, data: bytes, roles: str, moves: Sequence[Move] = (), events: Sequence[bytes] = ()
    ) -> Result:
        """A transaction in which a program was called with accounts and data, moved tokens, and noted events."""
        inner = [routed(self._move(move)) for move in moves] or [tokens.memo("nothing moves")]
        result = self._run(inner, "admin")
        message, meta = result["transaction"]["message"], result["meta"]
        within = [each for group in meta["innerInstructions"] for each in group["instructions"]]
        if not moves:
            within = []
        accounts = [self._place(message, self.key(role)) for role in roles.split()]
        place = self._place(message, program)
        message["instructions"] = [
            {"programIdIndex": place, "accounts": accounts, "data": base58(data), "stackHeight": 1}
        ]
        meta["innerInstructions"] = [{"index": 0, "instructions": within}]
        lines = [f"Program {base58(program)} invoke [1]"]
        for each in within:
            name = message["accountKeys"][each["programIdIndex"]]
            lines += [f"Program {name} invoke [2]", f"Program {name} success"]
        lines += [f"Program data: {b64encode(event).decode()}" for event in events]
        meta["logMessages"] = [*lines, f"Program {base58(program)} success"]
        return result

    def _place(self, message: dict[str, Any], key: bytes) -> int:
        keys: list[str] = message["accountKeys"]
        if base58(key) not in keys:
            keys.append(base58(key))
            message["header"]["numReadonlyUnsignedAccounts"] += 1
        return keys.index(base58(key))

    def _move(self, move: Move) -> Instruction:
        source, target, amount = move
        name = target if source == "mint" else source
        token, owner = HOLDINGS[name]
        program, mint = self.programs[token], self.mints[token].pubkey()
        admin, key = self.people["admin"].pubkey(), self.people[owner].pubkey()
        if source == "mint":
            return tokens.mint_to(program, mint, self.holders[target].pubkey(), admin, amount)
        if target == "burn":
            return tokens.burn(program, self.holders[source].pubkey(), mint, key, amount)
        ends = self.holders[source].pubkey(), self.holders[target].pubkey()
        return tokens.transfer_checked(program, ends[0], mint, ends[1], key, amount=amount, decimals=6)

    def _run(self, instructions: Sequence[Instruction], payer: str, *, also: Sequence[Any] = ()) -> Result:
        first = self.people[payer]
        asked = {meta.pubkey for each in instructions for meta in each.accounts if meta.is_signer}
        signers = [first, *(k for k in (*self.people.values(), *also) if k.pubkey() in asked and k is not first)]
        self.ledger.mine()
        message = Message.new_with_blockhash(list(instructions), first.pubkey(), self.ledger.tip.hash)
        landed = self.ledger.execute(VersionedTransaction(message, signers))
        assert landed.error is None, landed.logs
        return wire.confirmed_transaction(landed, "json", 0)


def balances(result: Result, account: bytes) -> int:
    """What came into a token account, as the token program left it."""
    keys = result["transaction"]["message"]["accountKeys"]
    held = {
        name: sum(
            int(b["uiTokenAmount"]["amount"])
            for b in result["meta"][name]
            if keys[b["accountIndex"]] == base58(account)
        )
        for name in ("preTokenBalances", "postTokenBalances")
    }
    return held["postTokenBalances"] - held["preTokenBalances"]
