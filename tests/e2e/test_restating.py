"""A venue that comes later, as its users see it: unknown until it is filled in, then known, and told of in the ledger."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.devnet.evm.chain import build
from tests.devnet.evm.vault import Custody, open_custody
from tests.support.product import chain_tables, crossmargin


def test_accounts_are_unknown_until_a_late_venue_is_filled_in(tmp_path: Path) -> None:
    with build(seed=4, actions=10) as net:
        custody = open_custody(net.ledger, chain_id=net.chain_id, seed=4, people=net.users[:4])
        custody.run(15)
        chain, owner = f"eip155:{net.chain_id}", custody.people[0]
        account = f"{chain}:{owner}"
        (tmp_path / "crossmargin.toml").write_text('[store]\npath = "late.duckdb"\n' + chain_tables(net))
        assert said(tmp_path, "index")["restated"] == []
        snapshot = said(tmp_path, "snapshot", "create")["snapshot"]
        (tmp_path / "crossmargin.toml").write_text(
            '[store]\npath = "late.duckdb"\n' + chain_tables(net) + vault_table(custody)
        )

        before = said(tmp_path, "health", account, code=3)
        asked_at = datetime.now(UTC).isoformat(timespec="seconds")
        missing = said(tmp_path, "status", code=3)["chains"][0]["incomplete"]
        filled = said(tmp_path, "index")["restated"]
        after = said(tmp_path, "health", account, code=None)
        again = said(tmp_path, "restate", "--chain", chain, "--venue", "vault", "--cause", "a test")["restated"]
        refused = crossmargin(tmp_path, "restate", "--chain", chain, "--venue", "volt")
        ledger = said(tmp_path, "snapshot", "list")["snapshots"]
        then = said(tmp_path, "health", account, "--known-at", asked_at, code=3)
        below = str(after["as_of"][chain]["block"] - 1)
        later = said(tmp_path, "snapshot", "create", "--at", below)["snapshot"]
        differing = said(tmp_path, "snapshot", "diff", snapshot, later)

    assert (before["status"], before["debt"]["raw"]) == ("unknown", None)
    assert "venue_filling" in {reason["code"] for reason in before["reasons"]}
    assert missing == [{"venue": "vault", "feed": None, "from_block": custody.vault.start_block}]
    assert [(line["interest"], line["changed"]) for line in filled] == [("venue:vault", True)]
    assert "venue_filling" not in {reason["code"] for reason in after["reasons"]}
    assert [(line["cause"], line["changed"], line["logs_added"]) for line in again] == [("a test", False, 0)]
    assert refused.returncode == 2
    assert "vault" in refused.stderr
    assert [(row["snapshot"], row["restated"]) for row in ledger] == [(snapshot, True)]
    assert then["document"]["status"] == "unknown"
    assert "status" in then["differing"]
    told = [(each["code"], each["subject"]) for each in then["causes"] if each["code"] == "restatement"]
    assert told == [("restatement", chain)]
    assert {("restatement", chain), ("other_block", chain), ("new_configuration", None)} <= {
        (each["code"], each["subject"]) for each in differing["causes"]
    }


def vault_table(custody: Custody) -> str:
    return f"""
[[venue]]
id = "vault"
protocol = "escrow"
chain = "eip155:{custody.chain_id}"
address = "{custody.vault.address}"
start_block = {custody.vault.start_block}
liabilities = "none"
"""


def said(folder: Path, *arguments: str, code: int | None = 0) -> dict[str, Any]:
    done = crossmargin(folder, *arguments, "--json", "-q")
    assert code is None or done.returncode == code, done.stderr
    return dict(json.loads(done.stdout))
