"""CAIP-2, CAIP-10 and CAIP-19 in and out."""

from __future__ import annotations

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from chains.identifiers import (
    Account,
    Asset,
    IdentifierError,
    base58,
    format_address,
    format_hash,
    from_base58,
    parse_account,
    parse_address,
    parse_asset,
    parse_chain,
    token,
)

CHECKSUMMED = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"  # the first example of EIP-55
ADDRESS = bytes.fromhex(CHECKSUMMED[2:])
SOLANA = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
WRAPPED_SOL = "So11111111111111111111111111111111111111112"


@pytest.mark.parametrize("written", [CHECKSUMMED, CHECKSUMMED.lower(), "0x" + CHECKSUMMED[2:].upper()])
def test_an_evm_account_is_read_in_any_single_case_and_written_with_its_checksum(written: str) -> None:
    account = parse_account(f"eip155:1:{written}")

    assert account == Account("eip155:1", ADDRESS)
    assert str(account) == f"eip155:1:{CHECKSUMMED}"


def test_a_wrong_checksum_is_refused_and_the_right_one_is_said() -> None:
    with pytest.raises(IdentifierError, match=CHECKSUMMED):
        parse_address("eip155:1", CHECKSUMMED.replace("A", "a", 1))


def test_a_solana_account_is_base58() -> None:
    account = parse_account(f"{SOLANA}:{WRAPPED_SOL}")

    assert len(account.address) == 32
    assert str(account) == f"{SOLANA}:{WRAPPED_SOL}"


@pytest.mark.parametrize(
    "text",
    [
        f"eip155:1/erc20:{CHECKSUMMED}",
        "eip155:1/slip44:60",
        f"{SOLANA}/token:{WRAPPED_SOL}",
        f"{SOLANA}/slip44:501",
    ],
)
def test_an_asset_is_written_as_it_was_read(text: str) -> None:
    assert str(parse_asset(text)) == text


def test_a_token_is_named_in_the_words_of_its_chain() -> None:
    assert token("eip155:10", ADDRESS) == Asset("eip155:10", "erc20", ADDRESS)
    assert token(SOLANA, bytes(32)).namespace == "token"


@pytest.mark.parametrize("text", ["", "1", "eip155", "eip155:", "EIP155:1", "eip155:1 "])
def test_what_is_no_chain_is_refused(text: str) -> None:
    with pytest.raises(IdentifierError, match="CAIP-2"):
        parse_chain(text)


@pytest.mark.parametrize(
    "text",
    [
        "0x12",
        "eip155:1",
        "eip155:1:0x12",
        f"eip155:1:{CHECKSUMMED}00",
        f"{SOLANA}:0OIl",
        f"{SOLANA}:111",
        "cosmos:a:b",
    ],
)
def test_what_is_no_account_is_refused(text: str) -> None:
    with pytest.raises(IdentifierError):
        parse_account(text)


@pytest.mark.parametrize("text", ["eip155:1", f"eip155:1/token:{CHECKSUMMED}", "eip155:1/slip44:x", "eip155:1/erc20"])
def test_what_is_no_asset_is_refused(text: str) -> None:
    with pytest.raises(IdentifierError):
        parse_asset(text)


def test_an_id_that_is_no_address_is_written_in_plain_hex() -> None:
    assert format_address("eip155:1", b"\x01\xab") == "0x01ab"
    assert format_hash("eip155:1", b"\x00\xff") == "0x00ff"
    assert format_hash(SOLANA, b"\x00\x01") == "12"


@given(st.binary(max_size=64))
def test_base58_round_trip(raw: bytes) -> None:
    assert from_base58(base58(raw)) == raw


@given(address=st.binary(min_size=20, max_size=20))
def test_any_address_is_written_as_the_library_of_ethereum_writes_it(address: bytes) -> None:
    assert format_address("eip155:1", address) == to_checksum_address(address)
