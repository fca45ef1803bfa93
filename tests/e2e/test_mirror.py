"""Two indexers and an aggregator that has no node: it says what one process would say that follows both chains."""

from __future__ import annotations

import select
import shutil
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import duckdb
import pytest

from indexer.mirror.pieces import by_block, whole
from indexer.store.journals import JOURNALS
from tests.support.recorded import Nodes, configure, crossmargin, recorded
from tests.support.services import ask, done, forked, indexed, killed, running, switch, until

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


def final(url: str) -> dict[str, int | None]:
    """Up to which block of each chain a service takes what it has for final: estimates rest on days of final blocks."""
    return {chain["chain"]: chain["finalized_block"] for chain in ask(url, "/v1/chains")["chains"]}


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
        assert {chain["indexer"] for chain in chains_of(url).values()} == {north_url, south_url}
        refuses_what_only_an_indexer_can(places["aggregator"], url)
    for chain_id, name in zip(CHAINS, ("north", "south"), strict=True):
        assert rows_of(places["aggregator"], chain_id) == rows_of(places[name], chain_id)
        assert rows_of(places["aggregator"], chain_id)["position_change"]


def agree(url: str, other: str, heads: dict[str, int]) -> None:
    """Wait until two services stand at the same heads with the same blocks final, and compare what they say of everybody."""
    until(lambda: all(stands(each, chain)[0] == head for each in (url, other) for chain, head in heads.items()))
    until(lambda: final(url) == final(other))
    for account in ACCOUNTS:
        live, alone = (ask(each, f"/v1/accounts/{account}/health") for each in (url, other))
        assert live == alone
        assert live["status"] != "unknown"


def refuses_what_only_an_indexer_can(folder: Path, url: str) -> None:
    """By name, and saying who can; nothing that is stored is touched."""
    before = chains_of(url)[CHAINS[0]]["indexed"]
    shown = done(folder, "doctor")
    assert [chain["indexer"]["problem"] for chain in shown["chains"]] == [None, None]
    for command in (("index",), ("rebuild",), ("restate", "--chain", CHAINS[0])):
        ended = crossmargin(folder, *command)
        assert ended.returncode != 0
        assert "is followed by the indexer at http://127.0.0.1" in ended.stderr
    assert chains_of(url)[CHAINS[0]]["indexed"] == before


class Relay:
    """Passes bytes between two ports, and with a limit cuts what the far side says of one connection after so many bytes."""

    def __init__(self, to: int) -> None:
        self.limit: int | None = None
        self.cut = 0
        self._to, self._stop = to, Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._threads = [Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        self._stop.set()
        self._listener.close()
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            pass
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        self._listener.settimeout(0.2)
        while not self._stop.is_set():
            try:
                near, _ = self._listener.accept()
            except OSError:
                continue
            thread = Thread(target=self._pass, args=(near,))
            self._threads.append(thread)
            thread.start()

    def _pass(self, near: socket.socket) -> None:
        with near, suppress(OSError), socket.create_connection(("127.0.0.1", self._to)) as far:
            said = 0
            while not self._stop.is_set():
                for ready in select.select([near, far], [], [], 0.2)[0]:
                    chunk = ready.recv(65_536)
                    if not chunk:
                        return
                    if ready is near:
                        far.sendall(chunk)
                        continue
                    said += len(chunk)
                    if self.limit is not None and said > self.limit:
                        self.cut += 1
                        near.sendall(chunk[: self.limit])
                        return
                    near.sendall(chunk)


@pytest.mark.timeout(600)
def test_what_breaks_on_the_way_is_taken_whole_or_not_at_all(nodes: Nodes, tmp_path: Path) -> None:
    """Answers that end early, an indexer that went back to an older backup, a key that is revoked, and silence."""
    node = nodes.start(recorded()[0], head=150)
    places = {name: tmp_path / name for name in ("north", "older", "aggregator")}
    for folder in places.values():
        folder.mkdir()
    configure(places["north"], [node])
    key = key_of(places["north"])
    with ExitStack() as stack:
        north_url, process = stack.enter_context(running(places["north"], "run"))
        until(lambda: indexed(north_url)[0] == 150)
        relay = Relay(int(north_url.rpartition(":")[2]))
        stack.callback(relay.close)
        named = by_indexers({node.url: f"http://127.0.0.1:{relay.port}"}, {node.url: key})
        patience = 'poll = "200ms"\nstale_after = "3s"'
        configure(places["aggregator"], [node], lambda text: named(text).replace('poll = "200ms"', patience))
        relay.limit = 9_000
        url, _ = stack.enter_context(running(places["aggregator"], "run"))
        until(lambda: relay.cut >= 3)
        assert stands(url, CHAINS[0]) == (-1, "")
        relay.limit = None
        until(lambda: stands(url, CHAINS[0])[0] == 150)

        killed(process)
        shutil.copytree(places["north"], places["older"], dirs_exist_ok=True)
        until(lambda: chains_of(url)[CHAINS[0]]["reason"] is not None)
        assert chains_of(url)[CHAINS[0]]["reason"]["code"] == "chain_stale"
        assert ask(url, "/v1/accounts/hedged/health")["status"] == "unknown"
        port = str(north_url.rpartition(":")[2])
        with running(places["north"], "run", port=port):
            node.set_head(180)
            until(lambda: stands(url, CHAINS[0])[0] == 180)
        node.set_head(160)
        with running(places["older"], "run", port=port) as (older_url, _):
            until(lambda: stands(url, CHAINS[0]) == indexed(older_url) and indexed(older_url)[0] == 160)
            until(lambda: chains_of(url)[CHAINS[0]]["reason"] is None)
            assert ask(url, "/v1/accounts/hedged/health") == ask(older_url, "/v1/accounts/hedged/health")
            (held,) = done(places["older"], "keys", "api", "list")["keys"]
            done(places["older"], "keys", "api", "revoke", held["id"])
            until(lambda: "indexer_key" in (chains_of(url)[CHAINS[0]]["fault"] or ""))
            until(lambda: chains_of(url)[CHAINS[0]]["reason"] is not None)
    rows = rows_of(places["aggregator"], CHAINS[0])
    assert {name: each for name, each in rows.items() if each != rows_of(places["older"], CHAINS[0])[name]} == {}
    for log in tmp_path.glob("*/run.log"):
        assert key not in log.read_text()
