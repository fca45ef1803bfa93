"""Messages of bridges that somebody imports: which are taken in, and what is known.

An import is taken in when all of this holds of each of its rows, else `UsageError`, and nothing is entered:

1. its chains differ, its sender is on the one and its recipient and asset are on the other;
2. its amount is positive and fits, and it was not sent in the future;
3. it has a `delivered_block` if and only if it is delivered;
4. it comes once.

A row may have `evidence`: the message itself and what proves it (JSON, see docs/snapshots.md). An import whose evidence says something else
than its row, or is not believed, is refused; what is not configured or not known here leaves it at grade D. What was proven once is held
against what is said later.

What is said of a message again is entered if it differs; a message never goes back, so that what is there already is not seen as on its
way once more: rows of an earlier state than is known are left out, and counted as `older`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aggregator.audit.message_verifier import NOBODY, Fault, Trust, judged
from aggregator.audit.messages import evidence_text
from aggregator.audit.messages import row as written_row
from chains.identifiers import IdentifierError, parse_account, parse_asset, parse_chain
from crossmargin.documents import Document, harmless, moment
from crossmargin.errors import UsageError
from crossmargin.imports import digest_of, source_of
from crossmargin.watch import Clock
from indexer.store import DELIVERED, STATES, Reader, Store, TransferRow

EARLY_S = 300
"""How far ahead of this machine's clock another one may be."""

LONGEST = 200
"""Characters of a message's id and of a transaction's."""

LARGEST_AMOUNT = 10**38 - 1
MOST_DECIMALS = 38
LAST_BLOCK = 2**63 - 1

COLUMNS = (
    "protocol",
    "message",
    "source_chain",
    "destination_chain",
    "asset",
    "amount_raw",
    "decimals",
    "sender",
    "recipient",
    "sent_at",
    "source_tx",
    "state",
)
DELIVERED_BLOCK = "delivered_block"
EVIDENCE = "evidence"
LARGEST_EVIDENCE = 1_000_000
"""Characters of the evidence of one message."""

_PROTOCOL = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_HEX = re.compile(r"0[xX][0-9a-fA-F]+")


class Transfers:
    """Takes in messages of bridges and tells what is known."""

    def __init__(self, store: Store, clock: Clock, trust: Trust = NOBODY) -> None:
        self._store = store
        self._clock = clock
        self._trust = trust

    def take_in(self, said: Document) -> Document:
        """Enter messages: {source, rows: [{protocol, message, …}]}, all or nothing."""
        source, now = source_of(said.get("source")), int(self._clock())
        given = said.get("rows")
        if not isinstance(given, list) or not given:
            raise UsageError("there is no message in it")
        digest = digest_of([source, given])
        rows = [_row(row, f"row {place}", source, now, digest) for place, row in enumerate(given, start=1)]
        _check_once(rows)
        with self._store.reading() as reader:
            held = {row.key: row.evidence for row in reader.transfers()}
            rows = [self._judged(reader, row, held.get(row.key)) for row in rows]
        with self._store.transfers() as ledger:
            there = {row.key: row for row in ledger.rows()}
            ahead = [row for row in rows if row.key not in there or _step(row) >= _step(there[row.key])]
            fresh = [row for row in ahead if _said(there.get(row.key)) != _said(row)]
            ledger.add(fresh)
        changed = sum(row.key in there for row in fresh)
        return {
            "source": source,
            "rows": len(rows),
            "new": len(fresh) - changed,
            "changed": changed,
            "older": len(rows) - len(ahead),
            "import": digest,
        }

    def _judged(self, reader: Reader, row: TransferRow, held: str | None) -> TransferRow:
        """Say how sure a message is by its own evidence, or by what is held of it already; raises `UsageError`."""

        def known(chain: str, number: int, hashed: bytes) -> bool:
            block = reader.block(chain, number)
            if block is not None and block.hash != hashed:
                raise Fault(f"block {number} of {chain} is another one here")
            return block is not None

        evidence = row.evidence or held
        try:
            found = judged(written_row(row), None if evidence is None else json.loads(evidence), self._trust, known)
        except Fault as error:
            told = harmless(str(error), longest=LONGEST)
            raise UsageError(f"{row.protocol} {row.message}: its evidence is not of what is said: {told}") from error
        return row._replace(evidence=evidence, grade=found.grade, checked=found.why)

    def listing(self, reader: Reader) -> Document:
        """Return the last that was said of every message."""
        return {"transfers": [_line(row) for row in reader.transfers()]}


def _row(given: object, place: str, source: str, now: int, digest: str) -> TransferRow:
    if not isinstance(given, Mapping):
        raise UsageError(f"{place}: must be a table with {', '.join(COLUMNS)}")
    told = {name: _text(given.get(name), place, name) for name in COLUMNS}
    try:
        sender, recipient = parse_account(told["sender"]), parse_account(told["recipient"])
        asset = parse_asset(told["asset"])
        chains = parse_chain(told["source_chain"]), parse_chain(told["destination_chain"])
    except IdentifierError as error:
        raise UsageError(f"{place}: {harmless(str(error), longest=LONGEST)}") from error
    _check_chains(place, chains, sender.chain_id, recipient.chain_id, asset.chain_id)
    state = _one_of(told["state"], place)
    return TransferRow(
        protocol=_protocol(told["protocol"], place),
        message=_id(told["message"]),
        source_chain=chains[0],
        destination_chain=chains[1],
        asset=str(asset),
        amount_raw=_whole(told["amount_raw"], place, "amount_raw", least=1, most=LARGEST_AMOUNT),
        decimals=_whole(told["decimals"], place, "decimals", least=0, most=MOST_DECIMALS),
        sender=str(sender),
        recipient=str(recipient),
        sent_at=_time(told["sent_at"], place, now),
        source_tx=_id(told["source_tx"]),
        state=state,
        delivered_block=_delivered(given.get(DELIVERED_BLOCK), state, place),
        source=source,
        imported_at=now,
        digest=digest,
        evidence=_evidence(given.get(EVIDENCE), place),
    )


def _evidence(said: object, place: str) -> str | None:
    if said is None or said == "":
        return None
    try:
        found = evidence_text(said)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{place}: {EVIDENCE} must be an object in JSON") from error
    if len(found) > LARGEST_EVIDENCE:
        raise UsageError(f"{place}: {EVIDENCE} has more than {LARGEST_EVIDENCE:,} characters")
    return found


def _text(value: object, place: str, name: str) -> str:
    """Read a cell; whole numbers are as good as their digits."""
    written = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(written, str) or not written.strip():
        raise UsageError(f"{place}: {name} is missing")
    if len(written) > LONGEST or harmless(written) != written:
        raise UsageError(f"{place}: {name} must be one line of at most {LONGEST} characters")
    return written.strip()


def _check_chains(place: str, chains: tuple[str, str], sender: str, recipient: str, asset: str) -> None:
    left, reached = chains
    if left == reached:
        raise UsageError(f"{place}: it leaves {left} and arrives there too; a transfer is between two chains")
    if sender != left:
        raise UsageError(f"{place}: the sender is on {sender}, and it leaves {left}")
    if recipient != reached or asset != reached:
        raise UsageError(
            f"{place}: recipient and asset must be on {reached}, where it arrives (not {recipient}, {asset})"
        )


def _protocol(word: str, place: str) -> str:
    if not _PROTOCOL.fullmatch(word):
        raise UsageError(f'{place}: protocol must be a word such as "wormhole", "layerzero" or "cctp", not {word!r}')
    return word


def _id(text: str) -> str:
    """Write hex in one way, so that one message has one name."""
    return text.lower() if _HEX.fullmatch(text) else text


def _one_of(state: str, place: str) -> str:
    if state not in STATES:
        raise UsageError(f"{place}: state must be one of {', '.join(STATES)}, not {state!r}")
    return state


def _whole(text: object, place: str, name: str, *, least: int, most: int) -> int:
    written = str(text)
    number = int(written) if len(written) <= LONGEST and re.fullmatch(r"[0-9]+", written) else None
    if number is None or not least <= number <= most:
        raise UsageError(f"{place}: {name} must be a whole number from {least} to {most}, not {written[:60]!r}")
    return number


def _time(text: str, place: str, now: int) -> int:
    wanted = f"{place}: sent_at must be a moment with its time zone such as 2026-11-28T12:00:00Z, not {text!r}"
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(wanted) from error
    if found.tzinfo is None or found.year < 2009:  # noqa: PLR2004 - before that there was no chain
        raise UsageError(wanted)
    if found.timestamp() > now + EARLY_S:
        raise UsageError(
            f"{place}: sent at {text}, and here it is {moment(now)}; what was not sent yet is not on its way"
        )
    return int(found.astimezone(UTC).timestamp())


def _delivered(value: object, state: str, place: str) -> int | None:
    said = value is not None and value != ""
    if said != (state == DELIVERED):
        raise UsageError(
            f"{place}: {DELIVERED_BLOCK} is the block of the destination in which it arrived: of what is delivered, and of nothing else"
        )
    return _whole(value, place, DELIVERED_BLOCK, least=0, most=LAST_BLOCK) if said else None


def _check_once(rows: Sequence[TransferRow]) -> None:
    for (protocol, message), times in Counter(row.key for row in rows).items():
        if times > 1:
            raise UsageError(f"{protocol} {message} comes {times} times; say one thing of a message")


def _step(row: TransferRow) -> int:
    return STATES.index(row.state)


def _said(row: TransferRow | None) -> tuple[Any, ...] | None:
    """Return what a row says, without when and by which import."""
    if row is None:
        return None
    return *row[: TransferRow._fields.index("imported_at")], row.evidence, row.grade, row.checked


def _line(row: TransferRow) -> Mapping[str, Any]:
    return {
        "protocol": row.protocol,
        "message": row.message,
        "source_chain": row.source_chain,
        "destination_chain": row.destination_chain,
        "asset": row.asset,
        "amount_raw": str(row.amount_raw),
        "decimals": row.decimals,
        "sender": row.sender,
        "recipient": row.recipient,
        "sent_at": moment(row.sent_at),
        "source_tx": row.source_tx,
        "state": row.state,
        "delivered_block": row.delivered_block,
        "source": row.source,
        "imported_at": moment(row.imported_at),
        "said_before": row.said_before,
        "evidence": row.grade,
        "checked": row.checked or None,
    }
