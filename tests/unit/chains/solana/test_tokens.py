"""What instructions are read to do, against what the real token programs did with them."""

from __future__ import annotations

from collections import Counter

import pytest
from solders.pubkey import Pubkey

from chains.solana.tokens import (
    NATIVE_MINTS,
    Fee,
    FeeTerms,
    Issue,
    Opaque,
    Owned,
    Transfer,
    effects,
)
from chains.solana.transactions import Transaction
from tests.devnet.solana.accounts import TokenHolding
from tests.devnet.solana.ledger import Refused
from tests.unit.chains.solana.bench import FEE_BASIS_POINTS, FEE_MOST, NATIVE_2022, Bench
from tests.unit.chains.solana.hands import act

ACTIONS = 700
TERMS = FeeTerms(basis_points=FEE_BASIS_POINTS, maximum=FEE_MOST)
Holdings = dict[Pubkey, TokenHolding]


def test_the_native_mint_of_token_2022_is_where_its_program_puts_it() -> None:
    assert bytes(NATIVE_2022) in NATIVE_MINTS


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_effects_explain_every_change_of_amount_and_owner_that_the_programs_make(seed: int) -> None:
    bench, did = Bench(seed), Counter[str]()
    for _ in range(ACTIONS):
        before = bench.holdings()
        try:
            landed, read = bench.run(act(bench))
        except Refused:
            continue
        after = bench.holdings()
        assert read.failed == (landed.error is not None)
        if read.failed:
            assert after == before
        else:
            did += explained(bench, read, before, after)

    assert did.keys() == {
        "transfer", "hidden fee", "named fee", "to itself", "appeared", "vanished", "owned", "initialize_account",
        "close_account", "sync_native", "unwrap_lamports", "withdraw_withheld",
    }  # fmt: skip
    assert min(did.values()) >= 2


def explained(bench: Bench, read: Transaction, before: Holdings, after: Holdings) -> Counter[str]:
    """Compare what changed with what the effects say; tell which there were."""
    did, changes, opaque = Counter[str](), Counter[Pubkey](), set[Pubkey]()
    owners = {account: held.owner for account, held in before.items()}
    for instruction in read.instructions:
        for effect in effects(instruction):
            match effect:
                case Transfer():
                    source, target = Pubkey(effect.source), Pubkey(effect.target)
                    did[kind_of(effect)] += 1
                    changes[source] -= effect.amount
                    changes[target] += effect.amount - fee_of(bench, effect)
                case Issue():
                    did["appeared" if effect.amount > 0 else "vanished"] += 1
                    changes[Pubkey(effect.account)] += effect.amount
                case Opaque():
                    did[effect.name] += 1
                    opaque |= {Pubkey(account) for account in effect.accounts}
                case Owned():
                    did["owned"] += 1
                    owners[Pubkey(effect.account)] = Pubkey(effect.owner)
    for account in bench.accounts:
        then, now = before.get(account), after.get(account)
        if account not in opaque:
            assert (now.amount if now else 0) - (then.amount if then else 0) == changes[account]
        assert now is None or now.owner == owners[account]
    return did


def kind_of(transfer: Transfer) -> str:
    if transfer.source == transfer.target:
        return "to itself"
    if isinstance(transfer.fee, Fee):
        return "hidden fee"
    return "named fee" if transfer.fee else "transfer"


def fee_of(bench: Bench, transfer: Transfer) -> int:
    """What the target does not get; a transfer to itself costs nothing."""
    if transfer.source == transfer.target:
        return 0
    if not isinstance(transfer.fee, Fee):
        return transfer.fee
    return TERMS.fee(transfer.amount) if bench.accounts[Pubkey(transfer.target)].fee else 0
