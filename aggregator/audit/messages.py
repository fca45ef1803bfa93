"""Messages of bridges that are on their way at a cut, as a table of a snapshot that `verify_messages.py` checks by itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import rfc8785

from aggregator.audit import message_verifier
from aggregator.audit.lines import Row
from aggregator.audit.message_verifier import Trust
from chains.identifiers import hexed
from indexer.store.transfers import TransferRow

MESSAGES = message_verifier.MESSAGES
TEXT, INTEGER = pa.string(), pa.int64()
SCHEMA: Mapping[str, pa.DataType] = {
    "protocol": TEXT,
    "message": TEXT,
    "source_chain": TEXT,
    "destination_chain": TEXT,
    "asset": TEXT,
    "amount_raw": TEXT,
    "decimals": INTEGER,
    "sender": TEXT,
    "recipient": TEXT,
    "sent_at": INTEGER,
    "source_tx": TEXT,
    "state": TEXT,
    "source": TEXT,
    "grade": TEXT,
    "checked": TEXT,
    "evidence": TEXT,
}


def rows(sent: Iterable[TransferRow]) -> Iterator[Row]:
    """Write them, a row a message; of those that arrived after the cut `state` is what is known by now."""
    yield from map(row, sent)


def row(each: TransferRow) -> dict[str, Any]:
    """Write what is said of one message, as `message_verifier.judged` takes it."""
    return {name: getattr(each, name) for name in SCHEMA} | {
        "amount_raw": str(each.amount_raw),
        "checked": each.checked or None,
    }


def written(trust: Trust) -> str:
    """Write whom to believe as `message_verifier.trust_in` reads it: canonical JSON."""
    sets = [
        {"index": index, "addresses": [hexed(address) for address in addresses], "until": until}
        for index, (addresses, until) in sorted(trust.guardians.items())
    ]
    bridges = [
        each._asdict()
        | {
            "number": str(each.number),
            "address": hexed(each.address),
            "tokens": [
                {"via": via.replace("/", "/0x"), "asset": asset, "shared_decimals": shared}
                for via, (asset, shared) in sorted(each.tokens.items())
            ],
        }
        for each in trust.bridges
    ]
    return rfc8785.dumps({"guardian_sets": sets, "bridges": bridges}).decode()


def evidence_text(said: object) -> str:
    """Write the evidence of a message, an object or its text, in canonical JSON; raises `ValueError` for anything else."""
    found = json.loads(said) if isinstance(said, str) else said
    if not isinstance(found, dict):
        raise ValueError("must be an object")  # noqa: TRY004 - as with any other text
    return rfc8785.dumps(found).decode()
