"""Accounts of other protocols that banks' deposits are in: who names them, and what is written of their bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from chains.identifiers import from_base58
from chains.model import AccountBytes
from chains.solana.marginfi.integrations import BY_TAG, HELD, HELD_BESIDE, HELD_TOTALS, Integration
from chains.solana.marginfi.integrations.ports import PROBLEM, NotAPool, problem_with
from chains.solana.marginfi.states import TERMS, problem_text, text_of

Markets = Mapping[tuple[bytes, str], str]
_POOL_AT = 1
"""Which of a bank's oracle keys is its pool."""


class Named(NamedTuple):
    """The pools that banks name, and the accounts that these name, each with the protocol by which it is read."""

    pools: Mapping[bytes, Integration]
    beside: Mapping[bytes, Integration]


def named_by(markets: Markets) -> Named:
    """Return whose accounts the journals of a group name."""
    pools = dict(_pools(markets))
    return Named(pools, dict(_beside(markets, pools)))


def pool_of_bank(tag: int, setup: int, keys: list[bytes]) -> tuple[bytes, Integration] | None:
    """Return the pool in which a bank's deposits are, and of which protocol; `None` where it has none that is known."""
    integration = BY_TAG.get(tag)
    if integration is None or setup not in integration.setups or len(keys) <= _POOL_AT:
        return None
    return keys[_POOL_AT], integration


def _pools(markets: Markets) -> Iterator[tuple[bytes, Integration]]:
    for (_, aspect), text in sorted(markets.items()):
        if aspect != TERMS:
            continue
        bank = json.loads(text)
        if PROBLEM not in bank and bank["asset_tag"] in BY_TAG:
            keys = [from_base58(key) for key in bank["oracle_keys"]]
            found = pool_of_bank(bank["asset_tag"], bank["oracle_setup"], keys)
            if found is not None:
                yield found


def _beside(markets: Markets, pools: Mapping[bytes, Integration]) -> Iterator[tuple[bytes, Integration]]:
    for pool, integration in pools.items():
        held = json.loads(markets.get((pool, HELD), "{}"))
        if held and PROBLEM not in held:
            yield from ((address, integration) for address in integration.beside(held))


def is_pool(account: AccountBytes) -> bool:
    """Tell whether an account may be a pool, by its program and its shape."""
    return any(problem_with(integration, account) is None for integration in BY_TAG.values())


def pool_texts(integration: Integration, account: AccountBytes) -> dict[str, str]:
    """Return the aspects of a pool's account."""
    problem = problem_with(integration, account)
    if problem is not None:
        return {HELD: problem_text(problem)}
    held, totals = integration.pool_states(account.data)
    return {HELD: text_of(held), HELD_TOTALS: text_of(totals)}


def beside_texts(integration: Integration, account: AccountBytes) -> dict[str, str]:
    """Return the aspect of an account that a pool names."""
    try:
        return {HELD_BESIDE: text_of(integration.beside_state(account))}
    except NotAPool as error:
        return {HELD_BESIDE: problem_text(str(error))}
