"""Stored inputs do not grow without bound."""

from __future__ import annotations

from threading import Thread

import pytest

from indexer.store import MEMORY, Store, ledger


def test_of_too_many_inputs_the_oldest_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "INPUTS_KEPT", 3)
    monkeypatch.setattr(ledger, "PRUNED_AT_ONCE", 2)

    with Store.open(MEMORY) as store:
        for number in range(6):
            store.save_sent({f"sha256:{number}": ("acme", str(number))}, ())
        kept = [number for number in range(6) if store.load_input(f"sha256:{number}") is not None]

    assert kept == [3, 4, 5]


def test_inputs_are_kept_while_a_step_is_applied() -> None:
    with Store.open(MEMORY) as store:
        keeping = Thread(target=store.save_sent, args=({"sha256:1": ("acme", "1")}, ()))
        with store._writing():
            keeping.start()
            keeping.join(timeout=30)
            kept = store.load_input("sha256:1")

    assert kept == "1"
