"""The self-audit on the protocols' own contracts: every view of every unit answers what is stored, and a store that is wrong is found."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

import duckdb
import pytest

from chains.auditing import Auditable
from chains.model import ChainSpec, FeedSpec, VenueSpec
from chains.ports import Checked, Outcome
from chains.registry import connect
from indexer.store import Store
from tests.devnet.evm import morpho
from tests.devnet.evm.chain import build
from tests.support.indexing import chain_of, feeds_of, indexed, raw, take_in, venue_of

Setting = tuple[ChainSpec, VenueSpec, Sequence[FeedSpec]]


@pytest.mark.parametrize("seed", [1, 20])
def test_every_view_of_every_account_of_an_aave_market_answers_what_is_stored(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=seed) as net:
        setting = chain_of(net, finality="latest"), venue_of(net), feeds_of(net)
        indexed(net, path, feeds=setting[2], finality="latest")

        checks = audited(setting, path)

    assert alerts(path) == {"listing", "oracle", "admin", "implementation", "terms"}
    found = Counter((check.view, check.outcome) for check in checks)
    assert {outcome for _, outcome in found} == {Outcome.EQUAL}, [c for c in checks if c.outcome is not Outcome.EQUAL]
    assert found["getUserAccountData", Outcome.EQUAL] > 20
    assert found["getUserEMode", Outcome.EQUAL] > 20
    assert found["scaledBalanceOf", Outcome.EQUAL] > 60


def test_every_view_of_every_position_in_morpho_answers_what_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with morpho.build(seed=2) as lending:
        setting: Setting = *lending_of(lending), []
        with Store.open(path) as store:
            asyncio.run(take_in(connect(*setting_of(setting)), store))

        checks = audited(setting, path)

    found = Counter((check.view, check.outcome) for check in checks)
    assert {outcome for _, outcome in found} == {Outcome.EQUAL}, [c for c in checks if c.outcome is not Outcome.EQUAL]
    assert min(found[view, Outcome.EQUAL] for view in ("position", "market", "price")) > 10


def test_an_amount_that_is_wrong_by_one_unit_is_found_in_its_view_and_in_the_accounts_health(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=3, actions=120) as net:
        setting = chain_of(net, finality="latest"), venue_of(net), feeds_of(net)
        indexed(net, path, feeds=setting[2], finality="latest")
        unit, market = break_a_debt(path)

        wrong = [check for check in audited(setting, path) if check.outcome is not Outcome.EQUAL]

    assert {check.unit_id for check in wrong} == {unit}
    (balance,) = (check for check in wrong if check.view == "scaledBalanceOf")
    assert (balance.market, balance.outcome) == (market, Outcome.DIFFERENT)
    assert balance.ours is not None
    assert balance.theirs is not None
    assert balance.ours["scaledBalanceOf"] == balance.theirs["scaledBalanceOf"] + 10**9


def alerts(path: Path) -> set[str]:
    """What kinds of change governance made."""
    query = "SELECT DISTINCT kind FROM public.venue_alert WHERE venue_id <> 'feeds'"
    with Store.open(path, read_only=True) as store:
        return {kind for (kind,) in store.query(query, timeout_s=20, max_rows=99).rows}


def lending_of(lending: morpho.Lending) -> tuple[ChainSpec, VenueSpec]:
    chain_id = f"eip155:{lending.chain_id}"
    return (
        ChainSpec(id=chain_id, name="devnet", rpc=(lending.node.url,), finality="latest", start_block=0),
        VenueSpec(
            id="morpho",
            protocol="morpho-blue",
            chain_id=chain_id,
            address=raw(lending.address),
            start_block=lending.start_block,
        ),
    )


def break_a_debt(path: Path) -> tuple[bytes, bytes]:
    """Let the store say that somebody owes a little more than he does."""
    with duckdb.connect(str(path)) as con:
        unit, market = con.execute(
            "SELECT unit_id, market FROM position_current WHERE side = 'borrow' AND amount_raw > 0 ORDER BY unit_id LIMIT 1"
        ).fetchall()[0]
        for table in ("position_change", "position_current"):
            con.execute(
                f"UPDATE {table} SET amount_raw = amount_raw + 1000000000"  # noqa: S608 - one of two names
                " WHERE unit_id = ? AND market = ? AND side = 'borrow'",
                [unit, market],
            )
    return unit, market


def audited(setting: Setting, path: Path) -> Sequence[Checked]:
    """Compare all units of a venue at the newest final block."""
    _, venue, _ = setting
    with Store.open(path, read_only=True) as store, store.reading() as reader:
        cursor = reader.cursor(venue.chain_id)
        assert cursor is not None
        at = reader.block(venue.chain_id, cursor.finalized)
        assert at is not None
        snapshot, units = reader.venue_snapshot(venue, at), reader.unit_snapshots(venue, at)

    async def ask() -> Sequence[Checked]:
        async with aclosing(connect(*setting_of(setting))) as chain:
            assert isinstance(chain, Auditable)
            return await chain.audit(snapshot, units)

    return asyncio.run(ask())


def setting_of(setting: Setting) -> tuple[ChainSpec, list[VenueSpec], Sequence[FeedSpec]]:
    spec, venue, feeds = setting
    return spec, [venue], feeds
