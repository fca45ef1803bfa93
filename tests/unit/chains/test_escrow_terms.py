"""What a configuration may say of an escrow that is no vault with two events, and what is said of what it may not."""

from __future__ import annotations

import pytest

from chains.evm.escrow.terms import check_every, check_options, custody_of, implementations_of, normal, rate_every

ONE, OTHER, THIRD = ("0x" + digits * 20 for digits in ("11", "22", "33"))
SIGNED = "event Changed(address account, address token, int256 amount)"
OWNED = "event Owned(bytes32 indexed account, address indexed owner)"
BY_ID = "event In(bytes32 account, address token, uint128 amount)"
ADDRESSES = "write a list of the tokens whose balances count, 200 at most"


@pytest.mark.parametrize(
    "options",
    [
        {"holdings": "events"},
        {"change_event": SIGNED},
        {"change_event": SIGNED, "deposit_event": "event Bonus(address account, address token, uint amount)"},
        {"deposit_event": [BY_ID], "withdraw_event": [BY_ID.replace("In", "Out")], "owner_event": OWNED},
        {"coin_address": ONE},
        {"coin_address": ONE, "coin": "slip44:966", "check_every": 10, "implementations": [ONE, OTHER]},
        {"holdings": "shares"},
        {"holdings": "shares", "rate_every": 1, "implementations": [ONE]},
        {"holdings": "custody", "coin": "slip44:60"},
        {"holdings": "custody", "tokens": [ONE], "holders": [OTHER], "owner": THIRD},
    ],
)
def test_options_without_fault(options: dict[str, object]) -> None:
    assert check_options(options) == []


@pytest.mark.parametrize(
    "options, problem",
    [
        ({"holdings": "all"}, "holdings: is all; write events, shares or custody"),
        (
            {"holdings": "shares", "token": ONE},
            'token: does not go with holdings = "shares"; leave it out, or write holdings = "events"',
        ),
        (
            {"holdings": "custody", "tokens": [ONE], "implementations": [ONE]},
            'implementations: does not go with holdings = "custody"; leave it out, or write holdings = "events" or holdings = "shares"',
        ),
        (
            {"rate_every": 5},
            'rate_every: does not go with holdings = "events"; leave it out, or write holdings = "shares"',
        ),
        ({"holdings": "shares", "rate_every": 0}, "rate_every: is 0; write a number of blocks, 1 to 10000000"),
        ({"check_every": "1h"}, "check_every: is 1h; write a number of blocks, 1 to 10000000"),
        ({"check_every": True}, "check_every: is True; write a number of blocks, 1 to 10000000"),
        (
            {"holdings": "custody"},
            "tokens: is missing; name the tokens whose balances count, or the chain's own with coin",
        ),
        ({"holdings": "custody", "tokens": ONE}, f"tokens: is {ONE}; {ADDRESSES}"),
        ({"holdings": "custody", "tokens": []}, f"tokens: is []; {ADDRESSES}"),
        ({"holdings": "custody", "tokens": [ONE, ONE]}, "tokens: names the same address twice"),
        (
            {"holdings": "custody", "tokens": ["WETH"]},
            'tokens: "WETH" is no address; write 0x and 40 hexadecimal digits',
        ),
        ({"holdings": "custody", "tokens": [ONE], "owner": 7}, "owner: is 7; write an address as text"),
        (
            {"holdings": "custody", "coin": "ETH"},
            "coin: is ETH; write it as CAIP-19 does within the chain, slip44:60 for Ether, slip44:966 for POL",
        ),
        (
            {"coin": "slip44:60"},
            "coin: belongs to coin_address; say which address stands for the coin, or leave this option out",
        ),
        (
            {"change_event": SIGNED.replace("int256", "uint256")},
            "change_event: parameter amount of Changed is uint256; it must be a signed integer, int8 to int256",
        ),
        (
            {"deposit_event": BY_ID, "withdraw_event": "event Out(address account, address token, uint amount)", "owner_event": OWNED},
            "withdraw_event: parameter account of Out is address; it must be an id: bytes1 to bytes32 or uint8 to uint256",
        ),
        (
            {"owner_event": "event Owned(bytes32 account)", "change_event": SIGNED.replace("address account", "uint account")},
            (
                "owner_event: Owned has no parameter named owner; give that name to the one whose account it is from now on"
                " (a name does not change which logs are matched)"
            ),
        ),
        (
            {"change_event": [SIGNED, SIGNED]},
            "change_event and change_event both have Changed(address,address,int256); declare each event once",
        ),
        (
            {"change_event": []},
            (
                "change_event: is []; write the event as text, like"
                " event BalanceChanged(address indexed account, address indexed token, int256 amount)"
            ),
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_what_to_write(options: dict[str, object], problem: str) -> None:
    assert check_options(options) == [problem]


def test_options_have_one_spelling() -> None:
    """So that the store knows them again however they were written, and those from before are what they were."""
    lower = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
    right = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"

    assert normal({"holdings": "events", "token": lower}) == {"token": right}
    assert normal({"holdings": "custody", "tokens": [lower], "coin": "slip44:60"}) == {
        "holdings": "custody",
        "tokens": [right],
        "coin": "slip44:60",
    }
    assert normal({"deposit_event": (BY_ID,), "check_every": 7}) == {"deposit_event": [BY_ID], "check_every": 7}


def test_what_is_left_out_has_a_value() -> None:
    assert (check_every({}), rate_every({}), implementations_of({})) == (0, 300, ())
    custody = custody_of(b"\x11" * 20, {"tokens": [OTHER], "holders": [ONE, THIRD]})
    assert (custody.holders, custody.coin, custody.owner) == ((b"\x11" * 20, b"\x33" * 20), None, None)
