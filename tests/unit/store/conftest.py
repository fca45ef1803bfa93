"""A store in memory for tests that need no file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from indexer.store import MEMORY, Store


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open(MEMORY) as opened:
        yield opened
