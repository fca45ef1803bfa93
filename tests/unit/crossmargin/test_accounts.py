"""Which account a name means."""

from __future__ import annotations

from pathlib import Path

import pytest

from aggregator.margin.inputs import MarginAccount
from crossmargin.accounts import resolve
from crossmargin.errors import NoSuchThing, UsageError
from crossmargin.settings import Settings, load

SOLANA, OTHER_SOLANA = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"
KEY = "Vote111111111111111111111111111111111111111"
EVM_KEY = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"
LONG_NAME = "a-name-that-nobody-would-take-for-an-address"


def settings(folder: Path, *chains: str, accounts: str = "") -> Settings:
    path = folder / "crossmargin.toml"
    tables = (f'[[chain]]\nid = "{chain}"\nrpc = ["http://node.example"]\n' for chain in chains)
    path.write_text("".join(tables) + accounts)
    return load(path, {})


def test_a_bare_base58_address_is_that_key_on_every_solana_chain(tmp_path: Path) -> None:
    known = settings(tmp_path, "eip155:1", SOLANA, OTHER_SOLANA)

    assert resolve(known, KEY) == MarginAccount(id=KEY, members=(f"{SOLANA}:{KEY}", f"{OTHER_SOLANA}:{KEY}"))


def test_a_bare_hex_address_is_that_key_on_every_evm_chain(tmp_path: Path) -> None:
    known = settings(tmp_path, "eip155:1", SOLANA, "eip155:10")

    for written in (EVM_KEY, EVM_KEY.lower()):
        assert resolve(known, written) == MarginAccount(
            id=EVM_KEY, members=(f"eip155:1:{EVM_KEY}", f"eip155:10:{EVM_KEY}")
        )


def test_a_caip_10_account_of_solana_is_itself(tmp_path: Path) -> None:
    name = f"{SOLANA}:{KEY}"

    assert resolve(settings(tmp_path, SOLANA), name) == MarginAccount(id=name, members=(name,))


def test_a_configured_name_is_taken_before_an_address(tmp_path: Path) -> None:
    accounts = f'[[account]]\nid = "{KEY}"\nmembers = ["eip155:1:{EVM_KEY}"]\n'

    assert resolve(settings(tmp_path, "eip155:1", accounts=accounts), KEY).members == (f"eip155:1:{EVM_KEY}",)


@pytest.mark.parametrize(
    "chains, name, refusal, complaint",
    [
        (["eip155:1"], KEY, UsageError, "is an address of Solana, and no Solana chain is configured"),
        ([SOLANA], EVM_KEY, UsageError, "is an EVM address, and no EVM chain is configured"),
        ([SOLANA], KEY[:-1] + "0", NoSuchThing, "there is no margin account"),  # no digit of base 58
        ([SOLANA], KEY + "2", NoSuchThing, "there is no margin account"),  # 33 bytes
        ([SOLANA], LONG_NAME, NoSuchThing, "a CAIP-10 account such as eip155:1:0x…, or a bare address"),
        ([SOLANA], f"{OTHER_SOLANA}:{KEY}", NoSuchThing, "on a chain that is not configured"),
        ([SOLANA], f"{SOLANA}:{EVM_KEY}", UsageError, "is not base58"),
    ],
)
def test_what_is_no_account_says_what_would_be(
    tmp_path: Path, chains: list[str], name: str, refusal: type[Exception], complaint: str
) -> None:
    with pytest.raises(refusal) as refused:
        resolve(settings(tmp_path, *chains), name)

    assert complaint in str(refused.value)
