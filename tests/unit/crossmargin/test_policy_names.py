"""What a policy's pools name must be in the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossmargin.app import policy_of
from crossmargin.packaged import config
from crossmargin.settings import SettingsError, load
from tests.unit.crossmargin.test_settings import CHAIN, TOKEN, VENUE

ASSET = f'[[asset]]\nid = "eip155:1/erc20:{TOKEN}"\nclass = "major"\nsame_as = "ETH"\n'


def check(folder: Path, pool: str) -> None:
    shipped = config("policy.toml").read_text(encoding="utf-8")
    (folder / "policy.toml").write_text(f'{shipped}\n[[pool]]\nid = "main"\n{pool}', encoding="utf-8")
    (folder / "crossmargin.toml").write_text(f'[policy]\npath = "policy.toml"\n{CHAIN}{VENUE}{ASSET}', encoding="utf-8")
    policy_of(load(folder / "crossmargin.toml"))


@pytest.mark.parametrize(
    "pool",
    [
        "max_share = 0.5\n",
        'eligible = ["ETH", "stable"]\n[pool.cap_usd]\nETH = 1e6\nother = 1e5\n',
        '[pool.minimum_charge_usd]\n"eip155:1" = 50\n[[pool]]\nid = "a"\nkind = "isolated"\nvenues = ["aave"]\n',
    ],
)
def test_what_is_there_may_be_named(tmp_path: Path, pool: str) -> None:
    check(tmp_path, pool)


@pytest.mark.parametrize(
    "pool, complaint",
    [
        ('[[pool]]\nid = "a"\nkind = "isolated"\nvenues = ["avae3"]\n', r'"a" venues: unknown name "avae3"'),
        ('eligible = ["majors"]\n', 'eligible: unknown name "majors"; did you mean "major"'),
        ("[pool.cap_usd]\nEHT = 5\n", "cap_usd: unknown name"),
        ("[pool.max_share]\nstables = 0.5\n", 'did you mean "stable"'),
        ('[pool.minimum_charge_usd]\n"eip155:10" = 1\n', 'did you mean "eip155:1"'),
    ],
)
def test_what_is_not_there_is_refused(tmp_path: Path, pool: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        check(tmp_path, pool)
