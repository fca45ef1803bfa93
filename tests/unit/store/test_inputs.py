"""Stored inputs do not grow without bound."""

from __future__ import annotations

import pytest

from indexer.store import MEMORY, Store, ledger


def test_of_too_many_inputs_the_oldest_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "INPUTS_KEPT", 3)
    monkeypatch.setattr(ledger, "PRUNED_AT_ONCE", 2)

    with Store.open(MEMORY) as store:
        for number in range(6):
            store.save_input(f"sha256:{number}", "acme", str(number))
        kept = [number for number in range(6) if store.load_input(f"sha256:{number}") is not None]

    assert kept == [3, 4, 5]
