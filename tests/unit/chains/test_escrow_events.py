"""What an operator may declare of a vault, and what is said of what may not be."""

from __future__ import annotations

import pytest
from eth_utils.crypto import keccak

from chains.evm.escrow.declarations import parse_declaration
from chains.evm.escrow.events import check_options, terms_of

TOKEN = "0x" + "11" * 20
LIKE = "event Deposit(address indexed account, address indexed token, uint256 amount)"
ELEMENTARY = (
    "write what it is in the ABI: address for a contract, uint8 for an enum, else an elementary type such as uint256"
)
PARTS = "write its type, then indexed if it is, then its name"
STATIC = "events with such a parameter are not read, only those of static types"
UNMATCHED = "(a name does not change which logs are matched)"


@pytest.mark.parametrize(
    "text, signature",
    [
        (LIKE, "Deposit(address,address,uint256)"),
        ("Deposit(address account, address token, uint amount)", "Deposit(address,address,uint256)"),
        ("  event  $in_1 ( address  payable indexed\n account,uint8 amount ) ; ", "$in_1(address,uint8)"),
        ("event E(bytes32, address account, int8[2][3] x, bool indexed, uint amount)", "E(bytes32,address,int8[2][3],bool,uint256)"),
        ("event Indexed(address account, uint amount, int eventful)", "Indexed(address,uint256,int256)"),
    ],
)  # fmt: skip
def test_a_declaration_is_matched_by_its_types_alone(text: str, signature: str) -> None:
    assert parse_declaration(text).topic0 == keccak(text=signature)


def test_parameters_keep_their_names_and_places() -> None:
    event = parse_declaration("event Deposit(address indexed account, address indexed, uint256 amount)")

    assert [(a.type, a.name, a.indexed) for a in event.arguments] == [
        ("address", "account", True),
        ("address", "unnamed2", True),
        ("uint256", "amount", False),
    ]


@pytest.mark.parametrize(
    "text, problem",
    [
        ("", f'"" is no event declaration; write it like {LIKE}'),
        ("Deposit(address account", f'"Deposit(address account" is no event declaration; write it like {LIKE}'),
        ("function D(address account)", f'"function D(address account)" is no event declaration; write it like {LIKE}'),
        ("event event(uint a)", f'"event event(uint a)" is no event declaration; write it like {LIKE}'),
        ("event D((address,uint) account)", f'"event D((address,uint) account)" is no event declaration; write it like {LIKE}'),
        (
            "event D(address account, uint amount) anonymous;",
            "D is anonymous, so that nothing tells its logs from others; such a vault cannot be followed",
        ),
        ("event D(address account, uint amount,)", f'parameter 3 of D is ""; {PARTS}'),
        ("event D(address account, uint amount memory)", f'parameter 2 of D is "uint amount memory"; {PARTS}'),
        ("event D(bool payable account, uint amount)", f'parameter 1 of D is "bool payable account"; {PARTS}'),
        ("event D(address account, IERC20 token, uint amount)", f"parameter 2 of D has the type IERC20; {ELEMENTARY}"),
        ("event D(address account, uint7 amount)", f"parameter 2 of D has the type uint7; {ELEMENTARY}"),
        ("event D(address account, uint amount, bytes x)", f"parameter 3 of D has the dynamic type bytes; {STATIC}"),
        ("event D(address account, uint amount, string indexed x)", f"parameter 3 of D has the dynamic type string; {STATIC}"),
        ("event D(address account, uint amount, uint[] x)", f"parameter 3 of D has the dynamic type uint256[]; {STATIC}"),
        (
            "event D(address account, uint amount, int[0] x)",
            "parameter 3 of D has the type int256[0]; only 1 to 256 elements are read",
        ),
        (
            "event D(address account, uint amount, int[16][17] x)",
            "parameter 3 of D has the type int256[16][17]; only 1 to 256 elements are read",
        ),
        ("event D(address account, address account, uint amount)", "D has 2 parameters named account; name each once"),
        (
            "event D(address indexed account, uint indexed amount, bool indexed a, bool indexed b)",
            "D has 4 indexed parameters; an event has at most 3",
        ),
        (
            "event D(address who, uint amount)",
            f"D has no parameter named account; give that name to the one whose address is credited or debited {UNMATCHED}",
        ),
        (
            "event D(address account, uint value)",
            f"D has no parameter named amount; give that name to the one that says how much was moved, in raw units {UNMATCHED}",
        ),
        ("event D(bytes32 account, uint amount)", "parameter account of D is bytes32; it must be an address"),
        ("event D(address account, uint token, uint amount)", "parameter token of D is uint256; it must be an address"),
        (
            "event D(address account, int amount)",
            "parameter amount of D is int256; it must be an unsigned integer, uint8 to uint256",
        ),
        (
            "event D(address account, uint[2] amount)",
            "parameter amount of D is uint256[2]; it must be an unsigned integer, uint8 to uint256",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_declaration_is_said_with_its_place_and_remedy(text: str, problem: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the whole message is compared
        parse_declaration(text)

    assert str(refused.value) == problem
    assert check_options({"withdraw_event": text, "token": TOKEN})[0] == f"withdraw_event: {problem}"


def test_a_long_text_is_cut_in_what_is_said_of_it() -> None:
    (problem,) = check_options({"deposit_event": "x" * 10_000})

    assert problem == f'deposit_event: "{"x" * 120}…" is no event declaration; write it like {LIKE}'


SILENT = {
    "deposit_event": "event Deposit(address account, uint amount)",
    "withdraw_event": "event Withdraw(address account, uint amount)",
}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"liabilities": "none"},
        {"deposit_event": LIKE},
        {**SILENT, "token": TOKEN},
        {"withdraw_event": SILENT["withdraw_event"], "token": TOKEN},
    ],
)
def test_options_without_fault(options: dict[str, object]) -> None:
    assert check_options(options) == []


@pytest.mark.parametrize(
    "options, problems",
    [
        (
            SILENT,
            [
                f"{option}_event: {name} has no parameter named token; give that name to the one that is the token's address,"
                " or set the option token to the vault's only ERC-20"
                for option, name in (("deposit", "Deposit"), ("withdraw", "Withdraw"))
            ],
        ),
        ({"token": TOKEN}, ["token: both events name their token themselves; leave this option out"]),
        ({"token": "0x12"}, ['token: "0x12" is no address; write 0x and 40 hexadecimal digits']),
        ({"token": 5}, ["token: is 5; write the address of the vault's only ERC-20 as text"]),
        ({"deposit_event": 7}, [f"deposit_event: is 7; write the event as text, like {LIKE}"]),
        (
            {"withdraw_event": "event Deposit(address token, address account, uint256 amount)"},
            [
                (
                    "deposit_event and withdraw_event are both Deposit(address,address,uint256), so that nothing tells a"
                    " deposit from a withdrawal; declare the event of each"
                )
            ],
        ),
        (
            {"deposit_event": "D", "withdraw_event": "W", "token": ""},
            [
                f'deposit_event: "D" is no event declaration; write it like {LIKE}',
                f'withdraw_event: "W" is no event declaration; write it like {LIKE}',
                'token: "" is no address; write 0x and 40 hexadecimal digits',
            ],
        ),
    ],
)
def test_every_fault_of_the_options_is_named_with_its_option(options: dict[str, object], problems: list[str]) -> None:
    assert check_options(options) == problems

    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the whole message is compared
        terms_of(options)
    assert str(refused.value) == "; ".join(problems)


def test_terms_know_where_the_arguments_stand() -> None:
    terms = terms_of(
        {
            "deposit_event": "event In(uint64 amount, bytes4 memo, address token, address account)",
            "withdraw_event": "event Out(uint amount, address account)",
            "token": TOKEN,
        }
    )

    deposit, withdraw = terms.movements
    assert (deposit.account, deposit.amount, deposit.token, deposit.sign) == (3, 0, 2, 1)
    assert (withdraw.account, withdraw.amount, withdraw.token, withdraw.sign) == (1, 0, None, -1)
    assert terms.token == b"\x11" * 20
