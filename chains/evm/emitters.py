"""What of a contract is followed: all its logs that matter, or those alone that name somebody.

Wherever contracts are mapped to the first block that matters, a key of 20 bytes is an address, and a longer one an address and a word:
the logs of that contract which have the word as their first or second indexed argument.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import pyarrow as pa

ADDRESS = 20
NEVER = 2**63
"""Later than any block."""


def naming(contract: bytes, address: bytes) -> bytes:
    """Return the key of those logs of a contract that name an address."""
    return contract + bytes(12) + address


def is_whole(key: bytes) -> bool:
    """Whether a key means all logs of a contract."""
    return len(key) == ADDRESS


def contract_of(key: bytes) -> bytes:
    """Return the address that a key begins with."""
    return key[:ADDRESS]


def first_block(contracts: Mapping[bytes, int], address: bytes, topics: Sequence[bytes]) -> int:
    """Return the first block in which a log is followed, `NEVER` for one that is not."""
    since = contracts.get(address, NEVER)
    return min([since, *(contracts.get(address + word, NEVER) for word in topics[1:3])])


def split(keys: Iterable[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Return the keys that are whole contracts, and the others."""
    whole: list[bytes] = []
    naming_somebody: list[bytes] = []
    for key in keys:
        (whole if is_whole(key) else naming_somebody).append(key)
    return whole, naming_somebody


def named_by(table: pa.Table, keys: Collection[bytes]) -> pa.Table:
    """Return those logs of a table that one of the keys means."""
    wanted = frozenset(keys)
    columns = (table[name].to_pylist() for name in ("address", "topic1", "topic2"))
    kept = [
        any(word is not None and address + word in wanted for word in (first, second))
        for address, first, second in zip(*columns, strict=True)
    ]
    return table.filter(pa.array(kept, pa.bool_()))


def without_repeats(table: pa.Table) -> pa.Table:
    """Return a table with each log once, where two questions found it in the very same words."""
    return table.group_by(table.column_names).aggregate([]).select(table.column_names)
