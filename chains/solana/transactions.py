"""A transaction as a node says it (`getTransaction`, encoding json): accounts resolved, instructions in order of execution."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from chains.errors import NodeWrong
from chains.identifiers import IdentifierError, base58, from_base58

NEWEST_VERSION = 1
"""The newest format of transactions; nodes write all of them alike, with keys and instructions in the same places."""


class _Instruction(msgspec.Struct, rename="camel"):
    program_id_index: int
    accounts: list[int]
    data: str
    stack_height: int | None = None


class _Message(msgspec.Struct, rename="camel"):
    account_keys: list[str]
    instructions: list[_Instruction]


class _Transaction(msgspec.Struct):
    signatures: list[str]
    message: _Message


class _Inner(msgspec.Struct):
    index: int
    instructions: list[_Instruction]


class _UiAmount(msgspec.Struct):
    amount: str
    decimals: int


class _TokenBalance(msgspec.Struct, rename="camel"):
    account_index: int
    mint: str
    ui_token_amount: _UiAmount
    owner: str | None = None
    program_id: str | None = None


class _Loaded(msgspec.Struct):
    writable: list[str] = []
    readonly: list[str] = []


class _Meta(msgspec.Struct, rename="camel"):
    err: Any = None
    inner_instructions: list[_Inner] | None = None
    pre_token_balances: list[_TokenBalance] | None = None
    post_token_balances: list[_TokenBalance] | None = None
    loaded_addresses: _Loaded | None = None
    log_messages: list[str] | None = None


class _Body(msgspec.Struct, rename="camel"):
    slot: int
    transaction: _Transaction
    meta: _Meta | None
    block_time: int | None = None


_BODY = msgspec.json.Decoder(_Body)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBalance:
    """What a token account held: raw units of a mint, whose, under which token program (`None`: the node did not say)."""

    mint: bytes
    amount: int
    decimals: int
    owner: bytes | None
    program: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One instruction that ran: the program, its accounts in order, its data.

    `path`: the number of the message's own instruction, and of one that a program called also its number among all that were called
    within; `height`: how deep in calls it ran, from 1, 0 where the node does not say.
    """

    program: bytes
    accounts: tuple[bytes, ...]
    data: bytes
    path: tuple[int, ...] = ()
    height: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One transaction: whether it failed, its instructions in order of execution, token balances before and after.

    `inner_known`: the node recorded the instructions that programs called. `logs`: what programs wrote, `None` where that was not recorded.
    """

    slot: int
    signature: bytes
    failed: bool
    instructions: tuple[Instruction, ...]
    inner_known: bool
    before: Mapping[bytes, TokenBalance]
    after: Mapping[bytes, TokenBalance]
    logs: tuple[str, ...] | None = None


def transaction(body: str | bytes) -> Transaction:
    """Read a transaction; raises `NodeWrong` for another shape."""
    try:
        said = _BODY.decode(body)
        return _resolved(said)
    except (msgspec.DecodeError, IdentifierError, IndexError, ValueError) as error:
        raise NodeWrong(f"getTransaction gave an answer of the wrong shape ({error}); check the node") from error


def _resolved(said: _Body) -> Transaction:
    if said.meta is None:
        raise NodeWrong(f"the node has no record of what transaction {said.transaction.signatures[0]} did; ask another")
    loaded = said.meta.loaded_addresses or _Loaded()
    keys = [*map(key, said.transaction.message.account_keys), *map(key, loaded.writable), *map(key, loaded.readonly)]
    return Transaction(
        slot=said.slot,
        signature=from_base58(said.transaction.signatures[0]),
        failed=said.meta.err is not None,
        instructions=tuple(_in_order(said, keys)),
        inner_known=said.meta.inner_instructions is not None,
        before=_balances(said.meta.pre_token_balances or [], keys),
        after=_balances(said.meta.post_token_balances or [], keys),
        logs=None if said.meta.log_messages is None else tuple(said.meta.log_messages),
    )


def _in_order(said: _Body, keys: list[bytes]) -> Iterator[Instruction]:
    """Yield each instruction, followed by those that it called."""
    outer = said.transaction.message.instructions
    called: list[list[_Instruction]] = [[] for _ in outer]
    for inner in (said.meta and said.meta.inner_instructions) or []:
        called[_place(called, inner.index)] += inner.instructions
    for number, (instruction, inside) in enumerate(zip(outer, called, strict=True)):
        yield _instruction(instruction, keys, (number,))
        for place, inner_instruction in enumerate(inside):
            yield _instruction(inner_instruction, keys, (number, place))


def _instruction(said: _Instruction, keys: list[bytes], path: tuple[int, ...]) -> Instruction:
    return Instruction(
        program=_at(keys, said.program_id_index),
        accounts=tuple(_at(keys, index) for index in said.accounts),
        data=from_base58(said.data),
        path=path,
        height=1 if len(path) == 1 else said.stack_height or 0,
    )


def _at(keys: list[bytes], index: int) -> bytes:
    return keys[_place(keys, index)]


def _place(of: Sequence[object], index: int) -> int:
    if not 0 <= index < len(of):
        raise IndexError(f"index {index} of {len(of)}")
    return index


def _balances(said: list[_TokenBalance], keys: list[bytes]) -> dict[bytes, TokenBalance]:
    return {
        _at(keys, balance.account_index): TokenBalance(
            mint=key(balance.mint),
            amount=int(balance.ui_token_amount.amount),
            decimals=balance.ui_token_amount.decimals,
            owner=None if balance.owner is None else key(balance.owner),
            program=None if balance.program_id is None else key(balance.program_id),
        )
        for balance in said
    }


@lru_cache(maxsize=65_536)
def key(text: str) -> bytes:
    """Read an address of 32 bytes; raises `IdentifierError`."""
    raw = from_base58(text)
    if len(raw) != 32:  # noqa: PLR2004 - the length of every Solana address
        raise IdentifierError(f'"{text}" is no address of 32 bytes')
    return raw


def text_of(address: bytes) -> str:
    """Write an address as Solana does."""
    return base58(address)
