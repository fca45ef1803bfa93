"""What a venue's configuration says beyond its address, and what is wrong with it.

`vaults`: MetaMorpho vaults (versions 1.0 and 1.1) that are followed, so that a share of one can be looked through. `vault_factories`:
contracts that announce such vaults; each of theirs is followed from its creation on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chains.evm.logs import unhex

VAULTS = "vaults"
VAULT_FACTORIES = "vault_factories"
KEYS = (VAULTS, VAULT_FACTORIES)
_ADDRESS = 20


def vaults_of(options: Mapping[str, Any]) -> frozenset[bytes]:
    """Return the vaults that are named."""
    return _addresses(options, VAULTS)


def factories_of(options: Mapping[str, Any]) -> frozenset[bytes]:
    """Return the factories whose vaults are followed."""
    return _addresses(options, VAULT_FACTORIES)


def follows_vaults(options: Mapping[str, Any]) -> bool:
    """Tell whether any vault may be followed."""
    return any(options.get(key) for key in KEYS)


def check_options(options: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the options."""
    faults = []
    for key in KEYS:
        try:
            _addresses(options, key)
        except (TypeError, ValueError) as error:
            faults.append(f"{key}: {error}; write a list of addresses, 0x and 40 hexadecimal digits each")
    return faults


def _addresses(options: Mapping[str, Any], key: str) -> frozenset[bytes]:
    """Read a list of addresses; raises `ValueError` for what is none."""
    said = options.get(key, ())
    if isinstance(said, str) or not all(isinstance(each, str) for each in said):
        message = f"{said!r} is no list of addresses"
        raise ValueError(message)
    found = [unhex(each) for each in said if each.startswith("0x")]
    if len(found) < len(said) or any(len(each) != _ADDRESS for each in found):
        message = f"{list(said)!r} holds something else than addresses"
        raise ValueError(message)
    return frozenset(found)
