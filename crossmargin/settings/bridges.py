"""Whom to believe about messages of bridges: guardians of Wormhole, and what each bridge is on each chain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from aggregator.audit.message_verifier import CCIP, LAYERZERO, WORMHOLE, Bridge, Fault, via
from chains.identifiers import EVM, SOLANA, namespace_of
from chains.model import GuardianSet
from crossmargin.settings import names, signed, values
from crossmargin.settings.section import Section, unknown

PROTOCOLS = (WORMHOLE, LAYERZERO, CCIP)
KEYS = ("via", "asset", "shared_decimals")
MOST_SHARED = 38
LARGEST = 2**64 - 1
WORD = 32


def trust(section: Section) -> tuple[GuardianSet, ...] | None:
    """Read the guardian sets that sign messages."""
    none: tuple[GuardianSet, ...] = ()
    sets = section.get("guardian_sets", values.several(signed.guardian_set), none)
    signed.check_once(section, sets)
    return section.build(lambda: sets)


def bridge(section: Section) -> Bridge | None:
    """Read what a bridge is on one chain."""
    protocol = section.need("protocol", values.one_of(*PROTOCOLS))
    chain = section.need("chain", names.chain_id)
    number = section.need("number", _number)
    address = section.need("address", names.address_on(chain))
    tokens: tuple[tuple[str, str, int | None], ...] = section.get("tokens", values.several(_token(protocol)), ())
    if chain and namespace_of(chain) not in {EVM, SOLANA}:
        section.wrong("chain must be one of EVM or Solana")
    if chain and protocol in {LAYERZERO, CCIP} and namespace_of(chain) != EVM:
        section.wrong(f"{protocol} is followed to chains of EVM alone")
    if len({via for via, *_ in tokens or ()}) < len(tokens or ()):
        section.wrong("tokens names one via twice; write each once")
    return section.build(
        lambda: Bridge(
            protocol,
            chain,
            number,
            address.rjust(WORD, b"\0"),
            {via: (asset, shared) for via, asset, shared in tokens},
        )
    )


def _number(value: object) -> int:
    """A bridge's own number of a chain; CCIP's are larger than TOML's whole numbers, so that text is taken too."""
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else values.whole(value)
    if not 0 < number <= LARGEST:
        raise values.Unfit(f"must be from 1 to {LARGEST}")
    return number


def _token(protocol: str | None) -> Any:  # noqa: ANN401 - a parser
    def parse(value: object) -> tuple[str, str, int | None]:
        if not isinstance(value, dict):
            raise values.Unfit('must be a table such as { via = "2/0x…", asset = "eip155:10/erc20:0x…" }')
        table = cast("Mapping[str, Any]", value)
        for key in table:
            if key not in KEYS:
                raise values.Unfit(unknown("key", key, KEYS))
        if not {"via", "asset"} <= table.keys():
            raise values.Unfit("must have via, what a message names, and asset, what arrives")
        shared = values.whole(table["shared_decimals"]) if "shared_decimals" in table else None
        if (shared is None) == (protocol == LAYERZERO) or (shared or 0) > MOST_SHARED:
            raise values.Unfit(f"has shared_decimals (at most {MOST_SHARED}) with {LAYERZERO}, and only there")
        return _via(table["via"]), str(names.asset_id(table["asset"])), shared

    return parse


def _via(value: object) -> str:
    try:
        return via(values.text(value))
    except (ValueError, Fault) as error:
        raise values.Unfit('needs via = "NUMBER/ADDRESS", the number of a chain and what the message names') from error
