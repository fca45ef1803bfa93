"""What engines are that extras bring, what they return, and how they fail."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from aggregator.risk.tallies import Tallies
from indexer.store.errors import StoreError


class EngineMissing(StoreError):
    """The engine that was asked for is not installed here."""


class EngineFailed(StoreError):
    """The engine that was asked for ended without an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """The version of the engine that ran, and what all parts came to."""

    version: str
    tallies: Tallies


def engine(module: str, *, extra: str) -> Any:  # noqa: ANN401 - what an extra brings
    """Import what an extra of this distribution brings; raises `EngineMissing`."""
    try:
        return import_module(module)
    except ImportError as error:
        raise EngineMissing(f"{module} is not installed; pip install 'crossmargin[{extra}]'") from error
