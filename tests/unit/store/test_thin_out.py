"""Which backups are removed: never the one that was just made, and never half of one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from indexer.store.backup import Backup, BackupBroken, thin_out


def made(folder: Path, name: str, made_at: object) -> Path:
    place = folder / name
    place.mkdir()
    paper = {"format": 1, "made_at": made_at, "schema": 1, "tables": {}, "chains": {}, "bytes": 0, "sha256": ""}
    (place / "backup.json").write_text(json.dumps(paper))
    return place


def test_the_one_just_made_stays_though_others_are_of_the_future(tmp_path: Path) -> None:
    for name, time in (("old", 1), ("future", 99), ("new", 5)):
        made(tmp_path, name, time)
    (tmp_path / "something").mkdir()

    assert [each.name for each in thin_out(tmp_path, 2, newest="new")] == ["old"]
    assert [each.name for each in thin_out(tmp_path, 1, newest="new")] == ["future"]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["new", "something"]


def test_papers_and_folders_that_are_none_are_left_alone(tmp_path: Path) -> None:
    strange = made(tmp_path, "strange", "yesterday")
    elsewhere = made(tmp_path, "elsewhere", 1)
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "linked").symlink_to(elsewhere)

    with pytest.raises(BackupBroken, match="is not the paper of a backup"):
        Backup.read(strange)
    assert thin_out(tmp_path / "inside", 1, newest="new") == []
    assert [each.name for each in thin_out(tmp_path, 1, newest="new")] == ["elsewhere"]
    assert strange.exists()
