"""Recorded runs of the Save program (`tests/golden/solana/solend/<case>`), fed to its fold as a node's looks at accounts are."""

from __future__ import annotations

import base64
import gzip
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from chains.identifiers import from_base58
from chains.model import AccountBytes, Block, Rows, UnitSnapshot, VenueSnapshot, VenueSpec
from chains.solana.save import Save
from tests.support.rows import spelled_out
from tests.support.state import Tips

GOLDEN = Path(__file__).parents[1] / "golden" / "solana"
SHARED = Path(__file__).parents[3] / "shared" / "fixtures" / "solana" / "runs"
VARIABLE = "CROSSMARGIN_SOLANA_RUNS"
PROGRAM = "solend"

PRICE_AND_CONFIDENCE = slice(73, 93)
"""Of an account of Pyth's receiver that was verified in full."""

Seen = tuple[bytes, AccountBytes]


class Done(NamedTuple):
    """What a liquidation moved: raw units paid, collateral tokens withdrawn, raw units redeemed for them, and of those the fee."""

    paid: int
    withdrawn: int
    redeemed: int
    fee: int


class Liquidation(NamedTuple):
    """An attempt to liquidate an obligation, and whether the program let it happen.

    `asked`: raw units of the debt; `done`: what it was, `None` where it was refused.
    """

    unit: bytes
    slot: int
    time: int
    accepted: bool
    debt: bytes
    collateral: bytes
    asked: int
    done: Done | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveRun:
    """One recorded run: what was configured, and what was stored and answered at each sampled slot."""

    name: str
    case: dict[str, Any]
    samples: list[dict[str, Any]]
    transactions: list[dict[str, Any]]

    def venue(self, **options: str) -> VenueSpec:
        """The run's lending market as a configured venue."""
        return VenueSpec(
            id="save",
            protocol="save",
            chain_id="solana:recorded",
            address=from_base58(self.case["market"]),
            start_block=self.samples[0]["slot"],
            options=options,
        )

    @property
    def looked_at(self) -> frozenset[str]:
        """The accounts that the venue's fold asks for."""
        reserves = self.case["reserves"].values()
        oracles = {reserve[role] for reserve in reserves for role in ("oracle", "extra_oracle") if reserve[role]}
        units = {user["obligation"] for user in self.case["users"].values()}
        return frozenset({self.case["market"], *(reserve["address"] for reserve in reserves), *oracles, *units})

    def looks(self) -> Iterator[tuple[dict[str, Any], list[Seen]]]:
        """Each sample, with the accounts whose bytes are not those of the look before."""
        known: dict[str, Any] = {}
        for sample in self.samples:
            changed = []
            for address in sorted(self.looked_at):
                account = sample["accounts"].get(address)
                if address not in known or known[address] != account:
                    known[address] = account
                    changed.append((from_base58(address), account_bytes(sample["slot"], account)))
            yield sample, changed

    def liquidations(self) -> Iterator[tuple[int, Liquidation]]:
        """Each attempt to liquidate with the index of the last sample before it, in order."""
        order = {each["transaction"]["signatures"][0]: i for i, each in enumerate(self._results())}
        taken = [order[sample["last_signature"]] for sample in self.samples]
        for i, (label, result) in enumerate(zip(self._labels(), self._results(), strict=True)):
            if label.startswith("liquidate "):
                _, who, _, _, _, debt, _, collateral, asked = label.split()
                owed, pledged = (from_base58(self.case["reserves"][each]["address"]) for each in (debt, collateral))
                unit = from_base58(self.case["users"][who]["obligation"])
                accepted = result["meta"]["err"] is None
                before = max(index for index, last in enumerate(taken) if last < i)
                done = done_by(result) if accepted else None
                yield (
                    before,
                    Liquidation(unit, result["slot"], result["blockTime"], accepted, owed, pledged, int(asked), done),
                )

    def reprices(self, index: int) -> bool:
        """Whether a price has changed at the sample after this one, so that it is not known when."""
        return index + 1 < len(self.samples) and self._prices(index) != self._prices(index + 1)

    def _prices(self, index: int) -> list[bytes]:
        accounts = self.samples[index]["accounts"]
        oracles = [accounts[each["oracle"]] for each in self.case["reserves"].values()]
        return [account_bytes(0, each).data[PRICE_AND_CONFIDENCE] for each in oracles]

    def _labels(self) -> list[str]:
        return [each["label"] for each in self.transactions]

    def _results(self) -> list[dict[str, Any]]:
        return [each["result"] for each in self.transactions]

    @property
    def all_seen(self) -> list[Seen]:
        """All that every look brought, in order."""
        return [seen for _, changed in self.looks() for seen in changed]


@dataclass(slots=True)
class Journals:
    """The journals of one venue as a store would keep them, and the snapshots that are made of them."""

    venue: VenueSpec
    tips: Tips = field(default_factory=Tips)
    owners: dict[bytes, bytes] = field(default_factory=dict)
    rows: Rows = field(default_factory=Rows)

    def take(self, seen: Sequence[Seen]) -> Rows:
        """Fold what was seen upon what is known."""
        rows = spelled_out(Save(self.venue).fold(self.tips, seen))
        self.tips.take(rows)
        self.owners |= {row.unit_id: row.owner for row in rows.accounts}
        self.rows.extend(rows)
        return rows

    def snapshot(self, slot: int, time: int) -> VenueSnapshot:
        """The venue as it is known, at a slot and Unix time."""
        at = Block(number=slot, hash=b"", parent_hash=b"", time=time)
        return VenueSnapshot(venue=self.venue, at=at, markets=dict(self.tips.aspects), feeds={}, answers={})

    def unit(self, unit_id: bytes) -> UnitSnapshot:
        """One obligation as it is known."""
        held, settings = self.tips.held, self.tips.settings
        return UnitSnapshot(
            unit_id=unit_id,
            owner=self.owners[unit_id],
            positions={(market, side): amount for (unit, market, side), amount in held.items() if unit == unit_id},
            settings={(market, aspect): text for (unit, market, aspect), text in settings.items() if unit == unit_id},
        )


def done_by(result: dict[str, Any]) -> Done:
    """What balances of tokens say of a liquidation, whose accounts are in the order of the instruction."""
    message, moved = result["transaction"]["message"], Counter[str]()
    for sign, balances in ((-1, "preTokenBalances"), (1, "postTokenBalances")):
        for each in result["meta"][balances]:
            moved[message["accountKeys"][each["accountIndex"]]] += sign * int(each["uiTokenAmount"]["amount"])
    named = [message["accountKeys"][i] for i in message["instructions"][-1]["accounts"]]
    repaid, collateral, liquidity, fee = (moved[named[place]] for place in (4, 7, 8, 9))
    return Done(repaid, -collateral, -liquidity, fee)


def account_bytes(slot: int, account: dict[str, Any] | None) -> AccountBytes:
    """An account in the form of a node's answer as the adapter stores it; `None`: there is none."""
    if account is None:
        return AccountBytes(slot, b"", 0, b"", closed=True)
    data = base64.b64decode(account["data"][0])
    return AccountBytes(slot, from_base58(account["owner"]), account["lamports"], data, closed=False)


def load(folder: Path) -> SaveRun:
    """Read one run."""

    def read(name: str) -> Any:
        packed = folder / f"{name}.json.gz"
        raw = gzip.decompress(packed.read_bytes()) if packed.exists() else (folder / f"{name}.json").read_bytes()
        return json.loads(raw)

    return SaveRun(name=folder.name, case=read("case"), samples=read("samples"), transactions=read("transactions"))


def runs() -> dict[str, Path]:
    """Every run there is: the golden ones, and those of the folder that the environment names."""
    others = Path(os.environ.get(VARIABLE, SHARED))
    found = {f"golden/{folder.name}": folder for folder in sorted((GOLDEN / PROGRAM).glob("*/"))}
    return found | {f"runs/{folder.name}": folder for folder in sorted((others / PROGRAM).glob("*/"))}
