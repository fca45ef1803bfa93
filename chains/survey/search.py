"""How far something reaches, in few questions: the oldest block, the most at once."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence

from chains.survey.facts import Ability
from chains.survey.wire import Undecided

FIRST_LOOK = 64
GROWTH = 8
FINENESS = 100
"""The oldest block is told to within a hundredth of its distance from the newest."""

Asked = Callable[[int], Awaitable[str | None]]
"""What a node says against a block or a number, `None` for nothing; raises `Undecided` where it is silent."""

Hint = Callable[[str], int | None]
"""The limit that a refusal names, if it names one."""


_NUMBER = re.compile(r"(?<![\w.-])\d{1,3}(?:,\d{3})+(?![\w.])|(?<![\w.-])\d+(?![\w.])")


def first_number(text: str) -> int | None:
    """Return the first whole number in a text."""
    found = _NUMBER.search(text)
    return int(found[0].replace(",", "")) if found else None


async def oldest(asked: Asked, first: int, latest: int) -> Ability:
    """Find the oldest block from which on all are answered; `whole` from `first` on, `False` where not even the newest is.

    About 20 questions at most. A node that kept its very first block and forgot others after it is seen through.
    """
    try:
        if await asked(first) is None and await asked((first + latest) // 2) is None:
            return Ability(value=first, whole=True)
        if (said := await asked(latest)) is not None:
            return Ability(value=False, said=said)
        return await _edge(asked, first, latest)
    except Undecided as error:
        return Ability(value=None, said=str(error))


async def _edge(asked: Asked, first: int, latest: int) -> Ability:
    kept, back, said = latest, FIRST_LOOK, None
    while (gone := max(first, latest - back)) > first and (said := await asked(gone)) is None:
        kept, back = gone, back * GROWTH
    while kept - gone > max(1, (latest - kept) // FINENESS):
        middle = (kept + gone) // 2
        if (answer := await asked(middle)) is None:
            kept = middle
        else:
            gone, said = middle, answer
    return Ability(value=kept, said=said)


async def most(asked: Asked, steps: Sequence[int], hint: Hint, *, exact: bool) -> Ability:
    """Find the most that is taken at once: `steps` upward, then what the refusal names, then by bisection where `exact`.

    `whole` where the last step was taken, `False` where not even the first was. Silence is no limit: what was taken until then stands.
    """
    taken = 0
    for step in steps:
        try:
            said = await asked(step)
        except Undecided as error:
            return Ability(value=taken or None, said=f"{step:,} at once: {error}")
        if said is not None:
            return (
                await _between(asked, (taken, step), hint, said, exact=exact)
                if taken
                else Ability(value=False, said=said)
            )
        taken = step
    return Ability(value=taken, whole=True)


async def _between(asked: Asked, bounds: tuple[int, int], hint: Hint, said: str, *, exact: bool) -> Ability:
    taken, refused = bounds
    named = hint(said)
    guesses = [] if named is None else [named, named + 1]
    try:
        while refused - taken > 1:
            fitting = [number for number in guesses if taken < number < refused]
            if not fitting and not exact:
                break
            guess = fitting[0] if fitting else (taken + refused) // 2
            answer = await asked(guess)
            taken, refused, said = (guess, refused, said) if answer is None else (taken, guess, answer)
    except Undecided as error:
        return Ability(value=taken, said=f"{said}; then it {error}")
    return Ability(value=taken, said=said)
