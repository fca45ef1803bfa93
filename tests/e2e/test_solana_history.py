"""A lending venue on Solana with the history of its transactions: from the configuration to what analysts read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chains.identifiers import base58
from tests.devnet.solana.server import Server
from tests.e2e.test_solana_lending import configuration
from tests.support.history_net import FIRST, RecordedNet
from tests.support.history_runs import GOLDEN, Journals, load, runs, seen_of, steps
from tests.support.product import crossmargin

RUNS = {name: folder for name, folder in runs().items() if GOLDEN in folder.parents}


@pytest.mark.parametrize("folder", RUNS.values(), ids=list(RUNS))
def test_history_names_its_transactions(folder: Path, tmp_path: Path) -> None:
    net, journals = RecordedNet(load(folder)), Journals(load(folder).venue)
    for step in net.steps():
        net.play(step)
    for slot, said, changed in steps(net.run):
        journals.take(said, seen_of(slot, changed))
    with Server(net.ledger) as node:
        (tmp_path / "crossmargin.toml").write_text(configuration(net.venue, net.chain_id, FIRST, node.url))
        indexed = crossmargin(tmp_path, "index", "--until", "latest")
    assert indexed.returncode == 0, indexed.stderr

    question = (
        "SELECT tx_hash, transaction_type, owner_address, CAST(amount_raw AS VARCHAR) AS amount_raw, basis,"
        " extra ->> '$.account' AS account FROM public.lending_event ORDER BY block_number, evt_index"
    )
    said = json.loads(crossmargin(tmp_path, "sql", question, "--json").stdout)
    assert sorted(map(tuple, said["rows"]), key=repr) == sorted(
        (
            (base58(e.tx_hash), e.kind, base58(e.owner), str(e.amount_raw), "exact", json.loads(e.extra)["account"])
            for e in journals.rows.events
        ),
        key=repr,
    )
    liquidated = json.loads(crossmargin(tmp_path, "sql", "FROM public.lending_liquidation", "--json").stdout)
    assert len(liquidated["rows"]) == sum(event.kind == "liquidation" for event in journals.rows.events) > 3
    status = json.loads(crossmargin(tmp_path, "status", "--json").stdout)
    interests = {each["interest"] for chain in status["chains"] for each in chain["coverage"]}
    assert "history:lending" in interests


def test_a_word_that_is_no_history_is_refused(tmp_path: Path) -> None:
    net = RecordedNet(load(next(iter(RUNS.values()))))
    text = configuration(net.venue, net.chain_id, FIRST, "http://127.0.0.1:1")
    (tmp_path / "crossmargin.toml").write_text(text.replace('"transactions"', '"everything"'))

    refused = crossmargin(tmp_path, "check")

    assert refused.returncode != 0
    assert "history 'everything' is not known; use transactions or looks" in refused.stderr + refused.stdout
