"""An escrow says what becomes of liabilities, and names what holds the collateral."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chains.identifiers import from_base58
from crossmargin.settings import SettingsError
from crossmargin.settings.shown import effective
from tests.support.protocols import there_are
from tests.unit.crossmargin.test_settings import CHAIN, POOL, SOLANA, SOLANA_CHAIN, TOKEN, VENUE, read

AUTHORITY = "5ofoXUGDhN2GYxvbjtbqh3itdAqTrRBTa1vAWLeBWjmR"
ONE = "vVbd6YC9d2GVjwbFdY9Bb65RoDNYtvB53i6hjdwvy8g"
OTHER = "5Ug4h52DZ2FCacQSPSgU4hWbG57qS2cAvXQYs1EML4ud"
KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"

ESCROW = CHAIN + VENUE.replace("aave-v3", "escrow").replace('"aave"', '"vault"')
NONE = 'liabilities = "none"\n'
IMPORT = f'liabilities = "import"\nliability_keys = ["{KEY}"]\n'
VAULT = f'[[venue]]\nid = "vault"\nprotocol = "spl-escrow"\nchain = "{SOLANA}"\naddress = "{AUTHORITY}"\nstart_block = 7\n{NONE}'
SPL_ESCROW = f'{SOLANA_CHAIN}{VAULT}accounts = ["{ONE}", "{OTHER}"]\n'
EVENTS = (
    'deposit_event = "event Paid(address account, uint256 amount)"\n'
    'withdraw_event = "event Drawn(address account, uint256 amount)"\n'
)
MEANING = (
    'write "none" (free collateral of its margin account) or "import" (requirement and PnL come signed and aged through '
    "the API; until then the collateral is shown and counts zero)"
)
PLACE = '[[venue]] #1 "vault": '

FIRST, SECOND = "0x" + "11" * 20, "0x" + "22" * 20


def escrow(name: str, address: str, holdings: str, more: str = "") -> str:
    head = (
        f'[[venue]]\nid = "{name}"\nprotocol = "escrow"\nchain = "eip155:1"\naddress = "{address}"\nstart_block = 7\n'
    )
    return f'{head}{NONE}holdings = "{holdings}"\n{more}\n'


def custodies(first: str, second: str) -> str:
    return CHAIN + escrow("first", FIRST, "custody", first) + escrow("second", SECOND, "custody", second)


def shares_in_custody(asset_class: str) -> str:
    asset = f'[[asset]]\nid = "eip155:1/erc20:{TOKEN}"\nclass = "{asset_class}"\n'
    return (
        CHAIN + escrow("vault", TOKEN, "shares") + escrow("second", SECOND, "custody", f'tokens = ["{TOKEN}"]') + asset
    )


REFUSED = {
    "no word on liabilities": (ESCROW, f"{PLACE}liabilities is missing; {MEANING}"),
    "another word on liabilities": (ESCROW + 'liabilities = "some"\n', f'{PLACE}liabilities is "some"; {MEANING}'),
    "liabilities that are no text": (ESCROW + "liabilities = []\n", f"{PLACE}liabilities is []; {MEANING}"),
    "imports that nobody signs": (
        ESCROW + 'liabilities = "import"\n',
        f"{PLACE}liability_keys is missing; name the Ed25519 public keys that may sign liabilities, 64 hexadecimal digits each",
    ),
    "a single key": (
        ESCROW + IMPORT.replace("[", "").replace("]", ""),
        f"{PLACE}liability_keys must be a list with at least one item, [ … ], not a single str",
    ),
    "a key that is none": (
        ESCROW + IMPORT.replace(KEY, KEY[1:]),
        f"{PLACE}liability_keys (item 1) must be 64 hexadecimal digits in quotes, an Ed25519 public key",
    ),
    "a key twice": (
        ESCROW + IMPORT.replace("]", f', "{KEY.upper()}"]'),
        f"{PLACE}liability_keys names the same item twice",
    ),
    "a key under which anybody could sign": (
        ESCROW + IMPORT.replace(KEY, "0" * 64),
        f"{PLACE}liability_keys (item 1) cannot be used: this is a public key under which anybody could sign",
    ),
    "an age that is no whole second": (
        ESCROW + IMPORT + 'liability_max_age = "500ms"\n',
        f'{PLACE}liability_max_age must be in whole seconds such as "30s" or "1h", not "500ms"',
    ),
    "keys without imports": (
        ESCROW + NONE + f'liability_keys = ["{KEY}"]\n',
        f'{PLACE}liability_keys belongs to liabilities = "import"; leave it out, or import liabilities',
    ),
    "an age without imports": (
        ESCROW + NONE + 'liability_max_age = "1h"\n',
        f'{PLACE}liability_max_age belongs to liabilities = "import"; leave it out, or import liabilities',
    ),
    "liabilities of a lending protocol": (
        CHAIN + VENUE + NONE,
        '[[venue]] #1 "aave": unknown key "liabilities"; did you mean "liquidity"?',
    ),
    "token accounts on an EVM chain": (
        ESCROW + NONE + f'accounts = ["{ONE}"]\n',
        f'{PLACE}unknown key "accounts"; did you mean "coin"?',
    ),
    "events on Solana": (
        SPL_ESCROW + 'deposit_event = "x"\n',
        f'{PLACE}unknown key "deposit_event"; use one of accounts, ',
    ),
    "a key that is misspelt": (ESCROW + NONE + 'tokn = ""\n', f'{PLACE}unknown key "tokn"; did you mean "token"?'),
    "a token that is no address": (
        ESCROW + NONE + 'token = "WETH"\n',
        f'{PLACE}token: "WETH" is no address; write 0x and 40 hexadecimal digits',
    ),
    "an event that is none": (
        ESCROW + NONE + 'deposit_event = "Deposited"\n',
        f'{PLACE}deposit_event: "Deposited" is no event declaration; write it like event Deposit(address indexed account, ',
    ),
    "an event that is no text": (
        ESCROW + NONE + "withdraw_event = []\n",
        f"{PLACE}withdraw_event: is []; write the event as text, like event Withdraw(",
    ),
    "an event of a token that nobody names": (
        ESCROW + NONE + 'deposit_event = "event Paid(address account, uint256 amount)"\n',
        f"{PLACE}deposit_event: Paid has no parameter named token; give that name to the one that is",
    ),
    "a protocol that is misspelt": (
        ESCROW.replace('"escrow"', '"escow"') + IMPORT,
        f'{PLACE}protocol "escow" is not supported; did you mean "escrow"?',
    ),
    "an EVM protocol on Solana": (
        SPL_ESCROW.replace('"spl-escrow"', '"escrow"').replace("accounts", "#"),
        f'{PLACE}protocol "escrow" is for EVM chains, not {SOLANA}; there use {there_are("solana")}',
    ),
    "a protocol of Solana on an EVM chain": (
        CHAIN + VAULT.replace(SOLANA, "eip155:1") + f'accounts = ["{ONE}"]\n',
        f'{PLACE}protocol "spl-escrow" is for Solana chains, not eip155:1; there use aave-v3, compound-v3, escrow, euler-v2 or morpho-blue',
    ),
    "no token accounts": (
        SOLANA_CHAIN + VAULT,
        f"{PLACE}accounts is missing; name the token accounts of the vault in base58; address is the authority that owns them",
    ),
    "an empty list of token accounts": (
        SOLANA_CHAIN + VAULT + "accounts = []\n",
        f"{PLACE}accounts must be a list with at least one item, [ … ], not an empty list",
    ),
    "a token account that is none": (
        SPL_ESCROW.replace(OTHER, "abc"),
        f'{PLACE}accounts (item 2) is wrong: "abc" is no Solana address; write 32 bytes in base58',
    ),
    "a token account twice": (SPL_ESCROW.replace(OTHER, ONE), f"{PLACE}accounts names the same item twice"),
    "the authority among its accounts": (
        SPL_ESCROW.replace(OTHER, AUTHORITY),
        f"{PLACE}accounts names the address of the venue itself; address is the authority that owns the accounts",
    ),
    "a start that would have to be found": (
        SPL_ESCROW.replace("start_block = 7", 'start_block = "auto"'),
        f'{PLACE}start_block "auto" is for EVM chains; write the slot in which the oldest of its accounts was made',
    ),
    "a token account in two vaults": (
        SPL_ESCROW + VAULT.replace('"vault"', '"second"') + f'accounts = ["{ONE}"]\n',
        f'[[venue]] accounts: {ONE} is named by "vault" and "second", and would count double; name it in one',
    ),
    "one contract as two venues": (
        ESCROW + NONE + VENUE,
        f"[[venue]] {POOL} on eip155:1 is written 2 times; write it once",
    ),
    "a balance in two custodies": (
        custodies(f'holders = ["{SECOND}"]\ntokens = ["{TOKEN}"]', f'tokens = ["{TOKEN}"]'),
        (
            f"[[venue]] what {SECOND} has of {TOKEN} on eip155:1 is in custody of "
            '"first" and "second", and would count double; name it in one'
        ),
    ),
    "a token and the chain's coin in two custodies": (
        custodies(
            f'holders = ["{SECOND}"]\ncoin = "slip44:60"\ntokens = ["{TOKEN}"]',
            f'coin = "slip44:60"\ntokens = ["{TOKEN}"]',
        ),
        f"[[venue]] what {SECOND} has of {TOKEN} on eip155:1 (and 1 more such balance) is in custody of",
    ),
    "the chain's coin in two custodies": (
        custodies(f'holders = ["{SECOND}"]\ncoin = "slip44:60"', 'coin = "slip44:60"'),
        f"[[venue]] what {SECOND} has of the chain's coin on eip155:1 is in custody of",
    ),
    "a further address in two custodies": (
        custodies(f'holders = ["{POOL}"]\ntokens = ["{TOKEN}"]', f'holders = ["{POOL}"]\ntokens = ["{TOKEN}"]'),
        f"[[venue]] what {POOL} has of {TOKEN} on eip155:1 is in custody of",
    ),
    "shares of a vault that is followed in custody": (
        shares_in_custody("stable"),
        (
            f'[[venue]] "second": tokens names {TOKEN}, the shares of "vault", which counts them for whoever holds them, and they would '
            'count double; leave them out, or give their [[asset]] class = "default", by which they are only shown'
        ),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_refused_with_what_to_write(tmp_path: Path, case: str) -> None:
    text, message = REFUSED[case]

    with pytest.raises(SettingsError) as refusal:
        read(tmp_path, text)

    assert [message in problem for problem in refusal.value.problems] == [True]


def test_free_collateral_needs_no_more_than_saying_so(tmp_path: Path) -> None:
    (venue,) = read(tmp_path, ESCROW + NONE).venues

    assert venue.options == {"liabilities": "none"}


def test_imported_liabilities_have_their_signers_and_an_age(tmp_path: Path) -> None:
    (usual,) = read(tmp_path, ESCROW + IMPORT.replace(KEY, KEY.upper())).venues
    (own,) = read(tmp_path, ESCROW + IMPORT + 'liability_max_age = "1h30m"\n').venues

    assert usual.options == {"liabilities": "import", "liability_keys": (KEY,), "liability_max_age_s": 600}
    assert own.options == {"liabilities": "import", "liability_keys": (KEY,), "liability_max_age_s": 5400}


def test_a_message_does_not_quote_what_may_be_a_private_key(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refusal:
        read(tmp_path, ESCROW + IMPORT.replace(KEY, "canary" * 22))

    assert "canary" not in str(refusal.value)


def test_a_contract_may_have_events_and_a_token_of_its_own(tmp_path: Path) -> None:
    (venue,) = read(tmp_path, ESCROW + NONE + EVENTS + f'token = "{TOKEN.lower()}"\n').venues

    assert venue.options == {
        "liabilities": "none",
        "deposit_event": "event Paid(address account, uint256 amount)",
        "withdraw_event": "event Drawn(address account, uint256 amount)",
        "token": TOKEN,
    }


def test_no_message_quotes_an_event_that_came_from_the_environment(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refusal:
        read(tmp_path, ESCROW + NONE + 'deposit_event = "${KEY}"\n', {"KEY": "canary"})

    assert refusal.value.problems == (f"{PLACE}deposit_event cannot be what the environment gives; write them here",)


def test_a_vault_of_solana_is_an_authority_and_its_token_accounts(tmp_path: Path) -> None:
    (venue,) = read(tmp_path, SPL_ESCROW).venues

    assert (venue.protocol, venue.chain_id, venue.start_block) == ("spl-escrow", SOLANA, 7)
    assert venue.address == from_base58(AUTHORITY)
    assert venue.options == {"liabilities": "none", "accounts": (ONE, OTHER)}


def test_two_vaults_may_share_an_authority(tmp_path: Path) -> None:
    second = VAULT.replace('"vault"', '"second"') + f'accounts = ["{OTHER}"]\n'

    venues = read(tmp_path, f'{SOLANA_CHAIN}{VAULT}accounts = ["{ONE}"]\n{second}').venues

    assert [venue.options["accounts"] for venue in venues] == [(ONE,), (OTHER,)]
    assert venues[0].address == venues[1].address


def test_two_custodies_may_share_an_address_or_a_token(tmp_path: Path) -> None:
    other_token = custodies(f'holders = ["{SECOND}"]\ntokens = ["{TOKEN}"]', f'tokens = ["{POOL}"]\ncoin = "slip44:60"')
    other_holder = custodies(f'tokens = ["{TOKEN}"]', f'tokens = ["{TOKEN}"]')

    assert [len(read(tmp_path, text).venues) for text in (other_token, other_holder)] == [2, 2]


def test_shares_of_a_vault_that_is_followed_may_be_shown_in_custody(tmp_path: Path) -> None:
    """An asset that no configuration names, or that is of the class `default`, counts zero in custody."""
    shown = shares_in_custody("default")
    nameless = shown.partition("[[asset]]")[0]

    assert [len(read(tmp_path, text).venues) for text in (shown, nameless)] == [2, 2]


@pytest.mark.parametrize("count", [1, 100])
def test_a_vault_has_up_to_a_hundred_token_accounts(tmp_path: Path, count: int) -> None:
    (venue,) = read(tmp_path, vault_of(count)).venues

    assert len(venue.options["accounts"]) == count


def test_a_vault_with_more_token_accounts_is_split(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refusal:
        read(tmp_path, vault_of(101))

    assert refusal.value.problems == (
        (
            f"{PLACE}accounts names 101 token accounts, and 100 is the most; "
            "name the others in another [[venue]] with the same address"
        ),
    )


def test_options_are_json_that_the_environment_may_fill(tmp_path: Path) -> None:
    (venue,) = read(tmp_path, ESCROW + IMPORT.replace(KEY, "${SIGNER}"), {"SIGNER": KEY}).venues

    assert json.loads(json.dumps(venue.options))["liability_keys"] == [KEY]
    assert {type(value) for value in venue.options["liability_keys"]} == {str}


def test_what_is_understood_is_shown_in_the_words_of_the_file(tmp_path: Path) -> None:
    imported, held = (
        effective(read(tmp_path, text))["venue"][0]
        for text in (ESCROW + IMPORT + EVENTS + f'token = "{TOKEN}"\n', SPL_ESCROW)
    )

    assert imported == {
        "id": "vault",
        "protocol": "escrow",
        "chain": "eip155:1",
        "address": POOL,
        "start_block": 7,
        "liabilities": "import",
        "liability_keys": [KEY],
        "liability_max_age": "600s",
        "deposit_event": "event Paid(address account, uint256 amount)",
        "withdraw_event": "event Drawn(address account, uint256 amount)",
        "token": TOKEN,
    }
    assert (held["address"], held["liabilities"], held["accounts"]) == (AUTHORITY, "none", [ONE, OTHER])


def vault_of(count: int) -> str:
    accounts = [ONE[:-2] + first + second for first in "ABCDEFGHJK" for second in "ABCDEFGHJKL"][:count]
    return f"{SOLANA_CHAIN}{VAULT}accounts = {json.dumps(accounts)}\n"
