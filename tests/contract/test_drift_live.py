"""Drift, served by a node: what the real adapter stores is valued as the bytes themselves are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.test_solana_lending_live import followed
from tests.support.drift_runs import venue
from tests.support.drift_story import story


@pytest.mark.parametrize("seed", [1, 2])
def test_what_the_adapter_stores_is_valued_as_the_bytes_are(seed: int, tmp_path: Path) -> None:
    assert followed(venue(), story(seed, 16), tmp_path) > 50
