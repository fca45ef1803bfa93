"""Which chain is behind an address."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from chains.errors import NodeWrong
from chains.survey.wire import Silent, Wire, label, opened

FAMILIES = ("chains.evm.survey", "chains.solana.survey")


async def served(url: str) -> str:
    """Return the CAIP-2 chain that a node serves; raises `NodeWrong` for one that tells none."""
    said = []
    async with opened() as session:
        for family in FAMILIES:
            told = await import_module(family).greet(Wire(url, label(1, url), session))
            if not isinstance(told, Silent):
                return cast("str", told)
            said.append(told.text)
    raise NodeWrong(f"it does not say which chain it serves: {'; '.join(dict.fromkeys(said))}")
