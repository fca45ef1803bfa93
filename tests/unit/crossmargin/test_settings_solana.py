"""Chains, assets and accounts of Solana are configured as those of EVM chains, each in the words of its own family."""

from __future__ import annotations

from pathlib import Path

import pytest

from chains.identifiers import from_base58
from chains.model import FeedSpec
from crossmargin.settings import SettingsError
from crossmargin.settings.shown import effective
from tests.support.protocols import there_are
from tests.unit.crossmargin.test_settings import CHAIN, FEED, POOL, SOLANA, SOLANA_CHAIN, TOKEN, VENUE, read

MINT = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
PRICE = "7UVimffxr9ow1uXYxsr4LHAcV58mLzhmwaeKvJ1pjLiE"
FEED_ID = "ef0d8b6fda2ceba41da15d4095d1da392a0d2f8ed0c6c7bc0f4cfac8c280b56d"
PYTH = f'[[feed]]\nasset = "{SOLANA}/token:{MINT}"\naddress = "{PRICE}"\nheartbeat = "1m"\n'
ABROAD = PYTH.replace(f"{SOLANA}/token:{MINT}", f"eip155:1/erc20:{TOKEN}") + f'chain = "{SOLANA}"\n'
"""A feed of Solana that prices an asset of an EVM chain."""

SIGNED = '[[chain]]\nid = "pyth:mainnet"\nrpc = ["http://hermes.example"]\n'
HERMES = f'[[feed]]\nasset = "{SOLANA}/token:{MINT}"\nkind = "pyth-hermes"\nfeed_id = "{FEED_ID}"\nheartbeat = "1m"\n'
STAKES = "Jito4APyf642JPZPx3hGc6WWJ8zPKtRbRs4P815Awbb"
RATE = f'[[feed]]\nasset = "{SOLANA}/token:{MINT}"\nkind = "redemption-rate"\naddress = "{STAKES}"\nof = "{SOLANA}/slip44:501"\n'
BOTH = SOLANA_CHAIN + CHAIN
SAME = 'class = "major"\nsame_as = "ETH"\n'

REFUSED = {
    "a chain by its nickname": (
        SOLANA_CHAIN.replace(SOLANA, "solana:mainnet"),
        (
            'id is wrong: "solana:mainnet" is no Solana chain; write solana: and the first 32 characters of its genesis '
            "hash, like solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
        ),
    ),
    "a finality of another family": (
        SOLANA_CHAIN + 'finality = "safe"\n',
        f'[[chain]] #1 "{SOLANA}": finality must be one of finalized, confirmed, not "safe"',
    ),
    "evidence that is for another family": (
        SOLANA_CHAIN + 'completeness = "receipts"\n',
        f'[[chain]] #1 "{SOLANA}": completeness must be one of second-node, not "receipts"',
    ),
    "a count of confirmations": (
        SOLANA_CHAIN + 'finality = "confirmations:12"\n',
        'finality must be one of finalized, confirmed, not "confirmations:12"',
    ),
    "news by questions": (
        SOLANA_CHAIN + 'ws = "https://node.example"\n',
        'ws must be an address such as "wss://node.example:8900/…" (ws or wss)',
    ),
    "news from nowhere": (
        SOLANA_CHAIN + "ws = []\n",
        "ws must be a list with at least one item, [ … ], not an empty list",
    ),
    "a node asked for news": (
        SOLANA_CHAIN + 'ws = ["wss://node.example", "node.example"]\n',
        'ws (item 2) must be an address such as "wss://node.example:8900/…" (ws or wss)',
    ),
    "a protocol of another family": (
        SOLANA_CHAIN + VENUE.replace("eip155:1", SOLANA),
        f'[[venue]] #1 "aave": protocol "aave-v3" is for EVM chains, not {SOLANA}; there use {there_are("solana")}',
    ),
    "a feed in the spelling of another family": (
        SOLANA_CHAIN + PYTH.replace(PRICE, POOL),
        f'address is wrong: "{POOL}" is not base58: it has "0"',
    ),
    "a feed whose address is too short": (
        SOLANA_CHAIN + PYTH.replace(PRICE, "abc"),
        'address is wrong: "abc" is no Solana address; write 32 bytes in base58',
    ),
    "a kind of another family": (
        SOLANA_CHAIN + PYTH + 'kind = "chainlink"\n',
        (
            f'kind "chainlink" is for EVM chains, not {SOLANA}; use pyth-solana, or name the chain of the feed itself, '
            'chain = "eip155:…"'
        ),
    ),
    "a feed abroad that does not say where": (
        CHAIN + FEED + 'kind = "pyth-solana"\n',
        (
            'kind "pyth-solana" is for Solana chains, not eip155:1; use chainlink, or name the chain of the feed itself, '
            'chain = "solana:…"'
        ),
    ),
    "a feed on a chain that is not there": (
        CHAIN + ABROAD,
        f'[[feed]] "eip155:1/erc20:{TOKEN}": chain is on a chain that is not configured: unknown chain "{SOLANA}"',
    ),
    "a feed of an asset on a chain that is not there": (
        SOLANA_CHAIN + ABROAD,
        f'[[feed]] "eip155:1/erc20:{TOKEN}": asset is on a chain that is not configured: unknown chain "eip155:1"',
    ),
    "a feed id that is too short": (
        SOLANA_CHAIN + PYTH + 'feed_id = "0xef0d"\n',
        "feed_id must be 64 hexadecimal digits in quotes",
    ),
    "a feed id of a feed that has none": (
        CHAIN + FEED + f'feed_id = "{FEED_ID}"\n',
        f'[[feed]] #1 "eip155:1/erc20:{TOKEN}": feed_id is for pyth-solana feeds, not for chainlink; leave it out',
    ),
    "a confidence of a feed that has none": (
        CHAIN + FEED + 'max_confidence = "1%"\n',
        "max_confidence is for pyth-solana feeds, not for chainlink; leave it out",
    ),
    "a confidence without a percent sign": (
        SOLANA_CHAIN + PYTH + "max_confidence = 0.02\n",
        'max_confidence must be a percentage such as "0.5%", not 0.02',
    ),
    "a feed twice": (
        SOLANA_CHAIN + PYTH + PYTH,
        f"[[feed]] {PRICE} of {SOLANA}/token:{MINT} is written 2 times; write it once",
    ),
    "an asset of a family that is not supported": (
        CHAIN + '[[asset]]\nid = "cosmos:hub/slip44:118"\nclass = "major"\n',
        'id is wrong: "cosmos:hub" is of namespace "cosmos", which is not supported; use eip155 or solana',
    ),
    "a feed of one identity for two of its assets": (
        f'{BOTH}{PYTH}{ABROAD}[[asset]]\nid = "{SOLANA}/token:{MINT}"\n{SAME}[[asset]]\nid = "eip155:1/erc20:{TOKEN}"\n{SAME}',
        (
            f"[[feed]] {PRICE} on {SOLANA} is written for {SOLANA}/token:{MINT} and eip155:1/erc20:{TOKEN}, "
            'which are one as "ETH" and share their feeds; write it for one of them'
        ),
    ),
    "a price of Pyth in two accounts": (
        SOLANA_CHAIN + PYTH + f'feed_id = "{FEED_ID}"\n' + PYTH.replace(PRICE, MINT) + f'feed_id = "{FEED_ID}"\n',
        f'{PRICE} on {SOLANA} and {MINT} on {SOLANA} give one price of Pyth for "{SOLANA}/token:{MINT}"',
    ),
    "a price of Pyth by two ways": (
        SOLANA_CHAIN + SIGNED + PYTH + HERMES,
        "and it would count double; write one of them, or the feed_id of each",
    ),
    "a pool of two tokens": (
        SOLANA_CHAIN
        + PYTH.replace(f"token:{MINT}", "slip44:501")
        + RATE
        + RATE.replace(f"/token:{MINT}", f"/token:{PRICE}"),
        f"[[feed]] {STAKES} on {SOLANA} is written for {SOLANA}/token:{MINT} and {SOLANA}/token:{PRICE} as two prices; an account is one",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_refused_with_what_to_write(tmp_path: Path, case: str) -> None:
    text, message = REFUSED[case]

    with pytest.raises(SettingsError) as refusal:
        read(tmp_path, text)

    assert [message in problem for problem in refusal.value.problems] == [True]


def test_what_is_not_written_has_its_default(tmp_path: Path) -> None:
    (chain,) = read(tmp_path, SOLANA_CHAIN).chains

    assert (chain.spec.finality, chain.spec.start_block, chain.spec.ws) == ("finalized", 0, ())


@pytest.mark.parametrize("finality", ["finalized", "confirmed"])
def test_a_slot_is_settled_by_either_commitment(tmp_path: Path, finality: str) -> None:
    settings = read(tmp_path, SOLANA_CHAIN + f'finality = "{finality}"\n')

    assert settings.chains[0].spec.finality == finality


def test_one_node_or_several_tell_of_news(tmp_path: Path) -> None:
    one = read(tmp_path, SOLANA_CHAIN + 'ws = "ws://a.example"\n')
    several = read(tmp_path, SOLANA_CHAIN + 'ws = ["ws://a.example", "wss://b.example/${KEY}"]\n', {"KEY": "k1"})

    assert one.chains[0].spec.ws == ("ws://a.example",)
    assert several.chains[0].spec.ws == ("ws://a.example", "wss://b.example/k1")


def test_a_feed_is_of_the_kind_and_on_the_chain_of_its_asset_unless_it_says_otherwise(tmp_path: Path) -> None:
    home, abroad = read(tmp_path, BOTH + PYTH + ABROAD).feeds

    assert home == FeedSpec(
        asset=f"{SOLANA}/token:{MINT}",
        kind="pyth-solana",
        chain_id=SOLANA,
        address=from_base58(PRICE),
        heartbeat_s=60,
        deviation=0.01,
        feed_id=None,
        max_confidence=0.02,
    )
    assert (abroad.asset, abroad.kind, abroad.chain_id) == (f"eip155:1/erc20:{TOKEN}", "pyth-solana", SOLANA)
    assert abroad.address == home.address


def test_an_evm_feed_says_nothing_of_confidence(tmp_path: Path) -> None:
    (feed,) = read(tmp_path, CHAIN + FEED).feeds

    assert (feed.kind, feed.chain_id, feed.feed_id, feed.max_confidence) == ("chainlink", "eip155:1", None, None)


@pytest.mark.parametrize("written", [FEED_ID, f"0x{FEED_ID}", FEED_ID.upper()])
def test_a_feed_says_what_it_must_be_a_price_of(tmp_path: Path, written: str) -> None:
    text = SOLANA_CHAIN + PYTH + f'feed_id = "{written}"\nmax_confidence = "0.5%"\n'

    (feed,) = read(tmp_path, text).feeds

    assert feed.feed_id == bytes.fromhex(FEED_ID)
    assert feed.max_confidence == 0.005


def test_one_feed_may_price_assets_of_two_identities(tmp_path: Path) -> None:
    assert len(read(tmp_path, BOTH + PYTH + ABROAD).feeds) == 2


def test_feeds_are_followed_on_their_own_chain(tmp_path: Path) -> None:
    settings = read(tmp_path, BOTH + ABROAD)

    assert settings.feeds_of("eip155:1") == ()
    assert settings.feeds_of(SOLANA) == settings.feeds


def test_an_asset_may_be_a_mint_or_the_chains_own_coin(tmp_path: Path) -> None:
    names = [f"{SOLANA}/token:{MINT}", f"{SOLANA}/slip44:501"]
    text = "".join(f'[[asset]]\nid = "{name}"\nclass = "major"\n' for name in names)

    assert [asset.id for asset in read(tmp_path, SOLANA_CHAIN + text).assets] == names


def test_an_account_has_members_on_both_kinds_of_network(tmp_path: Path) -> None:
    members = [f"eip155:1:{POOL}", f"{SOLANA}:{PRICE}"]

    settings = read(tmp_path, f'{BOTH}[[account]]\nid = "acme"\nmembers = ["{members[0]}", "{members[1]}"]\n')

    assert settings.accounts[0].members == tuple(members)


def test_what_is_understood_is_shown_in_the_words_of_the_file(tmp_path: Path) -> None:
    feed = f'feed_id = "0x{FEED_ID}"\nmax_confidence = "1.5%"\n'

    shown = effective(read(tmp_path, SOLANA_CHAIN + 'ws = "ws://a.example"\n' + PYTH + feed))

    assert shown["chain"][0]["ws"] == ["ws://a.example"]
    assert shown["feed"] == [
        {
            "asset": f"{SOLANA}/token:{MINT}",
            "kind": "pyth-solana",
            "chain": SOLANA,
            "address": PRICE,
            "heartbeat": "60s",
            "deviation": "1%",
            "feed_id": FEED_ID,
            "max_confidence": "1.5%",
        }
    ]


JITO, POOL_ACCOUNT = "J1toso1uCk3RLmjorhTtrVwY9HJ7X8V9yYac6Y7kGCPn", "Jito4APyf642JPZPx3hGc6WWJ8zPKtRbRs4P815Awbb"
RATE = f'[[feed]]\nasset = "{SOLANA}/token:{JITO}"\nkind = "redemption-rate"\nof = "{SOLANA}/token:{MINT}"\naddress = "{POOL_ACCOUNT}"\n'


def test_staked_sol_is_read_from_its_pool_and_asks_no_question(tmp_path: Path) -> None:
    settings = read(tmp_path, SOLANA_CHAIN + PYTH + RATE)
    rate = settings.feeds[1]

    assert (rate.address, rate.feed_id, rate.unit_raw, rate.heartbeat_s) == (from_base58(POOL_ACCOUNT), None, 10**18, 0)
    assert rate.of == f"{SOLANA}/token:{MINT}"
    shown = effective(settings)["feed"][1]
    assert (shown["of"], shown["unit_raw"]) == (rate.of, str(10**18))
    assert "question" not in shown


def test_a_switchboard_feed_says_which_jobs_it_must_be_of(tmp_path: Path) -> None:
    text = PYTH + f'kind = "switchboard"\nfeed_id = "{FEED_ID}"\nmax_confidence = "3%"\n'
    (feed,) = read(tmp_path, SOLANA_CHAIN + text).feeds

    assert (feed.kind, feed.feed_id, feed.max_confidence) == ("switchboard", bytes.fromhex(FEED_ID), 0.03)


@pytest.mark.parametrize("key", ['view = "getRate"', "share_decimals = 9", "rate_decimals = 9"])
def test_a_pool_is_asked_nothing(tmp_path: Path, key: str) -> None:
    with pytest.raises(
        SettingsError, match="is for contracts; of a pool of staked SOL the account is read, leave it out"
    ):
        read(tmp_path, SOLANA_CHAIN + PYTH + RATE + key + "\n")
