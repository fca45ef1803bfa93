"""A client of the HTTP API: `Client` for asyncio, `SyncClient` for everybody else.

Documents are what the API answers, as dictionaries: numbers are decimal strings, `None` is not known and never zero.
"""

from __future__ import annotations

from crossmargin.client.client import Client, Event
from crossmargin.client.errors import (
    Busy,
    Forbidden,
    Forgotten,
    NotFound,
    NotStored,
    Problem,
    TooMany,
    Unauthorized,
    Unreachable,
    Usage,
)
from crossmargin.client.sync import SyncClient

__all__ = [
    "Busy",
    "Client",
    "Event",
    "Forbidden",
    "Forgotten",
    "NotFound",
    "NotStored",
    "Problem",
    "SyncClient",
    "TooMany",
    "Unauthorized",
    "Unreachable",
    "Usage",
]
