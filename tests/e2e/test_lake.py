"""Two indexers, one who joins and three readers, with reorgs and restarts on: what readers say is what one process would say."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from crossmargin.server.answers.controls import LakeParts
from indexer.lake import Lake, LakeSet, read_set
from tests.e2e.conftest import Indexed
from tests.support.recorded import Nodes, configure, recorded
from tests.support.services import ask, done, forked, killed, running, switch, until
from tests.support.services import indexed as stands_at

ACCOUNTS = ("stretched", "hedged", "liquidated")
CHAINS = ("eip155:31337", "eip155:31338")
JOURNALS = ("position_change", "market_change", "account_change", "price_observation", "lending_event")
KEPT = ("evm_block", *JOURNALS, "cursor", "indexed_venue", "indexed_feed", "derived_by")


@dataclass(slots=True)
class Seen:
    """What somebody who asks all readers all the time was told; `changing`: they are about to take another set."""

    changing: Event = field(default_factory=Event)
    answers: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    silent: int = 0


def in_lake(lake: Path) -> Callable[[str], str]:
    return lambda text: f'{text}\n[lake]\nurl = "{lake}"\nperiod = "24h"\nstale_after = "36500d"\n'


@contextmanager
def watched(readers: Sequence[str], seen: Seen, stop: Event) -> Iterator[None]:
    """Ask each reader about everybody, again and again, most often while sets change; one that is being started again does not answer."""

    def look() -> None:
        while not stop.is_set():
            for url in readers:
                for account in ACCOUNTS:
                    try:
                        seen.answers.append(ask(url, f"/v1/accounts/{account}/health"))
                    except urllib.error.HTTPError as error:
                        seen.faults.append(f"{error.code} {error.read().decode()}")
                    except OSError:
                        seen.silent += 1
            stop.wait(0.05 if seen.changing.is_set() else 1)

    thread = Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def rows_of(lake: Lake, made: LakeSet, name: str) -> list[str]:
    """The rows of a table of a set, in an order of their own."""
    return sorted(repr(row) for file in made.tables[name] for row in lake.rows(file).to_pylist())


def plain(document: dict[str, Any]) -> dict[str, Any]:
    """A document without the name of the set that it is from."""
    return {key: value for key, value in document.items() if key != "served_from"}


def latest(folder: Path) -> LakeSet:
    lake = Lake.at(str(folder))
    found = read_set(lake.filesystem, lake.root)
    assert found is not None
    return found


@pytest.mark.timeout(600)
def test_readers_say_what_one_process_says_at_one_cut_off(nodes: Nodes, tmp_path: Path) -> None:
    north, south = (nodes.start(recording, head=150) for recording in recorded())
    lake, seen, stop = tmp_path / "lake", Seen(), Event()
    places = {name: tmp_path / name for name in ("north", "south", "join", "reader", "one")}
    for name, folder in places.items():
        folder.mkdir()
        at = tmp_path / "alone" if name == "one" else lake
        configure(folder, [north] if name == "north" else [south] if name == "south" else [north, south], in_lake(at))
    serve = ("serve", "--lake", str(lake))
    with ExitStack() as stack:
        north_url, _ = stack.enter_context(running(places["north"], "run"))
        south_url, south_process = stack.enter_context(running(places["south"], "run"))
        until(lambda: stands_at(north_url)[0] == stands_at(south_url)[0] == 150)
        publish_all(places, [], seen)
        readers = [stack.enter_context(running(places["reader"], *serve)) for _ in range(3)]
        urls = [url for url, _ in readers]
        with watched(urls, seen, stop):
            switch(north, forked(recorded()[0]), 155)
            south.set_head(155)
            until(lambda: stands_at(north_url) == (155, north.recording.blocks[155]["hash"]))
            until(lambda: stands_at(south_url)[0] == 155)
            publish_all(places, urls, seen)
            killed(south_process)
            killed(readers[2][1])
            switch(north, recorded()[0], 165)
            south.set_head(165)
            south_url, _ = stack.enter_context(running(places["south"], "run"))
            until(lambda: stands_at(north_url) == (165, north.recording.blocks[165]["hash"]))
            until(lambda: stands_at(south_url)[0] == 165)
            urls[2] = stack.enter_context(running(places["reader"], *serve))[0]
            publish_all(places, urls, seen)
            north.set_head(199)
            south.set_head(202)
            until(lambda: stands_at(north_url)[0] == 199 and stands_at(south_url)[0] == 202)
            publish_all(places, urls, seen)
        said = {account: [ask(url, f"/v1/accounts/{account}/health") for url in urls] for account in ACCOUNTS}
        assert told(north_url, 'crossmargin_reorgs_total{chain="eip155:31337"} 2.0')
        refused_or_answered(urls[0])

    every_answer_is_of_one_set(lake, seen)
    made = alone_as(lake, places["one"], tmp_path / "alone")
    for account, answers in said.items():
        alone = done(places["one"], "health", account, "--at", f"@{made.cut_at}")
        assert [plain(answer) for answer in answers] == [alone] * 3
        assert {answer["served_from"]["lake_set"] for answer in answers} == {made.id}


def publish_all(places: dict[str, Path], readers: Sequence[str], seen: Seen) -> None:
    """What a schedule does: parts of both chains, and the set, which readers then take."""
    for name in ("north", "south"):
        LakeParts.model_validate(done(places[name], "lake", "publish"))
    seen.changing.set()
    joined = done(places["join"], "lake", "join")
    assert joined["new"]
    until(lambda: all(served_set(url) == joined["set"] for url in readers))
    seen.changing.clear()
    until(lambda: not readers or joined["set"] in {answer["served_from"]["lake_set"] for answer in seen.answers})


def told(url: str, line: str) -> bool:
    with urllib.request.urlopen(f"{url}/metrics", timeout=60) as reply:  # noqa: S310 - our own loopback address
        return line in reply.read().decode()


def alone_as(lake: Path, folder: Path, other: Path) -> LakeSet:
    """Let one process do all of it, and compare its set with the one that was joined, which is returned."""
    done(folder, "index", "--until", "latest")
    done(folder, "lake", "publish")
    done(folder, "lake", "join")
    made, single = latest(lake), latest(other)
    the_same_set(Lake.at(str(lake)), made, Lake.at(str(other)), single)
    return made


def served_set(url: str) -> str:
    return str(ask(url, "/v1/status")["served_from"]["lake_set"])


def every_answer_is_of_one_set(lake: Path, seen: Seen) -> None:
    """Whatever a reader said, and whenever: both chains at the cut that the named set has, and no other."""
    sets = {path.name: json.loads((path / "set.json").read_text()) for path in (lake / "sets").iterdir()}
    cuts = {name: {chain: cut["block"] for chain, cut in said["cut"].items()} for name, said in sets.items()}
    named = {answer["served_from"]["lake_set"] for answer in seen.answers}

    assert [fault for fault in seen.faults if '"busy"' not in fault] == []
    assert len(named) == len(sets) == 4
    for answer in seen.answers:
        assert {chain: at["block"] for chain, at in answer["as_of"].items()} == cuts[answer["served_from"]["lake_set"]]
        assert {at["finality"] for at in answer["as_of"].values()} == {"finalized"}


def the_same_set(lake: Lake, made: LakeSet, alone: Lake, single: LakeSet) -> None:
    assert (made.cut_at, dict(made.cut)) == (single.cut_at, dict(single.cut))
    assert set(made.cut) == set(CHAINS)
    for name in (*(f"stored_{table}" for table in KEPT), "lending_event", "fct_position", "fct_price", "dim_block"):
        rows = rows_of(lake, made, name)
        assert rows == rows_of(alone, single, name), name
        assert rows or name == "stored_derived_by", name


def refused_or_answered(url: str) -> None:
    """What a reader lacks it refuses by name, and what it has not read it does not make up."""
    for route in ("/v1/snapshots", "/v1/stream", "/ui/accounts", "/"):
        assert refusal(url, route)["code"] == "ask-elsewhere"
    late = refusal(url, "/v1/accounts/hedged/health?at=@1900000000")
    assert late["code"] == "not-stored"
    assert "nothing later" in late["detail"]
    for route in ("/v1/accounts", "/v1/accounts/hedged", "/v1/accounts/hedged/positions", "/v1/prices", "/v1/venues"):
        assert ask(url, route)["served_from"]["finality"] == "finalized"


def refusal(url: str, route: str) -> dict[str, Any]:
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(url, route)
    return dict(json.loads(refused.value.read()))


def test_an_old_set_is_believed_by_nobody_and_sql_says_what_there_is(indexed: Indexed) -> None:
    """Recorded chains end long ago: under the usual limit no chain of their set counts as known now."""
    folder = indexed.folder
    settings = folder / "crossmargin.toml"
    settings.write_text(
        f'{settings.read_text()}\n[lake]\nurl = "lake"\nperiod = "240h"\nstale_after = "480h"\n[sql]\nanonymous = true\n'
    )
    done(folder, "lake", "publish")
    made = done(folder, "lake", "join")
    shown = done(folder, "lake", "show")

    with running(folder, "serve", "--lake", str(folder / "lake")) as (url, _):
        now = ask(url, "/v1/accounts/hedged/health")
        past = ask(url, f"/v1/accounts/hedged/health?at={made['cut_at']}")
        held = sql(url, "SELECT set_id FROM lake_set")
        chains = sql(url, "SELECT chain_id, finalized_block FROM dim_chain ORDER BY chain_id")
        absent = refusal_of_sql(url, "SELECT * FROM fct_margin_account")

    assert now["status"] == "unknown"
    assert {reason["code"] for reason in now["reasons"]} >= {"lake_stale"}
    assert "lake_stale" not in {reason["code"] for reason in past["reasons"]}
    assert past["status"] != "unknown"
    assert held == [[made["set"]]]
    assert {chain: block for chain, block in chains if block is not None} == {
        chain: cut["block"] for chain, cut in shown["cut"].items()
    }
    assert "fct_margin_account" in absent["detail"]


def sql(url: str, query: str) -> list[list[Any]]:
    rows: list[list[Any]] = posted(url, query)["rows"]
    return rows


def posted(url: str, query: str) -> dict[str, Any]:
    asked = urllib.request.Request(  # noqa: S310 - our own loopback address
        f"{url}/v1/sql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=60) as reply:  # noqa: S310 - ditto
        return dict(json.load(reply))


def refusal_of_sql(url: str, query: str) -> dict[str, Any]:
    with pytest.raises(urllib.error.HTTPError) as refused:
        posted(url, query)
    return dict(json.loads(refused.value.read()))
