"""An account's health before and after, as a document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from aggregator.advice import Reach, carried, swapped
from aggregator.margin.document import HealthDocument
from aggregator.margin.health import evaluate
from aggregator.margin.inputs import HealthInputs
from aggregator.margin.numbers import text
from aggregator.whatif import Action, Kind, WhatIfError, changed, notes
from chains.model import Reason
from crossmargin.documents import Document, harmless
from crossmargin.errors import UsageError
from crossmargin.stress_documents import shocks_of

IN_SHORT = ("status", "health_factor", "health_factor_interval", "min_unit_health_factor", "score", "headroom")
MOST_DIGITS = MOST_PLACES = 38
LONGEST_TOLD = 80
OF_A_UNIT = ("unit_id", "status", "health_factor", "liquidatable", "collateral", "debt", "native")


def what_if(
    inputs: HealthInputs, before: HealthDocument, actions: Sequence[str], shocks: Sequence[str], reach: Reach
) -> Document:
    """Change an account's inputs and evaluate them; raises `UsageError`."""
    moves = shocks_of(shocks)
    try:
        done = [action for each in actions for action in _actions(each, inputs, reach)]
    except WhatIfError as error:
        raise UsageError(str(error)) from error
    if not done and not moves:
        raise UsageError("nothing is to change; say what with an action (repay:VENUE:USDC=100) or a shock (ETH=-0.3)")
    try:
        after = changed(inputs, done, moves)
    except WhatIfError as error:
        raise UsageError(str(error)) from error
    return {
        "account": before.account,
        "as_of": before.model_dump(mode="json", include={"as_of"})["as_of"],
        "actions": [
            {"kind": each.kind.value, "venue": each.venue, "asset": each.asset, "tokens": text(each.tokens)}
            for each in done
        ],
        "shocks": {name: text(Decimal(repr(move))) for name, move in moves.items()},
        "before": _in_short(before),
        "after": _in_short(evaluate(after)),
        "notes": _reasons(notes(inputs, after, moves)),
    }


def _actions(said: str, inputs: HealthInputs, reach: Reach) -> tuple[Action, ...]:
    """Read one action; a swap and a move are two: what is taken, and what arrives."""
    kind, _, rest = said.partition(":")
    if kind == "swap":
        venue, asset, tokens = _asked(said, rest)
        first, between, second = asset.partition(">")
        if not between:
            raise UsageError(f'"{said}" is no swap; write swap:VENUE:FROM>TO=TOKENS')
        return swapped(inputs, venue, (first, second), tokens)
    if kind == "move":
        venue, asset, tokens = _asked(said, rest)
        first, between, second = venue.partition(">")
        if not between:
            raise UsageError(f'"{said}" is no move; write move:VENUE>VENUE:ASSET=TOKENS')
        return carried(inputs, (first, second), asset, tokens, reach)
    return (_action(said),)


def _asked(said: str, rest: str) -> tuple[str, str, Decimal]:
    """Read the rest of a swap or a move: venue, asset, tokens."""
    found = _action(f"supply:{rest}")
    if found.tokens <= 0:
        raise UsageError(f'"{said}": more than nothing is swapped or moved')
    return found.venue, found.asset, found.tokens


def _action(said: str) -> Action:
    kind, _, rest = said.partition(":")
    venue, _, asked = rest.partition(":")
    asset, _, tokens = asked.rpartition("=")
    if kind not in set(Kind) or not venue or not asset:
        raise UsageError(
            f'"{said}" is no action; write KIND:VENUE:ASSET=TOKENS, KIND one of {", ".join(Kind)}, swap, move'
        )
    return Action(kind=Kind(kind), venue=venue, asset=asset, tokens=_tokens(tokens))


def _tokens(said: str) -> Decimal:
    """Read an amount, none of which written out in full would be longer than what is stored of any token."""
    try:
        amount = Decimal(said)
    except InvalidOperation:
        amount = Decimal("nan")
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int) or not -MOST_PLACES <= exponent <= MOST_DIGITS or amount.adjusted() >= MOST_DIGITS:
        raise UsageError(
            f'"{harmless(said, longest=LONGEST_TOLD)}" is no number of tokens of at most {MOST_DIGITS} digits and {MOST_PLACES} places'
        )
    return amount


def _in_short(document: HealthDocument) -> dict[str, Any]:
    whole = document.model_dump(mode="json")
    return {
        **{name: whole[name] for name in IN_SHORT},
        "collateral_usd": whole["collateral"]["raw"],
        "debt_usd": whole["debt"]["raw"],
        "units": [
            {"venue": venue["venue"]} | {name: unit[name] for name in OF_A_UNIT}
            for venue in whole["venues"]
            for unit in venue["units"]
        ],
        "reasons": whole["reasons"],
    }


def _reasons(reasons: Iterable[Reason]) -> list[dict[str, str]]:
    return [{"code": each.code, "subject": each.subject, "detail": each.detail} for each in reasons]
