"""What a configuration says of bridges and of who signs their messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossmargin.settings import SettingsError, load
from crossmargin.settings.shown import effective

CHAIN = '[[chain]]\nid = "eip155:31337"\nrpc = ["http://127.0.0.1:8545"]\n'
ONE = "0x" + "11" * 20
TRUST = f'[trust]\nguardian_sets = [{{ index = 4, addresses = ["{ONE}"] }}]\n'
USD = "eip155:31337/erc20:0x" + "22" * 20


def bridge(protocol: str = "wormhole", **said: str) -> str:
    keys = {"chain": '"eip155:31337"', "number": "2", "address": f'"{ONE}"'} | said
    return f'[[bridge]]\nprotocol = "{protocol}"\n' + "".join(f"{key} = {value}\n" for key, value in keys.items())


def test_bridges_and_guardians_are_whom_to_believe(tmp_path: Path) -> None:
    file = tmp_path / "crossmargin.toml"
    oft = f'[{{ via = "30111/{ONE}", asset = "{USD}", shared_decimals = 6 }}]'
    file.write_text(CHAIN + TRUST + bridge() + bridge("layerzero", number='"30111"', tokens=oft))

    trust = load(file, {}).trust
    shown = effective(load(file, {}))

    assert trust.guardians == {4: ([bytes.fromhex("11" * 20)], None)}
    assert [(each.protocol, each.number, each.address[12:].hex()) for each in trust.bridges] == [
        ("wormhole", 2, "11" * 20),
        ("layerzero", 30111, "11" * 20),
    ]
    assert trust.bridges[1].tokens == {f"30111/{'00' * 12}{'11' * 20}": (USD, 6)}
    assert shown["bridge"][0]["address"] == ONE
    assert shown["trust"]["guardian_sets"] == [{"index": 4, "addresses": [ONE]}]


@pytest.mark.parametrize(
    "text,why",
    [
        (bridge("wormhol"), "protocol"),
        (bridge(adress='"x"'), 'did you mean "address"?'),
        (bridge(number="0"), "number must be from 1"),
        (bridge() + bridge(), "is written 2 times"),
        (bridge(tokens=f'[{{ via = "x", asset = "{USD}" }}]'), "needs via"),
        (bridge("layerzero", tokens=f'[{{ via = "2/{ONE}", asset = "{USD}" }}]'), "shared_decimals"),
        ("[trust]\nguardians = []\n", "guardian_sets"),
    ],
)
def test_what_is_wrong_is_said(text: str, why: str, tmp_path: Path) -> None:
    file = tmp_path / "crossmargin.toml"
    file.write_text(CHAIN + text)

    with pytest.raises(SettingsError) as refused:
        load(file, {})

    assert why in str(refused.value)
