"""The deployments that ship are ones that the product can read, and `init` makes a configuration of them that loads."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest

from chains.identifiers import format_address, parse_address
from chains.registry import PROTOCOLS
from crossmargin import deployments
from crossmargin.cli import starting
from crossmargin.cli.context import Context
from crossmargin.cli.starting import Answers
from crossmargin.deployments import Deployments
from crossmargin.errors import UsageError
from crossmargin.settings import Settings, load

NAMES = ("ethereum", "arbitrum", "optimism", "base", "polygon", "avalanche", "bnb", "gnosis", "solana")
NODES = {f"{name.upper()}_RPC_URL": f"http://{name}.example" for name in NAMES}
NODES |= {"SOLANA_START_SLOT": "350000000", "HERMES_URL": "http://hermes.example"}


@pytest.fixture(scope="module")
def known() -> Deployments:
    return deployments.known()


def test_every_deployment_loads_through_the_settings(tmp_path: Path, known: Deployments) -> None:
    """Also the feeds, once they have a heartbeat."""
    settings = read(tmp_path, completed(deployments.written(known)))

    assert [chain.spec.name for chain in settings.chains] == [*NAMES, "pyth"]
    assert [venue.id for venue in settings.venues] == [venue["id"] for venue in known.venues]
    assert len(settings.assets) == len(known.assets) > 0
    assert len(settings.feeds) == len(known.feeds) > 0


def test_addresses_are_written_with_their_checksum(known: Deployments) -> None:
    written = [
        *((venue["chain"], venue["address"]) for venue in known.venues),
        *((venue["chain"], venue["factory"]) for venue in known.venues if "factory" in venue),
        *((feed["asset"].partition("/")[0], feed["address"]) for feed in known.feeds if "address" in feed),
        *((asset["id"].partition("/")[0], asset["id"].rpartition(":")[2]) for asset in known.assets),
    ]

    assert [address for _, address in written] == [
        format_address(chain, parse_address(chain, address)) for chain, address in written
    ]


def test_nothing_is_there_twice(known: Deployments) -> None:
    for keys in (
        [chain["id"] for chain in known.chains],
        [venue["id"] for venue in known.venues],
        [(venue["chain"], venue["address"]) for venue in known.venues],
        [asset["id"] for asset in known.assets],
        [(feed["asset"], feed.get("address"), feed.get("feed_id")) for feed in known.feeds],
    ):
        assert [key for key, count in Counter(keys).items() if count > 1] == []


def test_every_address_names_a_package_of_the_header_or_a_file_at_a_commit(checkout: Path, known: Deployments) -> None:
    text = (checkout / "config" / deployments.FILE).read_text(encoding="utf-8")
    pinned = set(re.findall(r"^#   (\S+ \d+\.\d+\.\d+)$", text, flags=re.MULTILINE))
    repositories = set(re.findall(r"^#   (\w\S+/\S+)$", text, flags=re.MULTILINE))
    everything = tomllib.loads(text)["venue"]
    named = {
        source.partition(",")[0]
        for row in (*everything, *known.assets, *known.feeds)
        for source in row["source"].split("; ")
    }
    files = {source for source in named if re.fullmatch(r"[\w-]+/[\w.-]+@[0-9a-f]{40} [\w./-]+", source)}

    assert named - files == pinned
    assert {source.partition("@")[0] for source in files} == repositories


def test_what_repositories_say_is_there_as_they_say_it(checkout: Path, known: Deployments) -> None:
    told = tomllib.loads((checkout / "scripts" / "addresses.toml").read_text(encoding="utf-8"))["venue"]
    ids = {chain["name"]: chain["id"] for chain in known.chains}
    by_id = {venue["id"]: venue for venue in known.venues}

    for row in told:
        sources = row.pop("sources")
        venue = by_id[row["id"]]
        assert row | {"chain": ids[row["chain"]]} == {key: venue[key] for key in row}
        assert set(sources) <= set(venue["source"].split("; "))
    assert Counter(row["protocol"] for row in told) == {"compound-v3": 19, "euler-v2": 7, "aave-v3": 2}


def test_a_fork_says_what_its_revisions_compute(tmp_path: Path, known: Deployments) -> None:
    settings = read(tmp_path, deployments.written(deployments.chosen(known, ["ethereum", "gnosis"], ["aave-v3"])))

    revisions = {venue.id: venue.options["revisions"] for venue in settings.venues if venue.options}
    until = {"spark-ethereum": 4, "spark-gnosis": 3}
    assert revisions == {name: {str(1 + number): "3.0" for number in range(last)} for name, last in until.items()}


def test_sources_that_do_not_agree_are_refused(checkout: Path) -> None:
    script = run_path(str(checkout / "scripts" / "deployments"))

    def venue(name: str, address: str, **more: str) -> Any:
        return script["Venue"](name, "compound-v3", "eip155:1", address, "auto", more.pop("source", "a package"), more)

    told = venue("one", "0xA", source="a repository", factory="0xF")
    (both,) = script["combined"]([venue("one", "0xA")], [told])
    assert (both.address, both.source, both.options) == ("0xA", "a package; a repository", {"factory": "0xF"})
    with pytest.raises(
        SystemExit, match="one is compound-v3 at 0xB by a package, but compound-v3 at 0xA by a repository"
    ):
        script["combined"]([venue("one", "0xB")], [told])
    with pytest.raises(SystemExit, match="two and one are the same address, 0xA"):
        script["combined"]([venue("two", "0xa")], [told])


def test_the_example_agrees_with_the_deployments(checkout: Path, known: Deployments) -> None:
    """A start block of the example may be one that no source has, but none that is after the deployment."""
    environment = {"MAINNET_RPC_KEY": "k", "OPTIMISM_RPC_KEY": "k", "SOLANA_RPC_KEY": "k", "HERMES_KEY": "k"}
    environment["PERP_DESK_PUBLIC_KEY"] = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    blocks = {(venue["chain"], venue["address"]): venue["start_block"] for venue in known.venues}

    example = load(checkout / "config" / "example.toml", environment)
    shared = {
        venue.id: (venue.start_block, blocks[place])
        for venue in example.venues
        if (place := (venue.chain_id, format_address(venue.chain_id, venue.address))) in blocks
    }

    on_solana = {"drift-main", "jupiter-lend", "kamino-main", "marginfi-main", "save-main"}
    on_ethereum = {"aave-ethereum", "comet-ethereum-usdt", "euler-ethereum", "morpho-ethereum"}
    assert shared.keys() == on_ethereum | {"aave-optimism"} | on_solana
    assert all(start <= deployed for start, deployed in shared.values() if isinstance(deployed, int))
    assert {deployed for name, (_, deployed) in shared.items() if name in on_solana} == {"recent"}


@pytest.mark.parametrize("name", NAMES)
def test_init_writes_what_loads(tmp_path: Path, known: Deployments, name: str) -> None:
    path = tmp_path / "crossmargin.toml"

    starting.init(Context(), Answers(chains=(name,), protocols=(), output=path))

    settings = load(path, NODES)
    (chain,) = settings.chains
    assert (chain.spec.name, chain.spec.rpc, chain.spec.finality) == (name, (f"http://{name}.example",), "finalized")
    here = [venue for venue in known.venues if venue["chain"] == chain.spec.id]
    open_ = {venue["id"] for venue in here if venue["start_block"] == "auto"}
    assert [venue.id for venue in settings.venues] == [venue["id"] for venue in here]
    assert set(settings.auto) == (open_ | {chain.spec.id} if open_ else set())


def test_init_takes_only_the_protocols_that_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "crossmargin.toml"

    starting.init(Context(), Answers(chains=("base", "eip155:1"), protocols=("morpho-blue",), output=path))

    settings = load(path, NODES)
    assert [venue.id for venue in settings.venues] == ["morpho-ethereum", "morpho-base"]
    assert [chain.spec.start_block for chain in settings.chains] == [18883124, 13977148]
    assert settings.assets == ()


def test_a_chain_that_is_named_twice_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "crossmargin.toml"

    starting.init(Context(), Answers(chains=("base", "eip155:8453", "base"), protocols=(), output=path))

    assert [chain.spec.id for chain in load(path, NODES).chains] == ["eip155:8453"]


def test_init_leaves_a_file_alone_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "crossmargin.toml"
    path.write_text("mine")

    with pytest.raises(UsageError, match="is there already; name another file with --output"):
        starting.init(Context(), Answers(chains=("base",), protocols=(), output=path))

    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    "chain, protocol, message",
    [
        (
            "bose",
            "aave-v3",
            'no deployments on chain "bose" are known; did you mean "base"?',
        ),
        (
            "base",
            "aave-v4",
            'no deployments of protocol "aave-v4" are known; did you mean "aave-v3"?',
        ),
        (
            "tron",
            "aave-v3",
            (
                'no deployments on chain "tron" are known; use one of arbitrum, avalanche, base, bnb, ethereum, gnosis, '
                "optimism, polygon, solana"
            ),
        ),
        ("gnosis", "morpho-blue", "none of these protocols is known on gnosis; there use aave-v3"),
    ],
)
def test_what_is_not_known_is_refused_with_what_is(tmp_path: Path, chain: str, protocol: str, message: str) -> None:
    path = tmp_path / "crossmargin.toml"

    with pytest.raises(UsageError) as refusal:
        starting.init(Context(), Answers(chains=(chain,), protocols=(protocol,), output=path))

    assert str(refusal.value) == message
    assert not path.exists()


def test_init_on_solana_names_markets_of_protocols_that_are_known_here(tmp_path: Path, checkout: Path) -> None:
    path = tmp_path / "crossmargin.toml"
    starting.init(Context(), Answers(chains=("solana",), protocols=(), output=path))

    settings = load(path, NODES)
    shipped = tomllib.loads((checkout / "config" / deployments.FILE).read_text(encoding="utf-8"))["venue"]
    here = {venue["protocol"] for venue in shipped if venue["chain"].startswith("solana:")}
    assert here == {"kamino", "marginfi", "save", "drift", "jupiter-lend"}
    assert {venue.protocol for venue in settings.venues} == here & PROTOCOLS.keys() >= {"kamino", "marginfi", "save"}
    assert {venue.start_block for venue in settings.venues} == {350_000_000}
    assert settings.venues[0].options == {"program_version": "1.22"}
    assert len(settings.assets) > 50


def test_what_the_written_file_asks_for_is_told(known: Deployments) -> None:
    on_solana = deployments.chosen(known, ["solana"], [])

    assert deployments.variables(on_solana) == ["SOLANA_RPC_URL", "SOLANA_START_SLOT"]
    assert "SOLANA_RPC_URL and SOLANA_START_SLOT" in deployments.written(on_solana)


def test_every_protocol_of_the_deployments_is_supported(known: Deployments) -> None:
    assert set(known.protocols) <= PROTOCOLS.keys()


def completed(text: str) -> str:
    """The feeds without their #, and with a heartbeat."""
    signed = "# [[chain]]" if "# [[chain]]" in text else "# [[feed]]"
    head, mark, feeds = text.partition(signed)
    feeds, account, _ = feeds.partition("# [[account]]")
    assert mark
    assert account
    lines = [line.removeprefix("# ") for line in (mark + feeds).splitlines()]
    return head + "\n".join(lines).replace('heartbeat = ""', 'heartbeat = "1h"')


def read(folder: Path, text: str) -> Settings:
    path = folder / "crossmargin.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, NODES)
