"""What a measured node is good for on its chain, and what to do where it is not: pure rules over what was measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from chains.identifiers import namespace_of
from chains.survey.facts import Ability, NodeSurvey
from crossmargin.settings import ChainSettings

NEAR = 3
"""Blocks that a node may be behind another: they are not asked at the very same moment."""

SLOW_S = 1.0
CLOCK_S = 5.0
NARROW = 1_000
"""Blocks in one eth_getLogs below which a history takes long."""

RECENT = 100_000
"""Depths up to this are told from the head."""

FEW = 10
"""Requests in one batch below which headers take long."""


class Grade(StrEnum):
    """What a remark means for the use of a node."""

    LIMIT = "limit"
    DOUBT = "doubt"
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """One thing to know of a node: a fixed `code`, what is so, and what to do."""

    code: str
    grade: Grade
    detail: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All remarks on one node, the gravest first."""

    remarks: tuple[Remark, ...]

    @property
    def word(self) -> str:
        """`good`, `works` with remarks, `doubtful` where it is behind or its clock is, or `unusable`."""
        worst = self.remarks[0].grade if self.remarks else None
        return {None: "good", Grade.LIMIT: "works", Grade.DOUBT: "doubtful", Grade.STOP: "unusable"}[worst]

    @property
    def sentence(self) -> str:
        """The verdict for people, with what to do about the gravest remark."""
        if not self.remarks:
            return "good"
        first = self.remarks[0]
        if first.grade is Grade.STOP:
            return f"cannot be used: {first.detail}; {first.action}"
        return "works, but " + ". And ".join(f"{remark.detail}: {remark.action}" for remark in self.remarks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A node's survey with what its chain is configured for; `best`: the highest head among the chain's nodes.

    `start`: the first block that matters; `asks`: contracts are asked at old blocks.
    """

    chain: ChainSettings
    survey: NodeSurvey
    best: int
    start: int
    asks: bool

    def ability(self, name: str) -> Ability:
        """Return what was measured, or that it was not."""
        return self.survey.abilities.get(name, Ability(value=None))


Rule = Callable[[Case], Remark | None]


def judge(case: Case) -> Verdict:
    """Judge one node; a node that cannot be asked gets no further remarks."""
    rules = RULES[namespace_of(case.chain.spec.id)]
    first = _unreachable(case) or _elsewhere(case)
    found = (first,) if first else tuple(remark for rule in rules if (remark := rule(case)) is not None)
    order = [Grade.STOP, Grade.DOUBT, Grade.LIMIT]
    return Verdict(remarks=tuple(sorted(found, key=lambda remark: order.index(remark.grade))))


def best_head(surveys: Sequence[NodeSurvey]) -> int:
    """Return the highest head among the nodes of a chain."""
    return max((survey.head.number for survey in surveys if survey.head is not None), default=0)


def _unreachable(case: Case) -> Remark | None:
    if case.survey.problem is None:
        return None
    return Remark(
        code="no_answer",
        grade=Grade.STOP,
        detail=f"it {case.survey.problem}",
        action="check that the node runs, and the address and key in `rpc`",
    )


def _elsewhere(case: Case) -> Remark | None:
    if case.survey.served == case.chain.spec.id:
        return None
    return Remark(
        code="wrong_chain",
        grade=Grade.STOP,
        detail=f"it serves {case.survey.served}",
        action="correct `rpc` or `id` of this [[chain]]",
    )


def _finality(case: Case) -> Remark | None:
    rule = case.chain.spec.finality
    found = case.ability(rule)
    if found.value is not False:
        return None
    return Remark(
        code="no_finality",
        grade=Grade.STOP,
        detail=f"it does not know the block tag {rule!r}",
        action='set finality = "confirmations:N", or take another node',
    )


def _no_logs(case: Case) -> Remark | None:
    if case.ability("logs").value is not False and case.ability("range").value is not False:
        return None
    said = case.ability("range").said or case.ability("logs").said
    return Remark(
        code="no_logs",
        grade=Grade.STOP,
        detail=f"it refuses eth_getLogs for a single block ({said})",
        action="take a node with logs",
    )


def _behind(case: Case) -> Remark | None:
    head = case.survey.head
    if head is None or case.best - head.number <= NEAR:
        return None
    return Remark(
        code="behind",
        grade=Grade.DOUBT,
        detail=f"it is {case.best - head.number:,} blocks behind the best node",
        action="see whether it still syncs",
    )


def _old(case: Case) -> Remark | None:
    head = case.survey.head
    if head is None or head.age_s <= case.chain.stale_after_s:
        return None
    return Remark(
        code="old_head",
        grade=Grade.DOUBT,
        detail=f"its newest block is {head.age_s:,.0f} s old, longer than `stale_after`",
        action="the chain stands still, or the node does not sync, or this machine's clock is wrong",
    )


def _clock(case: Case) -> Remark | None:
    head = case.survey.head
    if head is None:
        return None
    skew_s = head.skew_s or 0.0
    if abs(skew_s) > CLOCK_S:
        detail = f"its clock is {abs(skew_s):,.0f} s {'ahead of' if skew_s > 0 else 'behind'} this machine's"
    elif head.age_s < -CLOCK_S:
        detail = f"its newest block is {-head.age_s:,.0f} s in the future by this machine's clock"
    else:
        return None
    action = "set the clocks by NTP: ages and staleness are told by them"
    return Remark(code="clock", grade=Grade.DOUBT, detail=detail, action=action)


def _state(case: Case) -> Remark | None:
    found = case.ability("state")
    if not case.asks or not _lacks(found, case.start):
        return None
    return Remark(
        code="no_old_state",
        grade=Grade.LIMIT,
        detail=f"it has state {shown_depth(found, case.survey)}",
        action=f"to take in history from block {case.start:,} put an archive node beside it",
    )


def _old_logs(case: Case) -> Remark | None:
    found = case.ability("logs")
    if not _lacks(found, case.start):
        return None
    return Remark(
        code="no_old_logs",
        grade=Grade.LIMIT,
        detail=f"it gives logs {shown_depth(found, case.survey)}",
        action=f"to take in history from block {case.start:,} put another node beside it",
    )


def _narrow(case: Case) -> Remark | None:
    found = case.ability("range")
    if found.whole or not found.value or found.value >= NARROW:
        return None
    return Remark(
        code="narrow_range",
        grade=Grade.LIMIT,
        detail=f"it takes {found.value:,} blocks in one eth_getLogs",
        action="history takes many requests; another plan or node allows more",
    )


def _batches(case: Case) -> Remark | None:
    found = case.ability("batch")
    if found.whole or found.value is None or found.value >= FEW:
        return None
    return Remark(
        code="small_batches",
        grade=Grade.LIMIT,
        detail=f"it takes {found.value:,} requests in one batch" if found.value else "it takes no batches",
        action="headers cost a request each; follow near the head, or take another node for history",
    )


def _receipts(case: Case) -> Remark | None:
    if case.ability("receipts").value is not False:
        return None
    return Remark(
        code="no_receipts",
        grade=Grade.LIMIT,
        detail="it refuses eth_getBlockReceipts",
        action="completeness cannot be proven by receipts over it; another node of this chain may",
    )


def _slow(case: Case) -> Remark | None:
    seconds = case.survey.latency_s
    if seconds is None or seconds <= SLOW_S:
        return None
    return Remark(
        code="slow",
        grade=Grade.LIMIT,
        detail=f"it takes {seconds:.1f} s to answer",
        action="take a node that is nearer",
    )


def _limited(case: Case) -> Remark | None:
    if not case.survey.limited:
        return None
    return Remark(
        code="rate_limit",
        grade=Grade.LIMIT,
        detail=f"it limited the rate {case.survey.limited} times during {case.survey.requests} requests",
        action="add a node, or a plan with a higher rate",
    )


def _slot_history(case: Case) -> Remark | None:
    found = case.ability("history")
    if found.whole or found.value is None:
        return None
    return Remark(
        code="no_old_blocks",
        grade=Grade.LIMIT,
        detail=f"it keeps blocks from {found.value:,} on",
        action=f"to take in history from slot {case.start:,} put a node with the whole history beside it",
    )


def _signatures(case: Case) -> Remark | None:
    found = case.ability("signatures")
    if found.value is not False:
        return None
    return Remark(
        code="no_signatures",
        grade=Grade.STOP,
        detail=f"it refuses getSignaturesForAddress ({found.said})",
        action="take a node with transaction history",
    )


def _prices(case: Case) -> Remark | None:
    found = case.ability("prices")
    if found.value is not False:
        return None
    return Remark(
        code="no_price", grade=Grade.DOUBT, detail=str(found.said), action="check the feed_id of the [[feed]]"
    )


def _guardians(case: Case) -> Remark | None:
    if case.ability("signatures checked").value:
        return None
    return Remark(
        code="unverified",
        grade=Grade.DOUBT,
        detail="nobody checks who signed its prices",
        action="name the guardian_sets of this [[chain]]",
    )


EVM: tuple[Rule, ...] = (
    _finality,
    _no_logs,
    _behind,
    _clock,
    _old,
    _state,
    _old_logs,
    _narrow,
    _batches,
    _receipts,
    _slow,
    _limited,
)
SOLANA: tuple[Rule, ...] = (_signatures, _behind, _clock, _old, _slot_history, _batches, _slow, _limited)
PYTH: tuple[Rule, ...] = (_prices, _guardians, _behind, _old, _slow, _limited)
RULES = {"eip155": EVM, "solana": SOLANA, "pyth": PYTH}


def _lacks(found: Ability, start: int) -> bool:
    """Whether blocks from `start` on are known to be missing."""
    return found.value is not None and not found.whole and (found.value is False or found.value > start)


def shown_depth(found: Ability, survey: NodeSurvey) -> str:
    """Say how far back something is kept: from the first block that matters, so many blocks, or from a block on."""
    if found.value is None or survey.head is None:
        return "of unknown depth"
    if found.value is False:
        return "of no block"
    depth = survey.head.number - found.value + 1
    if found.whole:
        return "of every block"
    return f"of the last ~{depth:,} blocks only" if depth <= RECENT else f"from block ~{found.value:,} on only"
