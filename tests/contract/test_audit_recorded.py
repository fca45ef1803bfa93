"""The self-audit of Compound III and Euler v2, beside what their own contracts answered when the runs were recorded."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from chains.evm.parity import audit
from chains.evm.ports import UNAVAILABLE, Answer, Read
from chains.model import Block, VenueSpec
from chains.ports import Checked, Outcome
from chains.registry import connect
from crossmargin.demo.recording import Recording
from crossmargin.demo.replay import ReplayNode
from indexer.store import Store
from tests.devnet.evm.abi import calldata
from tests.support.comet_runs import CometRun
from tests.support.euler_runs import EulerRun
from tests.support.evm_runs import EvmRun, folders
from tests.support.indexing import raw, take_in

Said = Mapping[tuple[str, str], int | tuple[int, ...]]


class Recorded:
    """Contracts that answer what they did in one sample, and what was not recorded not at all."""

    def __init__(self, said: Said) -> None:
        self._said = said

    async def read(self, reads: Collection[Read], blocks: Mapping[int, Block]) -> dict[Read, Answer]:
        return {read: self._answer(read) for read in reads}

    def _answer(self, read: Read) -> Answer:
        found = self._said.get(("0x" + read.address.hex(), "0x" + read.input.hex()))
        if found is None:
            return UNAVAILABLE
        words = found if isinstance(found, tuple) else (found,)
        return Answer("returned", b"".join((word % 2**256).to_bytes(32) for word in words))


@pytest.mark.parametrize("folder", folders("comet").values(), ids=folders("comet"))
def test_every_view_of_every_account_of_a_comet_answers_what_is_stored(folder: Path, tmp_path: Path) -> None:
    run = CometRun.load(folder)
    blocks = sorted({*(sample["block"] for sample in run.samples), run.last})
    found = audited(run, run.venue(), run.recording(), path=tmp_path / "store.duckdb", blocks=blocks, said=comet_said)

    assert {outcome for _, outcome in found} == {Outcome.EQUAL}, found
    views = ("userBasic", "balanceOf", "borrowBalanceOf", "isLiquidatable", "isBorrowCollateralized", "userCollateral")
    assert min(found[view, Outcome.EQUAL] for view in views) > 50, found


@pytest.mark.parametrize("folder", folders("euler").values(), ids=folders("euler"))
def test_every_view_of_every_account_of_euler_answers_what_is_stored(folder: Path, tmp_path: Path) -> None:
    run = EulerRun.load(folder)
    found = audited(
        run, run.venue(), run.recording(), path=tmp_path / "store.duckdb", blocks=[run.last], said=euler_said
    )

    assert {outcome for _, outcome in found} == {Outcome.EQUAL}, found
    views = ("accountLiquidity/borrow", "accountLiquidity/liquidation", "balanceOf", "debtOfExact")
    enabled = ("isCollateralEnabled", "isControllerEnabled")
    assert min(found[view, Outcome.EQUAL] for view in (*views, *enabled)) > 10, found


def audited(
    run: EvmRun, venue: VenueSpec, recording: Recording, *, path: Path, blocks: list[int], said: Any
) -> Counter[tuple[str, Outcome]]:
    """Take in a run, stopping at some blocks, and compare everybody who was sampled with each sample."""
    found = Counter[tuple[str, Outcome]]()
    with Store.open(path) as store:
        asyncio.run(followed(run, venue, recording, store, blocks))
        with store.reading() as reader:
            for sample in run.samples:
                at, sampled = run.block(sample["block"]), {raw(account) for account in sample["accounts"]}
                units = [unit for unit in reader.unit_snapshots(venue, at) if unit.unit_id in sampled]
                contracts = Recorded(dict(said(run, sample)))
                checks = asyncio.run(audit(contracts, reader.venue_snapshot(venue, at), units))
                found += Counter((check.view, check.outcome) for check in told(checks))
    return found


def told(checks: Collection[Checked]) -> list[Checked]:
    """Name what differs where it does."""
    assert [check for check in checks if check.outcome is Outcome.DIFFERENT] == []
    return list(checks)


async def followed(run: EvmRun, venue: VenueSpec, recording: Recording, store: Store, blocks: list[int]) -> None:
    async with ReplayNode(recording) as node:
        for until in blocks:
            await take_in(connect(run.spec(node.url), [venue], []), store, until=until)


def comet_said(run: CometRun, sample: dict[str, Any]) -> Iterator[tuple[tuple[str, str], int | tuple[int, ...]]]:
    for user, said in sample["accounts"].items():
        for view in ("balanceOf", "borrowBalanceOf", "isLiquidatable", "isBorrowCollateralized"):
            yield (run.comet, calldata(f"{view}(address)", user)), int(said[view])
        basic = tuple(int(word) for word in said["userBasic"].values())
        yield (run.comet, calldata("userBasic(address)", user)), basic
        for token in sample["collateral"]:
            held = int(said["collateralBalanceOf"].get(token, 0))
            yield (run.comet, calldata("userCollateral(address,address)", user, token)), (held, 0)


def euler_said(run: EulerRun, sample: dict[str, Any]) -> Iterator[tuple[tuple[str, str], int | tuple[int, ...]]]:
    connector, vaults = run.about["addresses"]["EVC"].lower(), [each.lower() for each in sample["vaults"]]
    for account, said in sample["accounts"].items():
        told = {vault.lower(): numbers for vault, numbers in said["vaults"].items()}
        for vault in vaults:
            for view in ("balanceOf", "debtOfExact"):
                yield (vault, calldata(f"{view}(address)", account)), int(told.get(vault, {}).get(view, 0))
            for role in ("Collateral", "Controller"):
                on = vault in {each.lower() for each in said[role.lower() + "s"]}
                yield (connector, calldata(f"is{role}Enabled(address,address)", account, vault)), int(on)
        both = said.get("accountLiquidity_collateral_liability")
        for vault in said["controllers"] if both else ():
            for kind in ("borrow", "liquidation"):
                words = tuple(int(number) for number in both[kind])
                asked = calldata("accountLiquidity(address,bool)", account, kind == "liquidation")
                yield (vault.lower(), asked), words
