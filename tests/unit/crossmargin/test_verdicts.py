"""What a node is good for follows from what was measured, and every remark says what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chains.model import ChainSpec
from chains.survey.facts import Ability, NodeSurvey, Sight
from crossmargin.settings import ChainSettings
from crossmargin.verdicts import Case, Grade, best_head, judge

HEAD = Sight(number=20_000_000, time=1_000_000, seen_at=1_000_010.0, skew_s=0.2)
ALL = Ability(value=1, whole=True)
EVERYTHING = {
    "safe": Ability(value=19_999_968),
    "finalized": Ability(value=19_999_936),
    "state": ALL,
    "logs": ALL,
    "receipts": ALL,
    "range": Ability(value=1_000_000, whole=True),
    "addresses": Ability(value=1_000, whole=True),
    "batch": Ability(value=500, whole=True),
    "proofs": Ability(value=True),
    "gzip": Ability(value=True),
    "websocket": Ability(value=True),
}
SLOTS = {
    "history": Ability(value=0, whole=True),
    "signatures": Ability(value=True),
    "batch": Ability(value=100, whole=True),
}


def case(*, chain: str = "eip155:1", start: int = 17_000_000, asks: bool = True, best: int = 20_000_000) -> Case:
    spec = ChainSpec(id=chain, name="one", rpc=("http://x",), finality="finalized", start_block=0)
    survey = NodeSurvey(
        label="node 1 (x)", requests=40, calls=900, served=chain, latency_s=0.05, head=HEAD, abilities=EVERYTHING
    )
    settings = ChainSettings(spec=spec, poll_s=2.0, stale_after_s=60.0)
    return Case(chain=settings, survey=survey, best=best, start=start, asks=asks)


def with_ability(given: Case, name: str, ability: Ability) -> Case:
    return replace(given, survey=replace(given.survey, abilities={**given.survey.abilities, name: ability}))


def with_head(given: Case, head: Sight) -> Case:
    return replace(given, survey=replace(given.survey, head=head))


def codes(given: Case) -> list[str]:
    return [remark.code for remark in judge(given).remarks]


def test_a_node_with_everything_is_good() -> None:
    assert judge(case()).word == judge(case()).sentence == "good"


@pytest.mark.parametrize(
    "name, ability, code, sentence",
    [
        (
            "finalized",
            Ability(value=False, said="unknown tag"),
            "no_finality",
            (
                "cannot be used: it does not know the block tag 'finalized';"
                ' set finality = "confirmations:N", or take another node'
            ),
        ),
        (
            "range",
            Ability(value=False, said="upgrade your plan"),
            "no_logs",
            "cannot be used: it refuses eth_getLogs for a single block (upgrade your plan); take a node with logs",
        ),
        (
            "state",
            Ability(value=19_999_873, said="missing trie node"),
            "no_old_state",
            (
                "works, but it has state of the last ~128 blocks only:"
                " to take in history from block 17,000,000 put an archive node beside it"
            ),
        ),
        (
            "logs",
            Ability(value=17_500_000, said="pruned"),
            "no_old_logs",
            (
                "works, but it gives logs from block ~17,500,000 on only:"
                " to take in history from block 17,000,000 put another node beside it"
            ),
        ),
        (
            "range",
            Ability(value=800, said="limited to 800"),
            "narrow_range",
            (
                "works, but it takes 800 blocks in one eth_getLogs:"
                " history takes many requests; another plan or node allows more"
            ),
        ),
        (
            "batch",
            Ability(value=False, said="no batches"),
            "small_batches",
            (
                "works, but it takes no batches:"
                " headers cost a request each; follow near the head, or take another node for history"
            ),
        ),
        (
            "receipts",
            Ability(value=False, said="no such method"),
            "no_receipts",
            (
                "works, but it refuses eth_getBlockReceipts:"
                " completeness cannot be proven by receipts over it; another node of this chain may"
            ),
        ),
    ],
)
def test_what_a_node_lacks_is_said_with_what_to_do(name: str, ability: Ability, code: str, sentence: str) -> None:
    verdict = judge(with_ability(case(), name, ability))

    assert [remark.code for remark in verdict.remarks] == [code]
    assert verdict.sentence == sentence


@pytest.mark.parametrize("name", ["state", "logs", "range", "batch", "receipts", "finalized"])
def test_what_could_not_be_told_is_held_against_nobody(name: str) -> None:
    assert codes(with_ability(case(), name, Ability(value=None, said="did not answer within 10 s"))) == []


def test_old_state_matters_where_contracts_are_asked_and_only_from_the_first_block_on() -> None:
    young = Ability(value=17_000_000, said="gone")

    assert codes(with_ability(case(start=17_000_000), "state", young)) == []
    assert codes(with_ability(case(start=16_999_999), "state", young)) == ["no_old_state"]
    assert codes(with_ability(case(start=16_999_999, asks=False), "state", young)) == []


@pytest.mark.parametrize("behind, found", [(3, []), (4, ["behind"])])
def test_a_node_may_be_a_few_blocks_behind_another(behind: int, found: list[str]) -> None:
    assert codes(case(best=20_000_000 + behind)) == found


@pytest.mark.parametrize(
    "head, detail",
    [
        (replace(HEAD, skew_s=6.0), "its clock is 6 s ahead of this machine's"),
        (replace(HEAD, skew_s=-90.0), "its clock is 90 s behind this machine's"),
        (replace(HEAD, time=1_000_070, skew_s=None), "its newest block is 60 s in the future by this machine's clock"),
        (replace(HEAD, seen_at=1_000_061.0), "its newest block is 61 s old, longer than `stale_after`"),
    ],
)
def test_clocks_that_differ_and_heads_that_stand_still_are_doubtful(head: Sight, detail: str) -> None:
    verdict = judge(with_head(case(), head))

    assert [(remark.grade, remark.detail) for remark in verdict.remarks] == [(Grade.DOUBT, detail)]
    assert verdict.word == "doubtful"


def test_a_node_that_gives_no_answer_is_judged_by_that_alone() -> None:
    gone = NodeSurvey(label="node 1 (x)", requests=2, calls=2, problem="answers HTTP 403")

    assert judge(replace(case(), survey=gone)).sentence == (
        "cannot be used: it answers HTTP 403; check that the node runs, and the address and key in `rpc`"
    )


def test_a_node_of_another_chain_cannot_be_used() -> None:
    other = replace(case().survey, served="eip155:5", abilities={}, head=None)

    assert judge(replace(case(), survey=other)).sentence == (
        "cannot be used: it serves eip155:5; correct `rpc` or `id` of this [[chain]]"
    )


def test_remarks_come_gravest_first_and_all_are_told() -> None:
    slow = replace(case().survey, latency_s=1.5, limited=2)
    verdict = judge(replace(case(best=20_000_100), survey=slow))

    assert [remark.code for remark in verdict.remarks] == ["behind", "slow", "rate_limit"]
    assert verdict.sentence == (
        "works, but it is 100 blocks behind the best node: see whether it still syncs."
        " And it takes 1.5 s to answer: take a node that is nearer."
        " And it limited the rate 2 times during 40 requests: add a node, or a plan with a higher rate"
    )


@pytest.mark.parametrize(
    "name, ability, word, found",
    [
        ("history", Ability(value=5_000), "works", ["no_old_blocks"]),
        ("signatures", Ability(value=False, said="disabled"), "unusable", ["no_signatures"]),
        ("history", Ability(value=None), "good", []),
    ],
)
def test_a_solana_node_is_judged_by_history_and_signatures(
    name: str, ability: Ability, word: str, found: list[str]
) -> None:
    base = case(chain="solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", start=1_000)
    given = replace(base, survey=replace(base.survey, abilities=SLOTS))
    verdict = judge(with_ability(given, name, ability))

    assert (verdict.word, codes(with_ability(given, name, ability))) == (word, found)


def test_the_best_head_is_the_highest_that_any_node_has() -> None:
    low = replace(case().survey, head=replace(HEAD, number=7))

    assert best_head([low, case().survey, replace(low, head=None)]) == 20_000_000
    assert best_head([]) == 0
