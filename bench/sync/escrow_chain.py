"""Workload A: deposits and withdrawals of an ERC-20 vault, from a seed; nobody takes out more than is there.

Each movement is a transaction of its own. Accounts come back often or seldom (the square of an even draw), sizes are log-normal around
500 dollars, three in ten are round, and two in five withdrawals take all.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from bench.sync.recorded import TAIL, Log, Writer, address, padded, word

CHAIN_ID = 31_337
DEPOSIT_TOPIC = "0x" + keccak(text="Deposit(address,address,uint256)").hex()
WITHDRAW_TOPIC = "0x" + keccak(text="Withdraw(address,address,uint256)").hex()
SYMBOL, DECIMALS = "0x95d89b41", "0x313ce567"
ACCOUNTS = 5_000
FIRST_BLOCK = 2
DRAWN_AT_ONCE = 100_000


class Token(NamedTuple):
    """An ERC-20; `dollars` is roughly what a whole one is worth."""

    symbol: str
    decimals: int
    dollars: float


TOKENS = (
    Token("WETH", 18, 2_500.0),
    Token("WSTETH", 18, 2_900.0),
    Token("DAI", 18, 1.0),
    Token("LINK", 18, 15.0),
    Token("USDC", 6, 1.0),
    Token("USDT", 6, 1.0),
    Token("WBTC", 8, 65_000.0),
)


class Movement(NamedTuple):
    """One deposit or withdrawal, by the numbers of account and token."""

    account: int
    token: int
    incoming: bool
    amount: int


class Book:
    """What the vault owes, and what it has seen."""

    def __init__(self) -> None:
        self.balances: dict[tuple[int, int], int] = {}
        self.sums = [[0, 0, 0, 0] for _ in TOKENS]
        """Per token: deposits, their sum, withdrawals, their sum."""

    def note(self, move: Movement) -> None:
        key = (move.account, move.token)
        self.balances[key] = self.balances.get(key, 0) + (move.amount if move.incoming else -move.amount)
        sums = self.sums[move.token]
        sums[0 if move.incoming else 2] += 1
        sums[1 if move.incoming else 3] += move.amount


def movements(seed: int, count: int, book: Book) -> Iterator[Movement]:
    """Draw `count` movements and note each in the book."""
    draw = np.random.default_rng(seed)
    for start in range(0, count, DRAWN_AT_ONCE):
        size = min(DRAWN_AT_ONCE, count - start)
        whose = (ACCOUNTS * draw.random(size) ** 2).astype(int).tolist()
        tokens = draw.integers(0, len(TOKENS), size).tolist()
        dollars = np.exp(draw.normal(np.log(500.0), 2.0, size)).tolist()
        habits = draw.random((size, 3)).tolist()
        dust = draw.integers(0, 10**12, size).tolist()
        for account, token, worth, habit, low in zip(whose, tokens, dollars, habits, dust, strict=True):
            move = _movement(book, (account, token), worth, habit, low)
            book.note(move)
            yield move


def _movement(book: Book, holding: tuple[int, int], worth: float, habit: Sequence[float], low: int) -> Movement:
    account, token = holding
    held = book.balances.get(holding, 0)
    goes_out, whole, share = habit
    if held and goes_out < 0.55:
        return Movement(account, token, incoming=False, amount=held if whole < 0.4 else int(held * share) or held)
    kind = TOKENS[token]
    millionths = int(worth / kind.dollars * 10**6)
    if whole < 0.3:
        millionths = (millionths // 10**4 or 1) * 10**4
        low = 0
    raw = millionths * 10 ** (kind.decimals - 6)
    return Movement(account, token, incoming=True, amount=raw + low % 10 ** (kind.decimals - 6) or 1)


def accounts() -> list[str]:
    return [address("account", i) for i in range(ACCOUNTS)]


def generate(folder: Path, *, seed: int, logs: int, logs_per_block: int) -> None:
    """Write a chain with so many movements, `logs_per_block` on average."""
    vault, tokens, people = address("vault", seed), [address("token", i) for i in range(len(TOKENS))], accounts()
    book = Book()
    with Writer(folder, chain_id=CHAIN_ID) as writer:
        kinds = {True: writer.kind(vault, DEPOSIT_TOPIC), False: writer.kind(vault, WITHDRAW_TOPIC)}
        account_topics, token_topics = [padded(a) for a in people], [padded(t) for t in tokens]
        for _ in range(FIRST_BLOCK):
            writer.block([], txs=1)
        for part in parts(movements(seed, logs, book), seed, logs_per_block):
            found = [
                Log(
                    kinds[move.incoming], (account_topics[move.account], token_topics[move.token]), word(move.amount), i
                )
                for i, move in enumerate(part)
            ]
            writer.block(found, txs=len(found))
        for _ in range(TAIL):
            writer.block([], txs=0)
        facts: dict[str, Any] = {"workload": "escrow", "seed": seed, "contract": vault, "born": {vault: 1}}
        write_book(folder, book, people, tokens)
        writer.finish(facts, token_calls(tokens), {})


def parts(moves: Iterator[Movement], seed: int, logs_per_block: int) -> Iterator[list[Movement]]:
    """Cut movements into blocks of half to one and a half times the average."""
    draw = np.random.default_rng(seed + 1)
    part: list[Movement] = []
    size = int(logs_per_block * draw.uniform(0.5, 1.5)) or 1
    for move in moves:
        part.append(move)
        if len(part) == size:
            yield part
            part, size = [], int(logs_per_block * draw.uniform(0.5, 1.5)) or 1
    if part:
        yield part


def token_calls(tokens: Sequence[str]) -> dict[str, dict[str, str]]:
    """Answers to `decimals()` and `symbol()`."""
    return {
        contract: {
            DECIMALS: "0x" + word(kind.decimals),
            SYMBOL: "0x" + encode(["string"], [kind.symbol]).hex(),
        }
        for contract, kind in zip(tokens, TOKENS, strict=True)
    }


def write_book(folder: Path, book: Book, people: Sequence[str], tokens: Sequence[str]) -> None:
    """Write what every index of this chain must come to."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "balances.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(("account", "token", "amount"))
        rows.writerows((people[a], tokens[t], amount) for (a, t), amount in sorted(book.balances.items()))
    names = ("deposits", "deposited", "withdrawals", "withdrawn")
    sums = {token: dict(zip(names, found, strict=True)) for token, found in zip(tokens, book.sums, strict=True)}
    (folder / "book.json").write_text(json.dumps(sums))
