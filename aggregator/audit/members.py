"""The messages by which wallets are members of accounts, as a table of a snapshot that `verify_members.py` checks by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import pyarrow as pa

from aggregator.audit import member_verifier
from aggregator.audit.lines import Row

MEMBERS = member_verifier.MEMBERS
TEXT = pa.string()
SCHEMA: Mapping[str, pa.DataType] = {
    "account": TEXT,
    "digest": TEXT,
    "wallet": TEXT,
    "action": TEXT,
    "scheme": TEXT,
    "received_at": pa.int64(),
    "envelope": TEXT,
}


class Signed(NamedTuple):
    """A message that was taken in, at `received_at` (Unix seconds): `envelope` as it came, `None` where the operator says it himself."""

    account: str
    digest: str
    wallet: str
    action: str
    scheme: str
    received_at: int
    envelope: str | None


def rows(messages: Iterable[Signed]) -> Iterator[Row]:
    """Write them, a row a message."""
    yield from (message._asdict() for message in messages)
