"""A chain of signed prices and its feeds: who signs, and which price is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from chains.model import GuardianSet
from crossmargin.settings import Settings, SettingsError, load
from crossmargin.settings.shown import effective

EVM = '[[chain]]\nid = "eip155:1"\nrpc = ["http://node.example"]\n'
PYTH = '[[chain]]\nid = "pyth:mainnet"\nrpc = ["https://hermes.example/${KEY}"]\n'
ONE, TWO = f"0x{'1' * 40}", f"0x{'2' * 40}"
SETS = f'guardian_sets = [{{ index = 4, addresses = ["{ONE}", "{TWO}"] }}, {{ index = 3, addresses = ["{TWO}"], until = 9 }}]\n'
ID = "ab" * 32
ETHER = "eip155:1/slip44:60"


def feed(more: str = f'feed_id = "{ID}"\n', heartbeat: str = '"60s"') -> str:
    return f'[[feed]]\nasset = "{ETHER}"\nkind = "pyth-hermes"\nheartbeat = {heartbeat}\n{more}'


def read(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "crossmargin.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, {"KEY": "canary"})


def test_a_signed_price_is_known_by_its_id_on_the_chain_that_all_share(tmp_path: Path) -> None:
    settings = read(tmp_path, EVM + PYTH + SETS + feed())
    (found,) = settings.feeds

    assert (found.chain_id, found.address, found.feed_id) == ("pyth:mainnet", bytes.fromhex(ID), bytes.fromhex(ID))
    assert (found.heartbeat_s, found.max_confidence) == (60, 0.02)
    assert settings.chain("pyth:mainnet").spec.guardian_sets == (
        GuardianSet(4, (b"\x11" * 20, b"\x22" * 20)),
        GuardianSet(3, (b"\x22" * 20,), 9),
    )


def test_what_is_shown_says_who_signs_and_no_key(tmp_path: Path) -> None:
    shown = effective(read(tmp_path, EVM + PYTH + SETS + feed()))

    assert shown["chain"][1]["guardian_sets"] == [
        {"index": 4, "addresses": [ONE, TWO]},
        {"index": 3, "addresses": [TWO], "until": 9},
    ]
    assert "guardian_sets" not in shown["chain"][0]
    assert shown["feed"][0]["feed_id"] == ID
    assert "canary" not in str(shown)


@pytest.mark.parametrize(
    "text, message",
    [
        (EVM + SETS + PYTH, "guardian_sets is for pyth:mainnet, whose prices are signed; leave it out"),
        (EVM + PYTH + "guardian_sets = [{ index = 4 }]\n", "must have index, the number of the set, and addresses"),
        (EVM + PYTH + 'guardian_sets = [{ index = 4, adresses = ["x"] }]\n', 'did you mean "addresses"?'),
        (EVM + PYTH + 'guardian_sets = [{ index = 4, addresses = ["0x12"] }]\n', "write 0x and 40 hexadecimal digits"),
        (
            EVM + PYTH + f'guardian_sets = [{{ index = 4, addresses = ["{ONE}"] }}, {{ index = 4, addresses = ["{TWO}"] }}]\n',
            "guardian_sets names one index twice",
        ),
        (EVM + PYTH + 'ws = "wss://hermes.example"\n', "ws is not for signed prices"),
        (EVM + PYTH + 'finality = "latest"\n', "must be one of finalized"),
        (EVM + PYTH + 'completeness = "bloom"\n', "a price is signed, and what was said in between is not looked for"),
        (EVM + PYTH.replace("mainnet", "beta"), '"pyth:beta" is no Pyth chain; write pyth:mainnet'),
        (EVM + PYTH + feed(""), "feed_id is missing; write the id of the price at Pyth, 64 hex digits"),
        (EVM + PYTH + feed('feed_id = "12"\n'), "feed_id must be 64 hexadecimal digits in quotes"),
        (EVM + PYTH + feed(f'feed_id = "{ID}"\naddress = "{ONE}"\n'), "address is not for pyth-hermes feeds"),
        (EVM + feed(), 'chain is on a chain that is not configured: unknown chain "pyth:mainnet"'),
        (
            EVM + PYTH + f'[[venue]]\nid = "v"\nprotocol = "aave-v3"\nchain = "pyth:mainnet"\naddress = "{ONE}"\nstart_block = 0\n',
            "chain pyth:mainnet tells prices and has no venues; name the chain of the aave-v3 contract",
        ),
        (
            EVM + PYTH + f'[[account]]\nid = "a"\nmembers = ["pyth:mainnet:{ONE}"]\n',
            'addresses of the namespace "pyth" are not known',
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read(tmp_path, text)

    assert message in str(refused.value)
    assert "canary" not in str(refused.value)
