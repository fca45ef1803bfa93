"""Recorded runs of klend (samples of accounts, and what the program's own refresh wrote): as an adapter would see them."""

from __future__ import annotations

import base64
import gzip
import json
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from chains.columns import TOO_WIDE
from chains.identifiers import from_base58
from chains.model import AccountBytes, Block, Rows, Side, UnitSnapshot, VenueSnapshot, VenueSpec
from chains.ports import AccountKey, MarketKey, PositionKey
from chains.solana.kamino import Kamino

GOLDEN = Path(__file__).parents[1] / "golden" / "solana" / "klend"
FIXTURES = Path(__file__).parents[3] / "shared" / "fixtures" / "solana"
VARIABLE = "CROSSMARGIN_SOLANA_RUNS"
CHAIN = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
GONE = AccountBytes(0, b"", 0, b"", closed=True)

Seen = tuple[bytes, AccountBytes]


def runs() -> dict[str, Path]:
    """Every run there is: the golden ones, and those of the folder that the environment names."""
    others = Path(os.environ.get(VARIABLE, FIXTURES / "runs"))
    found = {f"golden/{folder.name}": folder for folder in sorted(GOLDEN.glob("*/"))}
    return found | {f"runs/{folder.name}": folder for folder in sorted((others / "klend").glob("*/"))}


def venue(market: bytes, version: str = "1.7") -> VenueSpec:
    """A lending market as a configured venue."""
    return VenueSpec(
        id="main",
        protocol="kamino",
        chain_id=CHAIN,
        address=market,
        start_block=0,
        options={"program_version": version},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One sampled point: what the accounts held, and what the program then made of them, or why it refused."""

    label: str
    slot: int
    time: int
    accounts: Mapping[bytes, AccountBytes]
    refreshed: Mapping[bytes, Mapping[str, Any]]
    refused: Mapping[bytes, Sequence[str]]


def load(folder: Path) -> tuple[VenueSpec, list[Sample]]:
    """Read one run."""
    case = json.loads((folder / "case.json").read_text())
    with gzip.open(folder / "samples.json.gz", "rt", encoding="utf-8") as file:
        samples = json.load(file)
    accounts: dict[bytes, AccountBytes] = {}
    found = []
    for said in samples:
        read = {from_base58(name): account_of(said["slot"], account) for name, account in said["accounts"].items()}
        accounts = {**accounts, **read}
        found.append(_sample(said, accounts))
    return venue(from_base58(case["market"])), found


def liquidations(folder: Path) -> list[tuple[int, bytes, int | None]]:
    """Every attempt to liquidate: the index of the sample before it, the obligation, and the program's error if it refused."""
    kept = folder / "liquidations.json"
    if kept.exists():
        return [
            (said["after_sample"], from_base58(said["obligation"]), said["error"])
            for said in json.loads(kept.read_text())
        ]
    return list(_attempts(folder))


class Done(NamedTuple):
    """What a liquidation moved: raw units paid, cTokens withdrawn, raw units redeemed for them, and of those the fee."""

    paid: int
    withdrawn: int
    redeemed: int
    fee: int


class Attempt(NamedTuple):
    """An attempt to liquidate; `asked`: raw units of the debt, `done`: what it moved, `None` where the program refused."""

    obligation: bytes
    slot: int
    time: int
    debt: bytes
    collateral: bytes
    asked: int
    done: Done | None


def attempts(folder: Path) -> Iterator[tuple[int, Attempt]]:
    """Every attempt to liquidate with the index of the sample before it, as the transaction itself tells it."""
    with gzip.open(folder / "samples.json.gz", "rt", encoding="utf-8") as file:
        last = {sample.get("last_signature"): number for number, sample in enumerate(json.load(file))}
    before = 0
    for said in _transactions(folder):
        result = said["result"]
        if said["label"].startswith("liquidate "):
            yield said.get("sample", before + 1) - 1, _attempt(said["label"], result)
        before = last.get(result["transaction"]["signatures"][0], before)


def _transactions(folder: Path) -> list[dict[str, Any]]:
    packed = folder / "transactions.json.gz"
    raw = gzip.decompress(packed.read_bytes()) if packed.exists() else (folder / "transactions.json").read_bytes()
    found: list[dict[str, Any]] = json.loads(raw)
    return found


def _attempt(label: str, result: Mapping[str, Any]) -> Attempt:
    """Read an attempt; the last instruction is the liquidation, its accounts in the order of the program's description."""
    message, meta = result["transaction"]["message"], result["meta"]
    named = [message["accountKeys"][place] for place in message["instructions"][-1]["accounts"]]
    moved = Counter[str]()
    for sign, balances in ((-1, "preTokenBalances"), (1, "postTokenBalances")):
        for each in meta[balances]:
            moved[message["accountKeys"][each["accountIndex"]]] += sign * int(each["uiTokenAmount"]["amount"])
    obligation, debt, collateral = (from_base58(named[place]) for place in (1, 4, 7))
    paid, withdrawn, redeemed, fee = (moved[named[place]] for place in (6, 10, 11, 12))
    done = Done(paid, -withdrawn, -redeemed, fee) if meta["err"] is None else None
    return Attempt(
        obligation, result["slot"], result["blockTime"], debt, collateral, int(label.rsplit(maxsplit=1)[-1]), done
    )


def _attempts(folder: Path) -> Iterator[tuple[int, bytes, int | None]]:
    users = json.loads((folder / "case.json").read_text())["users"]
    with gzip.open(folder / "samples.json.gz", "rt", encoding="utf-8") as file:
        last = {sample["last_signature"]: number for number, sample in enumerate(json.load(file))}
    sample = 0
    for said in json.loads((folder / "transactions.json").read_text()):
        words = said["label"].split()
        if words[0] == "liquidate":
            error = said["result"]["meta"]["err"]
            code = None if error is None else error["InstructionError"][1]["Custom"]
            yield sample, from_base58(users[words[1]]["obligation"]), code
        sample = last.get(said["result"]["transaction"]["signatures"][0], sample)


def _sample(said: Mapping[str, Any], accounts: Mapping[bytes, AccountBytes]) -> Sample:
    return Sample(
        label=said["label"],
        slot=said["slot"],
        time=said["unix_timestamp"],
        accounts={address: account._replace(slot=said["slot"]) for address, account in accounts.items()},
        refreshed={from_base58(name): fields for name, fields in said["refreshed"].items()},
        refused={from_base58(name): logs for name, logs in said["refresh_errors"].items()},
    )


def account_of(slot: int, account: Mapping[str, Any] | None) -> AccountBytes:
    """An account as a node says it, gone where there is none."""
    if account is None:
        return GONE._replace(slot=slot)
    data = base64.b64decode(account["data"][0])
    return AccountBytes(slot, from_base58(account["owner"]), account["lamports"], data, closed=False)


@dataclass(slots=True)
class Journals:
    """The tips of a venue's journals, as the store keeps them."""

    market_states: dict[MarketKey, str] = field(default_factory=dict)
    settings: dict[AccountKey, str] = field(default_factory=dict)
    held: dict[PositionKey, int] = field(default_factory=dict)
    owners: dict[bytes, bytes] = field(default_factory=dict)
    raw: dict[bytes, AccountBytes] = field(default_factory=dict)

    def markets(self, _: str) -> dict[MarketKey, str]:
        return self.market_states

    def positions(self, _: str, keys: Collection[PositionKey]) -> dict[PositionKey, int]:
        return {key: self.held[key] for key in keys if key in self.held}

    def amounts(self, _: str, keys: pa.Table) -> pa.Array:
        raise NotImplementedError

    def accounts(self, _: str, keys: Collection[AccountKey]) -> dict[AccountKey, str]:
        return {key: self.settings[key] for key in keys if key in self.settings}

    def units(self, _: str) -> frozenset[bytes]:
        return frozenset(self.owners)

    def answers(self) -> dict[bytes, int]:
        return {}

    def account_bytes(self, addresses: Collection[bytes]) -> dict[bytes, AccountBytes]:
        return {address: self.raw[address] for address in addresses if address in self.raw}

    def store(self, rows: Rows, seen: Iterable[Seen]) -> None:
        """Take over the rows of a fold, and the bytes that it was given."""
        for row in rows.markets:
            self.market_states[row.market, row.aspect] = row.state
        for setting in rows.accounts:
            self.settings[setting.unit_id, setting.market, setting.aspect] = setting.state
            self.owners[setting.unit_id] = setting.owner
        for position in rows.positions:
            if position.amount_raw < TOO_WIDE:
                self.held[position.unit_id, position.market, position.side] = position.amount_raw
        for table in rows.columns.get("accounts", []):
            for row in table.to_pylist():
                self.settings[row["unit_id"], row["market"], row["aspect"]] = row["state"]
                self.owners[row["unit_id"]] = row["owner"]
        for table in rows.columns.get("positions", []):
            for row in table.to_pylist():
                self.held[row["unit_id"], row["market"], Side(row["side"])] = int(row["amount_raw"])
        self.raw.update(seen)

    def venue_snapshot(self, spec: VenueSpec, slot: int, time: int) -> VenueSnapshot:
        """The venue at a slot."""
        at = Block(number=slot, hash=b"", parent_hash=b"", time=time)
        return VenueSnapshot(venue=spec, at=at, markets=dict(self.market_states), feeds={}, answers={})

    def unit_snapshots(self) -> Iterator[UnitSnapshot]:
        """Every unit there is."""
        for unit, owner in sorted(self.owners.items()):
            yield UnitSnapshot(
                unit_id=unit,
                owner=owner,
                positions={(market, side): held for (of, market, side), held in self.held.items() if of == unit},
                settings={(market, aspect): text for (of, market, aspect), text in self.settings.items() if of == unit},
            )


class Adapter:
    """Hands accounts to the fold as an adapter does: those whose bytes changed, of the venue's sets and its others."""

    def __init__(self, spec: VenueSpec) -> None:
        self.kamino = Kamino(spec)
        self.journals = Journals()
        self.rows = Rows()
        self.given: list[Seen] = []

    def look(self, accounts: Mapping[bytes, AccountBytes]) -> None:
        """Read accounts at a slot, first those of the sets, then what these name."""
        self._give(
            self._changed(address for address, account in accounts.items() if self._is_of_a_set(account)), accounts
        )
        gone = [address for address, old in self.journals.raw.items() if address in accounts and not old.closed]
        self._give(self._changed(a for a in gone if accounts[a].closed), accounts)
        for _ in range(2):
            self._give(self._changed(a for a in self.kamino.others(self.journals) if a in accounts), accounts)

    def _changed(self, addresses: Iterable[bytes]) -> list[bytes]:
        return sorted(addresses)

    def _give(self, addresses: Iterable[bytes], accounts: Mapping[bytes, AccountBytes]) -> None:
        seen = [(a, accounts[a]) for a in addresses if not _same(self.journals.raw.get(a), accounts[a])]
        rows = self.kamino.fold(self.journals, seen)
        self.journals.store(rows, seen)
        self.rows.extend(rows)
        self.given += seen

    def _is_of_a_set(self, account: AccountBytes) -> bool:
        return any(
            not account.closed
            and account.owner == wanted.program
            and len(account.data) == wanted.size
            and all(account.data[at : at + len(raw)] == raw for at, raw in wanted.holding)
            for wanted in self.kamino.sets
        )


def _same(old: AccountBytes | None, new: AccountBytes) -> bool:
    return old is not None and old[1:] == new[1:]


__all__ = ["Adapter", "Journals", "Sample", "Side", "account_of", "liquidations", "load", "runs", "venue"]
