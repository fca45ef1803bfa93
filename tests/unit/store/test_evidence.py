"""Evidence is stored with the blocks that it is of, in the step that makes them final or in one of its own."""

from __future__ import annotations

from dataclasses import replace

from chains.completeness import CONTRADICTED
from chains.ports import Covered, Finding
from indexer.steps import Attest, Finalize
from indexer.store import Store
from tests.unit.store.builders import CHAIN, append, batch, block, digest, rewind

NAME = "venue:aave"
FETCHED = "one node's word"


def span(first: int, last: int, level: str = "fetched", evidence: str = FETCHED) -> Covered:
    return Covered(interest=NAME, first=first, last=last, level=level, evidence=evidence)


MISSING = Finding(
    interest=NAME,
    kind="missing",
    block=4,
    block_hash=block(4).hash,
    log_index=1,
    tx_hash=digest(4, "tx1"),
    address=b"\x0a" * 20,
    topic0=b"\x01" * 32,
    evidence="receipts",
)
UNBALANCED = replace(MISSING, kind="unbalanced", log_index=-1, block_hash=b"", tx_hash=b"", topic0=b"")


def covered(store: Store) -> list[Covered]:
    with store.reading() as reader:
        return reader.coverage(CHAIN)


def findings(store: Store) -> list[Finding]:
    with store.reading() as reader:
        return reader.findings(CHAIN)


def stored(store: Store, last: int = 9) -> None:
    append(store, batch(1, last, covered=[span(1, last)]))


def test_evidence_comes_with_finality(store: Store) -> None:
    stored(store)

    store.apply(Finalize(chain_id=CHAIN, number=6, covered=(span(1, 6, "totals", "sums"),)))

    assert covered(store) == [span(7, 9), span(1, 6, "totals", "sums")]
    cursor = store.cursor(CHAIN)
    assert cursor is not None
    assert cursor.finalized == 6


def test_evidence_for_blocks_that_were_final_before_changes_nothing(store: Store) -> None:
    stored(store)
    store.apply(Finalize(chain_id=CHAIN, number=6, covered=(span(1, 6, "totals", "sums"),)))

    store.apply(Finalize(chain_id=CHAIN, number=6, covered=(span(1, 6, "proven", "receipts"),)))

    assert covered(store) == [span(7, 9), span(1, 6, "totals", "sums")]


def test_final_blocks_are_attested_later(store: Store) -> None:
    stored(store)
    store.apply(Finalize(chain_id=CHAIN, number=9))

    store.apply(Attest(chain_id=CHAIN, covered=(span(3, 5, "proven", "receipts"),)))

    assert covered(store) == [span(1, 2), span(6, 9), span(3, 5, "proven", "receipts")]


def test_what_is_found_wrong_is_kept_once_and_told_in_coverage(store: Store) -> None:
    stored(store)

    for _ in range(2):
        store.apply(Attest(chain_id=CHAIN, covered=(span(1, 9, "proven", "receipts"),), findings=(MISSING, UNBALANCED)))

    assert findings(store) == [UNBALANCED, MISSING]
    assert [(s.first, s.last, s.level) for s in covered(store)] == [
        (4, 4, CONTRADICTED),
        (1, 3, "proven"),
        (5, 9, "proven"),
    ]


def test_a_proof_settles_what_was_found_wrong_before(store: Store) -> None:
    stored(store)
    store.apply(Attest(chain_id=CHAIN, covered=(), findings=(MISSING,)))

    store.apply(Attest(chain_id=CHAIN, covered=(span(4, 4, "totals", "sums"),)))
    assert findings(store) == [MISSING]

    store.apply(Attest(chain_id=CHAIN, covered=(span(1, 9, "proven", "receipts"),)))
    assert findings(store) == []
    assert covered(store) == [span(1, 9, "proven", "receipts")]


def test_a_rewind_cuts_evidence_to_what_is_left(store: Store) -> None:
    stored(store)
    store.apply(Finalize(chain_id=CHAIN, number=4, covered=(span(1, 4, "totals", "sums"),)))

    rewind(store, 5)

    assert covered(store) == [span(5, 5), span(1, 4, "totals", "sums")]


def test_findings_are_read_in_sql_as_the_chain_writes_them(store: Store) -> None:
    stored(store)
    store.apply(Attest(chain_id=CHAIN, covered=(), findings=(MISSING, UNBALANCED)))

    found = store.query("FROM public.finding ORDER BY log_index", timeout_s=9, max_rows=9)

    written = ("0x" + block(4).hash.hex(), 1, "0x" + digest(4, "tx1").hex(), "0x" + "0a" * 20, "0x" + "01" * 32)
    assert found.rows == [
        (CHAIN, NAME, "missing", 4, *written, "receipts"),
        (CHAIN, NAME, "unbalanced", 4, None, None, None, "0x" + "0a" * 20, None, "receipts"),
    ]
