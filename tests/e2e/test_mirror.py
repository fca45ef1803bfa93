"""Two indexers and an aggregator that has no node: it says what one process would say that follows both chains."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb
import pytest

from indexer.mirror.pieces import by_block, whole
from indexer.store.journals import JOURNALS
from tests.support.recorded import Nodes, configure, recorded
from tests.support.services import ask, done, forked, killed, running, switch, until

CHAINS = ("eip155:31337", "eip155:31338")
ACCOUNTS = ("stretched", "hedged", "liquidated")


def by_indexers(urls: dict[str, str], keys: dict[str, str]) -> Callable[[str], str]:
    """Let a configuration of nodes name, for each node, the indexer that has it."""

    def edit(text: str) -> str:
        for node, url in urls.items():
            text = text.replace(f'rpc = ["{node}"]', f'indexer = "{url}"\nindexer_key = "{keys[node]}"')
        return text

    return edit


def key_of(folder: Path) -> str:
    return str(done(folder, "keys", "api", "create", "aggregator", "--scope", "follow")["key"])


def chains_of(url: str) -> dict[str, dict[str, Any]]:
    return {chain["chain"]: chain for chain in ask(url, "/v1/status")["chains"]}


def stands(url: str, chain_id: str) -> tuple[int, str]:
    said = chains_of(url)[chain_id]["indexed"]
    return (-1, "") if said is None else (said["block"], said["hash"])


def rows_of(folder: Path, chain_id: str) -> dict[str, list[str]]:
    """All rows that a stopped process has of a chain, in an order of their own; tips too."""
    tables = [*by_block(chain_id), *whole(), "cursor", *(journal.tip for journal in JOURNALS if journal.tip)]
    with duckdb.connect(str(folder / "crossmargin.duckdb"), read_only=True) as con:
        return {table: sorted(map(repr, con.execute(of_chain(table), [chain_id]).fetchall())) for table in tables}


def of_chain(table: str) -> str:
    return f"SELECT * FROM main.{table} WHERE chain_id = ?"  # noqa: S608 - our own names


@pytest.mark.timeout(600)
def test_an_aggregator_says_what_one_process_says(nodes: Nodes, tmp_path: Path) -> None:
    north, south = (nodes.start(recording, head=150) for recording in recorded())
    places = {name: tmp_path / name for name in ("north", "south", "aggregator", "one")}
    for name, folder in places.items():
        folder.mkdir()
        if name != "aggregator":
            configure(folder, [north] if name == "north" else [south] if name == "south" else [north, south])
    keys = {node.url: key_of(places[name]) for node, name in ((north, "north"), (south, "south"))}
    with ExitStack() as stack:
        north_url, _ = stack.enter_context(running(places["north"], "run"))
        south_url, south_process = stack.enter_context(running(places["south"], "run"))
        one_url, _ = stack.enter_context(running(places["one"], "run"))
        configure(places["aggregator"], [north, south], by_indexers({north.url: north_url, south.url: south_url}, keys))
        url, process = stack.enter_context(running(places["aggregator"], "run"))
        agree(url, one_url, {CHAINS[0]: 150, CHAINS[1]: 150})

        switch(north, forked(recorded()[0]), 155)
        south.set_head(155)
        until(lambda: stands(url, CHAINS[0]) == (155, north.recording.blocks[155]["hash"]))
        agree(url, one_url, {CHAINS[0]: 155, CHAINS[1]: 155})

        killed(process)
        killed(south_process)
        switch(north, recorded()[0], 165)
        south.set_head(165)
        port = south_url.rpartition(":")[2]
        south_url, _ = stack.enter_context(running(places["south"], "run", port=port))
        url, process = stack.enter_context(running(places["aggregator"], "run"))
        agree(url, one_url, {CHAINS[0]: 165, CHAINS[1]: 165})

        north.set_head(199)
        south.set_head(202)
        agree(url, one_url, {CHAINS[0]: 199, CHAINS[1]: 202})
    for chain_id, name in zip(CHAINS, ("north", "south"), strict=True):
        assert rows_of(places["aggregator"], chain_id) == rows_of(places[name], chain_id)
        assert rows_of(places["aggregator"], chain_id)["position_change"]


def agree(url: str, other: str, heads: dict[str, int]) -> None:
    """Wait until two services stand at the same heads, and compare what they say of everybody."""
    until(lambda: all(stands(each, chain)[0] == head for each in (url, other) for chain, head in heads.items()))
    for account in ACCOUNTS:
        live, alone = (ask(each, f"/v1/accounts/{account}/health") for each in (url, other))
        assert live == alone
        assert live["status"] != "unknown"
