"""What each transfer of a transaction changed a vault account by: what the instruction names, less a fee that it may not name.

The change that the token program reports must be explained to the last unit; a fee that one instruction hides is what is left, and the fees
that several hide are the mint's own terms, if these explain the change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chains.solana.ports import ABSENT, Reads
from chains.solana.spl_escrow.events import Held, Movement, VaultTransaction
from chains.solana.tokens import FREE, Fee, fee_terms

Receipts = list[tuple[Movement, int]]
"""Each movement with the raw units that arrived, or left."""

UNEXPLAINED = "unexplained_balance_change"
AMBIGUOUS = "transfer_fee_ambiguous"
DEPOSITOR_UNKNOWN = "depositor_unknown"


def receipts(seen: VaultTransaction, held: Held, reads: Reads) -> Receipts | str:
    """Return the receipts of one vault account, or why they cannot be told; nothing while an answer is still to come."""
    moves = [move for move in seen.movements if move.account == held.account]
    if seen.problem:
        return seen.problem
    if any(move.owner is None and not move.internal for move in moves):
        return DEPOSITOR_UNKNOWN
    hidden = [move for move in moves if isinstance(move.fee, Fee)]
    if held.opaque:
        return _filled(moves, {}) if not hidden else _by_terms(seen, held, moves, None, reads)
    rest = held.after - held.before - held.issued - sum(_named(move) for move in moves if move not in hidden)
    match len(hidden):
        case 0:
            return _filled(moves, {}) if rest == 0 else UNEXPLAINED
        case 1:
            return _filled(moves, {id(hidden[0]): rest}) if 0 <= rest <= hidden[0].amount else UNEXPLAINED
        case _:
            return _by_terms(seen, held, moves, rest, reads)


def _by_terms(
    seen: VaultTransaction, held: Held, moves: Sequence[Movement], rest: int | None, reads: Reads
) -> Receipts | str:
    """Apply the mint's terms, the newer or the older, as far as `rest` proves them.

    Without that proof only a mint that never has terms is believed: those of today need not be those of then.
    """
    mint = reads.account(seen.slot, held.mint)
    if mint is None:
        return []
    hidden = [move for move in moves if isinstance(move.fee, Fee)]
    terms = fee_terms(mint.output)
    if mint.outcome == ABSENT or (terms and rest is None):
        return AMBIGUOUS
    possible = {tuple(move.amount - term.fee(move.amount) for move in hidden) for term in terms or (FREE,)}
    fitting = [amounts for amounts in possible if rest is None or sum(amounts) == rest]
    if len(fitting) != 1:
        return AMBIGUOUS
    return _filled(moves, dict(zip(map(id, hidden), fitting[0], strict=True)))


def _filled(moves: Sequence[Movement], hidden: Mapping[int, int]) -> Receipts:
    return [(move, hidden[id(move)] if id(move) in hidden else abs(_named(move))) for move in moves]


def _named(move: Movement) -> int:
    """Return the change that an instruction names, of a transfer without a hidden fee."""
    fee = 0 if isinstance(move.fee, Fee) else move.fee
    return move.amount - fee if move.incoming else -move.amount
