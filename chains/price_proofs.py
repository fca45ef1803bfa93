"""What proves that a price source gave an answer where it is said to have given it, and what came of asking for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

from chains.auditing import Reply
from chains.model import Block, PriceAnswer
from chains.proving import Proved

Placed = TypeVar("Placed")


class PriceProof(NamedTuple):
    """An answer of a source and what proves it: `evidence` is canonical JSON, as `docs/snapshots.md` has it, empty where nothing was.

    `proven`: the block carries it; `different`: it carries another or none; `unanswered`: no node gave what proves it; `unknown`: it came
    in no log, but was read, or computed of others.
    """

    source: bytes
    answer: PriceAnswer
    outcome: Proved
    detail: str
    evidence: str


@runtime_checkable
class PriceProving(Protocol):
    """A chain whose nodes can prove in which block a price was told."""

    async def prove_prices(
        self, at: Block, answers: Sequence[tuple[bytes, PriceAnswer]], known: Sequence[Reply] | None = None
    ) -> tuple[tuple[PriceProof, ...], tuple[Reply, ...]]:
        """Prove answers of sources by the receipts of their blocks, and that these lead to `at`; and what nodes said.

        `known`: what was said before; nobody is asked then, and what is not among it is unanswered. Nothing is raised for a node.
        """
        ...


def first_by_chance(
    cut_hash: str, place: str, named: Iterable[tuple[str, Placed]], count: int | None
) -> list[tuple[str, Placed]]:
    """Choose so many of what has names, by a chance that nobody knew before the block; `None`: all. In the order of the names."""
    ranked = sorted(named, key=lambda each: sha256(f"{cut_hash}|{place}|{each[0]}".encode()).digest())
    return sorted(ranked[:count], key=lambda each: each[0])
