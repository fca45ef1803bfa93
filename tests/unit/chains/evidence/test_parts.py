"""What cannot be shown of a block lowers the level of those alone whose logs it may hold."""

from __future__ import annotations

from chains.completeness import Level, Part
from chains.evm.evidence.attest import Interest
from chains.evm.evidence.compare import Followed
from chains.evm.evidence.piece import Piece, Weighed

OURS, THEIRS = b"\xaa" * 20, b"\xbb" * 20
MINT, SWAP = b"\x01" * 32, b"\x02" * 32
GONE = "no receipts"


def weighed(**doubtful: set[tuple[bytes, bytes]]) -> Weighed:
    """Blocks 10 to 14, of which nothing can be shown of 11 and 12."""
    followed = Followed({OURS: 0, THEIRS: 0}, frozenset({MINT, SWAP}))
    piece = Piece(first=10, last=14, stored={}, hashes={}, followed=followed)
    return Weighed.of(piece, Level.PROVEN, {11: GONE, 12: GONE}, (), {int(n[1:]): logs for n, logs in doubtful.items()})


def parts(found: Weighed) -> list[Part]:
    interest = Interest(name="v", venue="v", first=0, contracts={OURS: 0}, fetched="", topics=frozenset({MINT}))
    return found.parts_for(interest.may_take)


def test_another_venue_s_contract_or_topic_lowers_nothing() -> None:
    whole = [Part(10, 14, Level.PROVEN, "")]

    assert parts(weighed(n11={(THEIRS, MINT)}, n12={(OURS, SWAP), (THEIRS, SWAP)})) == whole


def test_a_block_that_may_hold_a_log_of_one_s_own_stays_at_the_word_of_one_node() -> None:
    assert parts(weighed(n11={(THEIRS, MINT)}, n12={(THEIRS, SWAP), (OURS, MINT)})) == [
        Part(10, 11, Level.PROVEN, ""),
        Part(12, 12, Level.FETCHED, GONE),
        Part(13, 14, Level.PROVEN, ""),
    ]


def test_a_block_of_which_nothing_is_excluded_lowers_everybody() -> None:
    assert parts(weighed(n11=set())) == [
        Part(10, 11, Level.PROVEN, ""),
        Part(12, 12, Level.FETCHED, GONE),
        Part(13, 14, Level.PROVEN, ""),
    ]
