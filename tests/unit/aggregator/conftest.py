"""Registers the toy protocol of `builders.py` for every test of this room."""

from __future__ import annotations

import pytest

from chains import registry


@pytest.fixture(autouse=True)
def toy_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    """An escrow's arithmetic is that of `chains.escrow` on every chain; the folds of the families are not needed here."""
    monkeypatch.setitem(registry.PROTOCOLS, "toy", "tests.unit.aggregator.builders")
    monkeypatch.setitem(registry.PROTOCOLS, "escrow", "chains.escrow")
    monkeypatch.setitem(registry.PROTOCOLS, "spl-escrow", "chains.escrow")
