"""Who asks that a snapshot be verified, which may take minutes, keeps no service from ending."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from crossmargin import verification
from crossmargin.errors import Busy
from crossmargin.verification import Verification


async def test_what_is_being_verified_ends_with_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = tmp_path / "begun"
    monkeypatch.setattr(verification, "START", f"import time; open({str(begun)!r}, 'w').close(); time.sleep(3600)")
    apart = Verification()
    asked = asyncio.create_task(asyncio.to_thread(apart.verify, tmp_path, key=None, witnesses=[], recompute=False))
    while not begun.exists():  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(0.01)

    apart.close()

    with pytest.raises(Busy, match="the service ends"):
        await asked
    with pytest.raises(Busy, match="the service ends"):
        await asyncio.to_thread(apart.verify, tmp_path, key=None, witnesses=[], recompute=False)
