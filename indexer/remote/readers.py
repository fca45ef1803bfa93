"""What folds and evidence read of the store, asked for in one process and answered in the other."""

from __future__ import annotations

import socket
from collections.abc import Collection
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeVar

import msgspec
import pyarrow as pa

from chains.columns import by_key, position_keys
from chains.model import AccountBytes, Block, Side
from chains.ports import AccountKey, MarketKey, PositionKey, Records, StateReader
from indexer.remote.frames import receive, send
from indexer.remote.messages import Answer, Ask, from_state, packed, unpacked

T = TypeVar("T")


class StateLost(Exception):
    """The process that stores could not answer; whoever waits for the call there knows why."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A socket on which one question at a time is asked, and its answer waited for."""

    socket: socket.socket
    lock: Lock = field(default_factory=Lock)

    def ask(self, kind: type[T], call: int, name: str, *about: object, keys: pa.Table | None = None) -> T:
        """Return an answer; raises `StateLost`, and `Ended` where nobody is there any more."""
        message, buffers = packed(Ask(call, name, list(about), keys))
        with self.lock:
            send(self.socket, message, buffers)
            message, given = receive(self.socket)
        said = from_state(message)
        if isinstance(said, Answer):
            return unpacked((bytes(said.value), given), kind)
        raise StateLost


@dataclass(frozen=True, slots=True)
class RemoteState:
    """The `StateReader` of one call; the fold that asks waits. What a fold asks again and again is asked for once: a state stands still."""

    channel: Channel
    call: int
    _markets: dict[str, dict[MarketKey, str]] = field(default_factory=dict)

    def markets(self, venue_id: str) -> dict[MarketKey, str]:
        if venue_id not in self._markets:
            self._markets[venue_id] = self.channel.ask(dict[MarketKey, str], self.call, "markets", venue_id)
        return dict(self._markets[venue_id])

    def positions(self, venue_id: str, keys: Collection[PositionKey]) -> dict[PositionKey, int]:
        return by_key(keys, self.amounts(venue_id, position_keys(keys))) if keys else {}

    def amounts(self, venue_id: str, keys: pa.Table) -> pa.Array:
        found = self.channel.ask(pa.Table, self.call, "amounts", venue_id, keys=keys)
        return found["amount_raw"].combine_chunks()

    def accounts(self, venue_id: str, keys: Collection[AccountKey]) -> dict[AccountKey, str]:
        return self.channel.ask(dict[AccountKey, str], self.call, "accounts", venue_id, list(keys))

    def units(self, venue_id: str) -> frozenset[bytes]:
        return self.channel.ask(frozenset[bytes], self.call, "units", venue_id)

    def answers(self) -> dict[bytes, int]:
        return _integers(self.channel.ask(dict[bytes, str], self.call, "answers"))

    def account_bytes(self, addresses: Collection[bytes]) -> dict[bytes, AccountBytes]:
        return self.channel.ask(dict[bytes, AccountBytes], self.call, "account_bytes", list(addresses))


class Sums(msgspec.Struct):
    """Sums of amounts, if there are any that are right."""

    digits: dict[tuple[bytes, Side], str] | None


@dataclass(frozen=True, slots=True)
class RemoteRecords:
    """The `Records` of one call."""

    channel: Channel
    call: int

    def blocks(self, first: int, last: int) -> list[Block]:
        return self.channel.ask(list[Block], self.call, "blocks", first, last)

    def table(self, name: str, first: int, last: int) -> pa.Table:
        return self.channel.ask(pa.Table, self.call, "table", name, first, last)

    def markets_at(self, venue_id: str, block: int) -> dict[MarketKey, str]:
        return self.channel.ask(dict[MarketKey, str], self.call, "markets_at", venue_id, block)

    def sums(self, venue_id: str, block: int) -> dict[tuple[bytes, Side], int] | None:
        found = self.channel.ask(Sums, self.call, "sums", venue_id, block)
        return None if found.digits is None else _integers(found.digits)


K = TypeVar("K")


def _integers(digits: dict[K, str]) -> dict[K, int]:
    return {key: int(amount) for key, amount in digits.items()}


def _digits(amounts: dict[K, int]) -> dict[K, str]:
    """Amounts may be wider than a machine's word."""
    return {key: str(amount) for key, amount in amounts.items()}


def answered(question: Ask, state: StateReader, records: Records | None) -> object:
    """Answer a question of `RemoteState` or `RemoteRecords` from the readers themselves."""
    match question.name, question.about:
        case "markets", [venue_id]:
            return state.markets(venue_id)
        case "amounts", [venue_id]:
            return _amounts(state, venue_id, question.keys)
        case "accounts", [venue_id, keys]:
            return state.accounts(venue_id, [(unit, market, aspect) for unit, market, aspect in keys])
        case "units", [venue_id]:
            return state.units(venue_id)
        case name, about:
            return _of_chain(name, about, state, records)


def _of_chain(name: str, about: list[Any], state: StateReader, records: Records | None) -> object:
    match name, about:
        case "answers", []:
            return _digits(state.answers())
        case "account_bytes", [addresses]:
            return state.account_bytes(addresses)
        case _:
            return _of_records(records, name, about)


def _amounts(state: StateReader, venue_id: str, keys: pa.Table | None) -> pa.Table:
    if keys is None:
        raise ValueError("amounts are asked for without keys")
    return pa.table({"amount_raw": state.amounts(venue_id, keys)})


def _of_records(records: Records | None, name: str, about: list[Any]) -> object:
    if records is None:
        raise ValueError(f"a state has no {name}")
    match name, about:
        case "blocks", [first, last]:
            return records.blocks(first, last)
        case "table", [table, first, last]:
            return records.table(table, first, last)
        case "markets_at", [venue_id, block]:
            return records.markets_at(venue_id, block)
        case "sums", [venue_id, block]:
            sums = records.sums(venue_id, block)
            return Sums(None if sums is None else _digits(sums))
        case _:
            raise ValueError(f"records have no {name}")
