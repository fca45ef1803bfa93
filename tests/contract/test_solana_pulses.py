"""Bytes by which changed accounts are found change with every change that real programs made in the recorded runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from chains.model import AccountBytes
from chains.registry import PROTOCOLS
from chains.solana.ports import AccountSet
from tests.contract.test_solana_lending_live import CASES, account_bytes, configured, samples_of

RUNS = Path(os.environ.get("CROSSMARGIN_SOLANA_RUNS", Path(__file__).parents[3] / "shared/fixtures/solana/runs"))
KLEND = [folder for folder in [*CASES, *sorted(RUNS.glob("klend/case-*"))] if folder.parent.name == "klend"]


def sets_of(folder: Path) -> list[AccountSet]:
    venue = configured(folder)
    return [each for each in import_module(PROTOCOLS[venue.protocol]).adapter(venue).sets if each.pulse]


def changes(folder: Path, wanted: AccountSet) -> Iterator[tuple[AccountBytes, AccountBytes]]:
    """Every change of an account of a set, between samples of two slots."""
    before: dict[str, AccountBytes] = {}
    for slot, _, changed in samples_of(folder):
        for name, account in changed.items():
            now = account_bytes(slot, account)
            if name in before and wanted.has(before[name]) and wanted.has(now) and before[name].data != now.data:
                yield before[name], now
            before[name] = now


@pytest.mark.parametrize("folder", KLEND, ids=lambda folder: f"{folder.parents[1].name}-{folder.name}")
def test_no_change_of_an_obligation_leaves_its_pulse_as_it_was(folder: Path) -> None:
    (wanted,) = sets_of(folder)
    assert wanted.pulse is not None
    place = slice(wanted.pulse[0], sum(wanted.pulse))
    found = list(changes(folder, wanted))

    assert len(found) > 5
    assert [(before, now) for before, now in found if before.data[place] == now.data[place]] == []


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.parent.name)
def test_programs_whose_accounts_change_without_a_sign_have_no_pulse(folder: Path) -> None:
    assert bool(sets_of(folder)) == (folder.parent.name == "klend")
