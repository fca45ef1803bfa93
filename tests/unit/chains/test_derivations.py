"""What rows of an earlier version lack is all that changed since, and its remedy the strongest that any of it needs."""

from __future__ import annotations

import pytest

from chains.derivations import UNRECORDED, Change, Lack, Remedy, lack_of, version_of
from chains.registry import PROTOCOLS, derivation_changes, feed_changes

CHANGES = (Change("caps", Remedy.RESTATE), Change("dust", Remedy.REBUILD))


def test_each_change_is_a_version() -> None:
    assert [version_of(CHANGES[:count]) for count in range(3)] == [1, 2, 3]
    assert all(version_of(derivation_changes(protocol)) >= 1 for protocol in PROTOCOLS)
    assert version_of(feed_changes("eip155:1")) >= 1 <= version_of(feed_changes("solana:x"))
    assert version_of(feed_changes("pyth:mainnet")) >= 0


@pytest.mark.parametrize(
    "version, reread, lack",
    [
        (3, True, None),
        (2, True, Lack(("dust",), Remedy.REBUILD)),
        (2, False, Lack(("dust",), Remedy.REBUILD)),
        (1, True, Lack(("caps", "dust"), Remedy.RESTATE)),
        (1, False, Lack(("caps", "dust"), Remedy.ANEW)),
    ],
)
def test_what_is_lacking_and_what_mends_it(version: int, reread: bool, lack: Lack | None) -> None:  # noqa: FBT001
    assert lack_of(CHANGES, version, reread=reread) == lack


def test_rows_of_before_versions_were_kept_may_lack_anything() -> None:
    evm, solana = (lack_of((), UNRECORDED, reread=reread) for reread in (True, False))

    assert evm is not None
    assert solana is not None
    assert (evm.remedy, solana.remedy) == (Remedy.RESTATE, Remedy.ANEW)
