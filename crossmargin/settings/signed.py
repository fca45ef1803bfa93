"""What only chains and feeds of signed prices have: the guardians who sign, and the feed that is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from chains.identifiers import EVM, PYTH, IdentifierError, namespace_of, parse_address
from chains.model import GuardianSet
from crossmargin.settings import values
from crossmargin.settings.section import Section, unknown

KIND = "pyth-hermes"
CHAIN = f"{PYTH}:mainnet"
MOST_GUARDIANS = 255
KEYS = ("index", "addresses", "until")


def guardian_sets(section: Section, chain_id: str) -> tuple[GuardianSet, ...]:
    """Read whose signatures are asked for; any other chain has none."""
    if not chain_id or namespace_of(chain_id) != PYTH:
        section.refuse("guardian_sets", f"is for {CHAIN}, whose prices are signed; leave it out")
        return ()
    section.refuse("ws", "is not for signed prices, which are asked for at intervals; leave it out")
    none: tuple[GuardianSet, ...] = ()
    sets = section.get("guardian_sets", values.several(guardian_set), none)
    check_once(section, sets)
    return sets


def check_once(section: Section, sets: Sequence[GuardianSet] | None) -> None:
    """Refuse two sets of one number."""
    indices = [each.number for each in sets or ()]
    if len(set(indices)) < len(indices):
        section.wrong("guardian_sets names one index twice; write each set once")


def guardian_set(value: object) -> GuardianSet:
    if not isinstance(value, dict):
        raise values.Unfit("must be a table such as { index = 4, addresses = [ … ] }")
    table = cast("Mapping[str, Any]", value)
    for key in table:
        if key not in KEYS:
            raise values.Unfit(unknown("key", key, KEYS))
    if not {"index", "addresses"} <= table.keys():
        raise values.Unfit("must have index, the number of the set, and addresses, its guardians in their order")
    addresses = values.several(_guardian)(table["addresses"])
    if len(addresses) > MOST_GUARDIANS:
        raise values.Unfit(f"has {len(addresses)} guardians; no set has more than {MOST_GUARDIANS}")
    until = values.whole(table["until"]) if "until" in table else None
    return GuardianSet(values.whole(table["index"]), addresses, until)


def _guardian(value: object) -> bytes:
    if not isinstance(value, str):
        raise values.Unfit("must be the address of a guardian, 0x and 40 hex digits")
    try:
        return parse_address(EVM, value)
    except IdentifierError as error:
        raise values.Unfit(str(error)) from error


def feed_id(section: Section) -> bytes:
    """Read which price is asked for; it is what other feeds write as an address."""
    section.refuse("address", f"is not for {KIND} feeds, which are known by feed_id; leave it out")
    return section.need("feed_id", values.key_32, write="write the id of the price at Pyth, 64 hex digits")
