"""Recorded runs of Solana lending programs with their transactions, fed to folds as the adapter does."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from itertools import compress
from pathlib import Path
from typing import Any

import pyarrow as pa

from chains.identifiers import base58, from_base58
from chains.model import AccountBytes, Rows, VenueSpec
from chains.ports import AccountKey, MarketKey, PositionKey
from chains.registry import PROTOCOLS
from chains.solana.history import History, history_id
from chains.solana.options import HISTORY, TRANSACTIONS
from chains.solana.ports import NeedReads, Read, Reads, Said
from tests.support import kamino_runs, marginfi_runs, save_runs
from tests.support.rows import spelled_out
from tests.support.state import Tips

GOLDEN = Path(__file__).parents[1] / "golden" / "solana"
SHARED = Path(__file__).parents[3] / "shared" / "fixtures" / "solana" / "runs"
VARIABLE = "CROSSMARGIN_SOLANA_RUNS"
PROGRAMS = ("solend", "klend", "marginfi")

Account = Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run: its venue with the history of transactions, its transactions and its samples in order."""

    name: str
    venue: VenueSpec
    transactions: Sequence[Mapping[str, Any]]
    samples: Sequence[Mapping[str, Any]]


def runs() -> dict[str, Path]:
    """Every run whose transactions there are: the golden ones, and those of the folder that the environment names."""
    others = Path(os.environ.get(VARIABLE, SHARED))
    folders = [*GOLDEN.glob("*/case-*"), *others.glob("*/case-*")]
    return {
        f"{folder.parents[1].name}/{folder.parent.name}/{folder.name}": folder
        for folder in sorted(folders)
        if folder.parent.name in PROGRAMS and any(folder.glob("transactions.json*"))
    }


def load(folder: Path) -> Run:
    """Read one run."""
    match folder.parent.name:
        case "solend":
            venue = save_runs.load(folder).venue()
        case "klend":
            venue = kamino_runs.load(folder)[0]
        case _:
            venue = marginfi_runs.MarginfiRun.load(folder).venue
    return Run(
        name=folder.name,
        venue=replace(venue, id="lending", start_block=0, options={**venue.options, HISTORY: TRANSACTIONS}),
        transactions=_read(folder, "transactions"),
        samples=_read(folder, "samples"),
    )


def _read(folder: Path, name: str) -> Any:
    packed = folder / f"{name}.json.gz"
    return json.loads(
        gzip.decompress(packed.read_bytes()) if packed.exists() else (folder / f"{name}.json").read_bytes()
    )


def steps(run: Run) -> Iterator[tuple[int, list[Said], Mapping[str, Account]]]:
    """Yield a sample's slot, the venue's transactions up to it, and what changed until then; only the last of a slot is a look."""
    results = [each["result"] for each in run.transactions]
    said, known, changed, begun = said_of(results), dict[str, Account](), dict[str, Account](), 0
    listed = [names(result, base58(run.venue.address)) for result in results]
    following = [sample["slot"] for sample in run.samples[1:]] + [0]
    for sample, end, slot in zip(run.samples, _ends(run), following, strict=True):
        changed |= {name: account for name, account in sample["accounts"].items() if known.get(name, "none") != account}
        known |= changed
        if slot != sample["slot"] and (end == len(results) or results[end]["slot"] > sample["slot"]):
            yield sample["slot"], list(compress(said[begun:end], listed[begun:end])), changed
            begun, changed = end, {}


def names(result: Mapping[str, Any], address: str) -> bool:
    """Whether a transaction names an account; of some that do not a run has no more than the outcome."""
    message = result["transaction"].get("message", {"accountKeys": ()})
    loaded = result["meta"].get("loadedAddresses", {"writable": (), "readonly": ()})
    return address in (*message["accountKeys"], *loaded["writable"], *loaded["readonly"])


def _ends(run: Run) -> list[int]:
    """Return how many transactions came before each sample."""
    if "sample" in run.transactions[0]:
        return [sum(each["sample"] <= number for each in run.transactions) for number in range(len(run.samples))]
    order = {each["result"]["transaction"]["signatures"][0]: number for number, each in enumerate(run.transactions)}
    return [order[sample["last_signature"]] + 1 for sample in run.samples]


def said_of(results: Sequence[Mapping[str, Any]]) -> list[Said]:
    """Transactions as the adapter gives them, each at its place among those of its slot."""
    places: dict[int, int] = {}
    found = []
    for result in results:
        slot = result["slot"]
        places[slot] = places.get(slot, -1) + 1
        signature = from_base58(result["transaction"]["signatures"][0])
        found.append(Said(slot, places[slot], signature, b"", json.dumps(result)))
    return found


class Separate:
    """A `StateReader` over several venues."""

    def __init__(self) -> None:
        self.tips: dict[str, Tips] = {}

    def of(self, venue_id: str) -> Tips:
        return self.tips.setdefault(venue_id, Tips())

    def take(self, rows: Rows) -> None:
        """Keep what a store would."""
        of_venues = (rows.positions, rows.markets, rows.accounts)
        for name in {str(row.venue_id) for some in of_venues for row in some}:
            mine = Rows(
                positions=[row for row in rows.positions if row.venue_id == name],
                markets=[row for row in rows.markets if row.venue_id == name],
                accounts=[row for row in rows.accounts if row.venue_id == name],
            )
            self.of(name).take(mine)

    def markets(self, venue_id: str) -> dict[MarketKey, str]:
        return self.of(venue_id).markets(venue_id)

    def positions(self, venue_id: str, keys: Collection[PositionKey]) -> dict[PositionKey, int]:
        return self.of(venue_id).positions(venue_id, keys)

    def amounts(self, venue_id: str, keys: pa.Table) -> pa.Array:
        return self.of(venue_id).amounts(venue_id, keys)

    def accounts(self, venue_id: str, keys: Collection[AccountKey]) -> dict[AccountKey, str]:
        return self.of(venue_id).accounts(venue_id, keys)

    def units(self, venue_id: str) -> frozenset[bytes]:
        return self.of(venue_id).units(venue_id)

    def answers(self) -> dict[bytes, int]:
        return {}

    def account_bytes(self, addresses: Collection[bytes]) -> dict[bytes, AccountBytes]:
        del addresses
        return {}


@dataclass(slots=True)
class Journals:
    """A venue with its history, folded as the adapter does; `rows`: all rows so far."""

    venue: VenueSpec
    state: Separate = field(default_factory=Separate)
    rows: Rows = field(default_factory=Rows)

    def take(self, said: Sequence[Said], seen: Sequence[tuple[bytes, AccountBytes]]) -> Rows:
        """Fold transactions, then accounts that were seen changed."""
        module = PROTOCOLS[self.venue.protocol]
        history = History(self.venue, import_module(f"{module}.instructions").teller(self.venue))
        folded = history.fold(self.state, history.decode(said), Reads(dict[Read, Any]()))
        assert not isinstance(folded, NeedReads), folded
        rows = folded.rows
        if seen:
            rows.extend(spelled_out(import_module(module).adapter(self.venue).fold(self.state, seen)))
        looks: dict[bytes, list[int]] = {}
        for address, account in seen:
            looks.setdefault(address, []).append(account.slot)
        rows.extend(history.weigh(self.state, folded.moves, rows, looks))
        self.state.take(rows)
        self.rows.extend(rows)
        return rows

    @property
    def differences(self) -> list[str]:
        """What looks found otherwise than transactions say."""
        name = history_id(self.venue.id)
        return [f"{row.aspect} {row.state}" for row in self.rows.markets if row.venue_id == name]


def seen_of(slot: int, changed: Mapping[str, Account]) -> list[tuple[bytes, AccountBytes]]:
    """Accounts as a look at a slot stores them."""
    return [(from_base58(name), kamino_runs.account_of(slot, account)) for name, account in sorted(changed.items())]
