"""The keys of venues that hold collateral for other systems' positions; they become options of the venue."""

from __future__ import annotations

from typing import Any

from chains.escrow import IMPORT, LIABILITIES, LIABILITY_KEYS, LIABILITY_MAX_AGE_S, NONE
from chains.identifiers import format_address
from chains.registry import ESCROWS
from crossmargin.settings import names, values
from crossmargin.settings.environment import FromEnvironment
from crossmargin.settings.section import Section

Options = dict[str, Any]

LIABILITIES_MEAN = (
    f'write "{NONE}" (free collateral of its margin account) or "{IMPORT}" (requirement and PnL come signed and aged '
    "through the API; until then the collateral is shown and counts zero)"
)
LIABILITY_MAX_AGE = "liability_max_age"
MAX_AGE_S = 600
ACCOUNTS = "accounts"
MOST_ACCOUNTS = 100


def options(section: Section, protocol: str, chain_id: str | None, address: bytes) -> Options:
    """Read what only escrows have; any other protocol has none of these keys."""
    if not protocol:
        from chains.evm.escrow.terms import KEYS  # noqa: PLC0415 - loaded only where there may be such a venue

        section.pass_over(LIABILITIES, LIABILITY_KEYS, LIABILITY_MAX_AGE, *KEYS, ACCOUNTS)
        return {}
    if protocol not in ESCROWS:
        return {}
    own = _contract(section) if protocol == "escrow" else _accounts(section, chain_id, address)
    return _liabilities(section) | own


def _liabilities(section: Section) -> Options:
    what = section.need(LIABILITIES, _none_or_import, write=LIABILITIES_MEAN)
    if what == IMPORT:
        keys = section.need(
            LIABILITY_KEYS,
            values.several(_public_key),
            write="name the Ed25519 public keys that may sign liabilities, 64 hexadecimal digits each",
        )
        max_age_s = section.get(LIABILITY_MAX_AGE, values.whole_seconds, MAX_AGE_S)
        return {LIABILITIES: what, LIABILITY_KEYS: keys, LIABILITY_MAX_AGE_S: max_age_s}
    if what == NONE:
        for key in (LIABILITY_KEYS, LIABILITY_MAX_AGE):
            section.refuse(key, f'belongs to {LIABILITIES} = "{IMPORT}"; leave it out, or import liabilities')
        return {LIABILITIES: what}
    section.pass_over(LIABILITY_KEYS, LIABILITY_MAX_AGE)
    return {}


def _contract(section: Section) -> Options:
    """What an EVM contract holds, and how that is told."""
    from chains.evm.escrow.terms import KEYS, check_options, normal  # noqa: PLC0415 - loaded only where there is such a venue

    written = {key: value for key in KEYS if (value := section.get(key, _as_written, None)) is not None}
    problems = check_options(written)
    if problems and any(map(_from_environment, written.values())):
        problems = [f"{', '.join(written)} cannot be what the environment gives; write them here"]
    for problem in problems:
        section.wrong(problem)
    return {} if problems else normal(written)


def must_be_deployed(section: Section, options: Options) -> None:
    """Refuse to look for the deployment of what need not be a contract."""
    if options.get("holdings") == "custody":
        section.wrong(
            'start_block "auto" finds where a contract was deployed, and a custody need not be one; write a block'
        )


def _as_written(value: object) -> object:
    return value


def _from_environment(value: object) -> bool:
    several = value if isinstance(value, list) else [value]
    return any(isinstance(each, FromEnvironment) for each in several)


def _accounts(section: Section, chain_id: str | None, authority: bytes) -> Options:
    """The token accounts that an authority of Solana owns for its depositors."""
    accounts = section.need(
        ACCOUNTS,
        values.several(names.spelling_on(chain_id)),
        write="name the token accounts of the vault in base58; address is the authority that owns them",
    )
    if accounts and len(accounts) > MOST_ACCOUNTS:
        section.wrong(
            f"{ACCOUNTS} names {len(accounts)} token accounts, and {MOST_ACCOUNTS} is the most; "
            "name the others in another [[venue]] with the same address"
        )
    if accounts and chain_id and authority and format_address(chain_id, authority) in accounts:
        section.wrong(
            f"{ACCOUNTS} names the address of the venue itself; address is the authority that owns the accounts"
        )
    return {ACCOUNTS: accounts}


def _none_or_import(value: object) -> str:
    if value not in (NONE, IMPORT):
        raise values.Unfit(f"is {values.shown(value)}; {LIABILITIES_MEAN}")
    return str(value)


def _public_key(value: object) -> str:
    from aggregator.margin.liabilities import MalformedLiabilities, parse_key  # noqa: PLC0415 - loads cryptography

    try:
        return parse_key(values.key_32(value).hex()).hex()
    except values.Unfit as error:
        raise values.Unfit(f"{error}, an Ed25519 public key") from error
    except MalformedLiabilities as error:
        raise values.Unfit(f"cannot be used: {error}") from error
