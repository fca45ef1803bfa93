"""How far chains are that nobody follows: what is old by this machine's clock is told as stale."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossmargin.app import policy_of
from crossmargin.local_desk import LocalDesk
from crossmargin.server.web.frame import written
from crossmargin.server.web.markets import chains
from crossmargin.settings import load
from indexer.store import MEMORY, Store
from tests.unit.store.builders import CHAIN, append, batch, block


@pytest.mark.parametrize("age_s, is_stale", [(60, False), (61, True)])
def test_a_chain_that_nobody_follows_is_stale_once_its_last_block_is_old(
    tmp_path: Path,
    age_s: int,
    is_stale: bool,  # noqa: FBT001
) -> None:
    path = tmp_path / "crossmargin.toml"
    path.write_text(f'[[chain]]\nid = "{CHAIN}"\nrpc = ["http://127.0.0.1:1"]\n', encoding="utf-8")
    settings = load(path, {})
    with Store.open(MEMORY) as store:
        append(store, batch(1, 30))
        status = LocalDesk(settings, store, policy_of(settings), clock=lambda: block(30).time + age_s).status()

    page = written(chains(status)).decode()

    assert [(chain["state"], chain["stale"]) for chain in status["chains"]] == [("stored", is_stale)]
    assert (">stale: not being followed<" in page, ">yes<" in page) == (is_stale, not is_stale)
