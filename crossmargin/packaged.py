"""Data that ships with the program: `config/` of a checkout is `crossmargin/config/` of the wheel."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
RECORDINGS = HERE / "demo" / "recordings"
PROGRAM_VERSION_OF = "crossmargin"


def config(name: str) -> Path:
    """Return a file of `config/`."""
    inside = HERE / "config" / name
    return inside if inside.exists() else HERE.parent / "config" / name


def recordings() -> list[Path]:
    """Return the recorded EVM chains of the demonstration, by name."""
    return sorted(RECORDINGS.glob("chain-*.json.gz"))


def solana_recordings() -> list[Path]:
    """Return the recorded Solana chains of the demonstration, by name."""
    return sorted(RECORDINGS.glob("solana-*.json.gz"))


def program_version() -> str:
    """Return the version of this program."""
    return version(PROGRAM_VERSION_OF)
