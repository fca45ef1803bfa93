"""Drift, from the configuration to the health document: accounts served by a node."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.test_solana_lending import compared
from tests.support.drift_runs import venue
from tests.support.drift_story import story


def test_every_sub_account_has_the_program_s_own_numbers(tmp_path: Path) -> None:
    assert compared(venue(), story(3, 4, plain=True), tmp_path) == 8
