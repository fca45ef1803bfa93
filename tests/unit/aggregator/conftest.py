"""Registers the toy protocol of `builders.py` for every test of this room."""

from __future__ import annotations

import pytest

from chains import registry


@pytest.fixture(autouse=True)
def toy_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.PROTOCOLS, "toy", "tests.unit.aggregator.builders")
