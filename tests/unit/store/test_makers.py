"""A store forgets which program made its rows when the rows are gone."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from indexer.steps import Forget, Restate, Rewind, Step
from indexer.store import Store
from tests.unit.store.builders import CHAIN, append, batch, block, finalize
from tests.unit.store.test_register import REGISTRY

OLD = 0


def gone(*, final: bool) -> Step:
    change = Forget(to=None)
    return (
        Restate(chain_id=CHAIN, cursor=block(5), cause="a fork", at=9, change=change)
        if final
        else Rewind(chain_id=CHAIN, to=None)
    )


@pytest.mark.parametrize("final", [False, True])
def test_what_is_stored_after_everything_was_undone_is_of_this_program(tmp_path: Path, *, final: bool) -> None:
    path = tmp_path / "store.duckdb"
    with Store.open(path) as store:
        store.register(REGISTRY)
        append(store, batch(1, 5))
        if final:
            finalize(store, 5)
    with duckdb.connect(path) as con:
        con.execute("UPDATE derived_by SET version = ?", [OLD])

    with Store.open(path) as store:
        with store.reading() as reader:
            assert set(reader.makers().values()) == {OLD}
        store.apply(gone(final=final))
        with store.reading() as reader:
            kept = {interest: version for (chain, interest), version in reader.makers().items() if chain == CHAIN}

    assert len(kept) > 1
    assert OLD not in kept.values()
