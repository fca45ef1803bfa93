"""A feed that is a redemption rate: what is asked of which contract, and what it may rest on."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossmargin.settings import Settings, SettingsError, load
from crossmargin.settings.shown import effective

CHAIN = '[[chain]]\nid = "eip155:1"\nrpc = ["http://node.example"]\n'
ETHER, STAKED, WRAPPED, VAULT = (f"eip155:1/erc20:0x{digit * 40}" for digit in "1234")
FEED = f'[[feed]]\nasset = "{ETHER}"\naddress = "0x{"5" * 40}"\nheartbeat = "1h"\n'


def rate(asset: str = STAKED, of: str = ETHER, view: str = "getRate", more: str = "") -> str:
    return f'[[feed]]\nasset = "{asset}"\nkind = "redemption-rate"\nof = "{of}"\naddress = "0x{"6" * 40}"\nview = "{view}"\n{more}'


def read(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "crossmargin.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, {})


@pytest.mark.parametrize(
    "view, more, question, unit",
    [
        ("stEthPerToken", "", "035faf82", 10**18),
        ("getRate", "", "679aefce", 10**18),
        ("getExchangeRate", "rate_decimals = 8\n", "e6aa216c", 10**8),
        ("convertToAssets", "", "07a2d13a" + f"{10**18:064x}", 10**18),
        ("convertToAssets", "share_decimals = 6\nrate_decimals = 6\n", "07a2d13a" + f"{10**6:064x}", 10**6),
    ],
)
def test_a_rate_is_a_question_to_a_contract(tmp_path: Path, view: str, more: str, question: str, unit: int) -> None:
    feed = read(tmp_path, CHAIN + FEED + rate(view=view, more=more)).feeds[1]

    assert (feed.feed_id, feed.unit_raw, feed.of) == (bytes.fromhex(question), unit, ETHER)
    assert (feed.deviation, feed.heartbeat_s) == (0.0, 0)


def test_what_is_shown_names_the_asset_and_the_question(tmp_path: Path) -> None:
    shown = effective(read(tmp_path, CHAIN + FEED + rate()))["feed"]

    assert "of" not in shown[0]
    assert (shown[1]["of"], shown[1]["question"], shown[1]["unit_raw"]) == (ETHER, "0x679aefce", str(10**18))
    assert "heartbeat" not in shown[1]


@pytest.mark.parametrize(
    "text, message",
    [
        (FEED + rate(more='heartbeat = "1h"\n'), "heartbeat is not for redemption-rate feeds, which are read with every"),
        (FEED + "view = 'getRate'\n", "view is for redemption-rate feeds, not for chainlink; leave it out"),
        (FEED + rate(view="rate"), "view must be one of stEthPerToken, getRate, getExchangeRate, convertToAssets"),
        (FEED + rate(more="rate_decimals = 37\n"), "rate_decimals must be at most 36, not 37"),
        (FEED + rate().replace(f'of = "{ETHER}"\n', ""), "of is missing; write the asset that one of this is redeemed for"),
        (FEED + rate(of=VAULT), f'[[feed]] "{STAKED}": of is {VAULT}, which no [[feed]] prices; add one'),
        (
            FEED + rate(STAKED, WRAPPED) + rate(WRAPPED, STAKED),
            f"redemption rates go round in a circle: {STAKED} → {WRAPPED} → {STAKED}; take one of them out",
        ),
        (FEED + rate(STAKED, STAKED), f"redemption rates go round in a circle: {STAKED} → {STAKED}; take one of them out"),
        (
            FEED + rate(STAKED, ETHER) + rate(WRAPPED, STAKED)
            + f'[[asset]]\nid = "{ETHER}"\nclass = "major"\nsame_as = "X"\n[[asset]]\nid = "{WRAPPED}"\nclass = "major"\nsame_as = "X"\n',
            "redemption rates go round in a circle",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        read(tmp_path, CHAIN + text)

    assert message in str(refusal.value)


def test_a_circle_is_told_once_and_a_chain_of_rates_is_none(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refusal:
        read(tmp_path, CHAIN + FEED + rate(WRAPPED, STAKED) + rate(STAKED, VAULT) + rate(VAULT, WRAPPED))
    assert str(refusal.value).count("in a circle") == 1

    assert len(read(tmp_path, CHAIN + FEED + rate(STAKED, ETHER) + rate(WRAPPED, STAKED)).feeds) == 3


UPTIME = f'[[feed]]\nkind = "sequencer-uptime"\nchain = "eip155:1"\naddress = "0x{"7" * 40}"\n'


def test_what_tells_of_a_sequencer_is_about_the_chain_and_of_no_asset(tmp_path: Path) -> None:
    settings = read(tmp_path, CHAIN + UPTIME + 'grace = "30m"\n')

    (feed,) = settings.feeds
    assert (feed.asset, feed.kind, feed.chain_id, feed.heartbeat_s) == (
        "eip155:1",
        "sequencer-uptime",
        "eip155:1",
        1800,
    )
    assert effective(settings)["feed"][0]["grace"] == "1800s"
    assert read(tmp_path, CHAIN + UPTIME).feeds[0].heartbeat_s == 3600


@pytest.mark.parametrize(
    "text, message",
    [
        (UPTIME + f'asset = "{ETHER}"\n', 'unknown key "asset"'),
        (UPTIME.replace('chain = "eip155:1"\n', ""), "chain is missing"),
        (UPTIME.replace("eip155:1", "eip155:2"), "is on a chain that is not configured"),
    ],
)
def test_what_tells_of_no_sequencer_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        read(tmp_path, CHAIN + text)

    assert message in str(refusal.value)
