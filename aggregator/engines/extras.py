"""What engines are that extras bring, and how they fail."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from indexer.store.errors import StoreError


class EngineMissing(StoreError):
    """The engine that was asked for is not installed here."""


class EngineFailed(StoreError):
    """The engine that was asked for ended without an answer."""


def engine(module: str, *, extra: str) -> Any:  # noqa: ANN401 - what an extra brings
    """Import what an extra of this distribution brings; raises `EngineMissing`."""
    try:
        return import_module(module)
    except ImportError as error:
        raise EngineMissing(f"{module} is not installed; pip install 'crossmargin[{extra}]'") from error
