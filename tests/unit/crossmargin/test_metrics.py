"""What Prometheus reads: counters that only grow, gauges of now, and nothing that was not seen."""

from __future__ import annotations

from typing import Any

import pytest

from chains.errors import NodeBusy
from chains.model import Block, Finality
from chains.ports import Exchange, Head
from crossmargin.server.metrics import Metrics
from crossmargin.traffic import Counted
from indexer.loop import Progress

CHAIN = "eip155:1"
NODE = "node 1 (node.example)"
LABEL = '{chain="eip155:1"}'


def progress(first: int, last: int, **seconds: float) -> Progress:
    return Progress(chain_id=CHAIN, first=first, indexed=last, target=99, records=40, rows=30, seconds=seconds)


def status(**chain: Any) -> dict[str, Any]:
    standing = {
        "chain": CHAIN,
        "indexed": {"block": 90, "hash": "0x", "time": ""},
        "lag_seconds": 12,
        "lag_blocks": 9,
        "finalized_block": 30,
        "coverage": [],
        "audited": [],
    }
    return {"chains": [standing | chain], "last_snapshot_at": None}


def rendered(metrics: Metrics, document: dict[str, Any] | None = None) -> dict[str, float]:
    """Every sample by its name and labels."""
    text = metrics.render(document or status(), {"prices": []}).decode()
    samples = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in samples}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics([CHAIN])


def test_batches_are_counted_by_blocks_records_and_rows(metrics: Metrics) -> None:
    metrics.appended(progress(0, 49, fetch=1.0, fold=0.5, store=0.02))
    metrics.appended(progress(50, 90, fetch=0.5, fold=0.25, store=0.2))

    found = rendered(metrics)
    assert found[f"crossmargin_blocks_total{LABEL}"] == 91
    assert found[f"crossmargin_records_total{LABEL}"] == 80
    assert found[f"crossmargin_rows_total{LABEL}"] == 60
    assert found['crossmargin_stage_seconds_total{chain="eip155:1",stage="fetch"}'] == 1.5
    assert found['crossmargin_stage_seconds_total{chain="eip155:1",stage="fold"}'] == 0.75
    assert found[f"crossmargin_commit_seconds_count{LABEL}"] == 2
    assert found['crossmargin_commit_seconds_bucket{chain="eip155:1",le="0.025"}'] == 1


def test_heads_lags_and_finality_are_those_of_now(metrics: Metrics) -> None:
    block = Block(number=99, hash=b"", parent_hash=b"", time=0)
    metrics.polled(CHAIN, Head(latest=block, settled=30, finality=Finality.FINALIZED))

    found = rendered(metrics)
    assert found[f"crossmargin_head_block{LABEL}"] == 99
    assert found[f"crossmargin_indexed_block{LABEL}"] == 90
    assert found[f"crossmargin_finalized_block{LABEL}"] == 30
    assert found[f"crossmargin_lag_blocks{LABEL}"] == 9
    assert found[f"crossmargin_lag_seconds{LABEL}"] == 12


def test_what_was_not_seen_has_no_sample(metrics: Metrics) -> None:
    unknown = status(indexed=None, lag_seconds=None, lag_blocks=None, finalized_block=None)

    found = rendered(metrics, unknown)

    gauges = ("head_block", "indexed_block", "finalized_block", "lag_blocks", "lag_seconds")
    assert [name for name in gauges if f"crossmargin_{name}{LABEL}" in found] == []
    assert found[f"crossmargin_reorgs_total{LABEL}"] == 0


def test_rewinds_are_counted_with_their_depth(metrics: Metrics) -> None:
    metrics.rewound(CHAIN, 3, 87)
    metrics.rewound(CHAIN, 1, 89)

    found = rendered(metrics)
    assert found[f"crossmargin_reorgs_total{LABEL}"] == 2
    assert found[f"crossmargin_reorg_depth_sum{LABEL}"] == 4
    assert found['crossmargin_reorg_depth_bucket{chain="eip155:1",le="1.0"}'] == 1


def test_evidence_is_a_level_and_what_is_short_of_it_a_number(metrics: Metrics) -> None:
    coverage = [
        {"interest": "venue:aave", "weakest": "totals", "unproven_blocks": 0, "findings": []},
        {"interest": "feeds", "weakest": "fetched", "unproven_blocks": 31, "findings": [{}, {}]},
        {"interest": "venue:new", "weakest": None, "unproven_blocks": 0, "findings": []},
        {"interest": "venue:spl", "weakest": "balances", "unproven_blocks": 0, "findings": []},
    ]

    found = rendered(metrics, status(coverage=coverage))

    about = 'chain="eip155:1",interest='
    levels = {name: value for name, value in found.items() if name.startswith("crossmargin_evidence_level")}
    assert levels == {
        f'crossmargin_evidence_level{{{about}"venue:aave"}}': 2,
        f'crossmargin_evidence_level{{{about}"feeds"}}': 0,
    }
    assert found[f'crossmargin_unproven_blocks{{{about}"feeds"}}'] == 31
    assert found[f'crossmargin_findings{{{about}"feeds"}}'] == 2
    assert found[f'crossmargin_findings{{{about}"venue:aave"}}'] == 0


def test_faults_of_nodes_are_counted_by_kind(metrics: Metrics) -> None:
    for _ in range(2):
        metrics.nodes.of(CHAIN).failed("node 1 (host)", NodeBusy("busy"))

    assert rendered(metrics)['crossmargin_node_errors_total{chain="eip155:1",kind="NodeBusy"}'] == 2


def exchange(method: str = "eth_getLogs", **other: Any) -> Exchange:
    facts: dict[str, Any] = {
        "node": NODE,
        "method": method,
        "requests": 1,
        "outcome": "answered",
        "seconds": 0.02,
        "received": 100,
    }
    return Exchange(**(facts | other))


def test_calls_to_nodes_are_counted_by_method_and_outcome_with_bytes_and_time(metrics: Metrics) -> None:
    told = metrics.nodes.of(CHAIN)
    told.exchanged(exchange())
    told.exchanged(exchange(outcome="NodeLimits", received=7))
    told.exchanged(exchange("eth_getBlockByNumber", requests=500, received=900))

    found = rendered(metrics)
    rpc = "crossmargin_rpc"
    assert found[f'{rpc}_requests_total{{chain="eip155:1",method="eth_getLogs",outcome="answered"}}'] == 1
    assert found[f'{rpc}_requests_total{{chain="eip155:1",method="eth_getLogs",outcome="NodeLimits"}}'] == 1
    assert found[f'{rpc}_requests_total{{chain="eip155:1",method="eth_getBlockByNumber",outcome="answered"}}'] == 500
    assert found[f"{rpc}_received_bytes_total{LABEL}"] == 1_007
    assert found[f'{rpc}_seconds_count{{chain="eip155:1",method="eth_getBlockByNumber"}}'] == 1


def test_a_node_is_in_use_from_its_first_answer_until_it_turns(metrics: Metrics) -> None:
    told = metrics.nodes.of(CHAIN)
    told.exchanged(exchange())
    states = [_states(metrics)]
    for state in ("set_aside", "on_trial", "in_use"):
        told.turned(NODE, state)
        told.exchanged(exchange())
        states.append(_states(metrics))

    assert states == [{"in_use"}, {"set_aside"}, {"on_trial"}, {"in_use"}]


def _states(metrics: Metrics) -> set[str]:
    return {
        name.rpartition('state="')[2].rstrip('"}')
        for name, value in rendered(metrics).items()
        if name.startswith("crossmargin_node_state{") and value == 1
    }


def test_traffic_is_counted_for_each_chain_by_itself() -> None:
    counted = Counted()
    counted.of(CHAIN).exchanged(exchange(requests=500))
    counted.of("eip155:10").exchanged(exchange())
    counted.of(CHAIN).exchanged(exchange(received=1))

    assert (counted.requests(CHAIN), counted.received(CHAIN)) == (501, 101)
    assert (counted.requests("eip155:10"), counted.received("eip155:10")) == (1, 100)
