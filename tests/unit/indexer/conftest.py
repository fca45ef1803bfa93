"""A store in memory, and retries that do not wait."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from indexer import loop
from indexer.store import MEMORY, Store


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open(MEMORY) as opened:
        yield opened


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "PAUSE_S", 0.001)
