"""The calls of one program in a transaction, each with what it called itself and what it wrote.

What a program writes stands in the transaction's log between the lines that open and close its call. A log may be cut off; where it does
not fit the instructions that ran, nothing in it is believed.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from chains.identifiers import from_base58
from chains.solana.tokens import Issue, Transfer, effects
from chains.solana.transactions import Instruction, Transaction, text_of

SILENT = frozenset(
    from_base58(text)
    for text in (
        "Ed25519SigVerify111111111111111111111111111",
        "KeccakSecp256k11111111111111111111111111111",
        "Secp256r1SigVerify1111111111111111111111111",
    )
)
"""Programs that run without a line in the log."""

_OPENED = re.compile(r"Program (\w+) invoke \[(\d+)\]")
_CLOSED = re.compile(r"Program \w+ (success|failed)")
_DATA = "Program data: "

CUT_OFF = "Log truncated"
"""What a node writes in the place of all that is beyond its limit: data of calls that began before may be among it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One instruction of a program, with the instructions that ran within it, in order.

    `written`: what it wrote itself as data (events of Anchor programs), `None` where the log does not tell.
    """

    instruction: Instruction
    within: tuple[Instruction, ...]
    written: tuple[bytes, ...] | None

    @property
    def data(self) -> bytes:
        """The instruction's data."""
        return self.instruction.data

    @property
    def accounts(self) -> tuple[bytes, ...]:
        """The instruction's accounts, in order."""
        return self.instruction.accounts

    def flows(self) -> Flows:
        """Return what the token programs did within the call; raises `Unreadable`."""
        return Flows.of(self.within)


@dataclass(slots=True)
class Flows:
    """What instructions moved between token accounts, and minted into or burnt out of them, in raw units.

    Of a transfer with a fee it is what left the source.
    """

    moves: list[Transfer] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)

    @staticmethod
    def of(instructions: Sequence[Instruction]) -> Flows:
        """Collect them; raises `Unreadable`."""
        found = Flows()
        for instruction in instructions:
            for effect in effects(instruction):
                if isinstance(effect, Transfer):
                    found.moves.append(effect)
                elif isinstance(effect, Issue):
                    found.issues.append(effect)
        return found

    def moved(self, source: bytes, target: bytes) -> int:
        """Return what went from one account to another."""
        return sum(move.amount for move in self.moves if (move.source, move.target) == (source, target))

    def into(self, account: bytes) -> int:
        """Return all that came into an account, whatever went out of it."""
        minted = sum(max(issue.amount, 0) for issue in self.issues if issue.account == account)
        return minted + sum(move.amount for move in self.moves if move.target == account)

    def out_of(self, account: bytes) -> int:
        """Return all that went out of an account, whatever came into it."""
        burnt = sum(max(-issue.amount, 0) for issue in self.issues if issue.account == account)
        return burnt + sum(move.amount for move in self.moves if move.source == account)


def calls(read: Transaction, program: bytes) -> Iterator[Call]:
    """Yield the calls of a program in the order in which they began, also those within other programs' calls."""
    mine = [place for place, each in enumerate(read.instructions) if each.program == program]
    written = _written(read, mine) if mine else {}
    for place in mine:
        within = tuple(_within(read.instructions, place))
        yield Call(instruction=read.instructions[place], within=within, written=written.get(place))


def _within(instructions: Sequence[Instruction], place: int) -> Iterator[Instruction]:
    """Yield what ran within an instruction; without heights, what follows it until its own program is called again."""
    caller = instructions[place]
    for each in instructions[place + 1 :]:
        outside = each.path[:1] != caller.path[:1]
        if each.height and caller.height:
            outside = outside or each.height <= caller.height
        elif len(caller.path) > 1:
            outside = outside or each.program == caller.program
        if outside:
            return
        yield each


def _written(read: Transaction, wanted: Sequence[int]) -> dict[int, tuple[bytes, ...]]:
    """Return what instructions wrote, by their place; nothing where the log is not that of all instructions."""
    if read.logs is None or CUT_OFF in read.logs:
        return {}
    found = list(_opened(read.logs))
    loud = [place for place, each in enumerate(read.instructions) if each.program not in SILENT]
    names = [text_of(read.instructions[place].program) for place in loud]
    if names != [name for name, _ in found]:
        return {}
    by_place = dict(zip(loud, (tuple(data) for _, data in found), strict=True))
    return {place: by_place[place] for place in wanted}


def _opened(logs: Sequence[str]) -> Iterator[tuple[str, list[bytes]]]:
    """Yield each call with the data that it wrote itself, in the order in which calls began."""
    begun: list[tuple[str, list[bytes]]] = []
    open_now: list[list[bytes]] = []
    for line in logs:
        if (opened := _OPENED.fullmatch(line)) is not None:
            begun.append((opened[1], []))
            del open_now[int(opened[2]) - 1 :]
            open_now.append(begun[-1][1])
        elif line.startswith(_DATA) and open_now:
            open_now[-1].extend(_decoded(line.removeprefix(_DATA)))
        elif _CLOSED.match(line) and open_now:
            open_now.pop()
    yield from begun


def _decoded(text: str) -> Iterator[bytes]:
    for part in text.split():
        try:
            yield b64decode(part, validate=True)
        except Base64Error:
            return
