"""Asking an indexer for rows: one question and its answer, whole and of this version."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from chains.errors import ChainError, NodeBusy, NodeWrong
from chains.redaction import label
from chains.rpc.transport import Received, Transport
from crossmargin.documents import encode
from crossmargin.mirror import versions
from crossmargin.mirror.source import WAIT_S
from crossmargin.mirror.wire import LARGEST, MEDIA_TYPE, PieceSaid, head_of, question, read
from crossmargin.settings.model import IndexerSettings
from indexer.mirror import Held, Piece

TIMEOUT_S = WAIT_S + 50.0
CODE = re.compile(r"[a-z][a-z-]{0,39}")
UNTOLD = "no reason told"
OK, BUSY = 200, frozenset({408, 429, 500, 502, 503, 504})
REFUSALS = {
    "unauthorized": "does not know the key in indexer_key, or none is written; make one there with"
    " `crossmargin keys api create NAME --scope follow`",
    "forbidden": "does not let the key in indexer_key follow; it needs the scope follow",
    "not-found": "does not follow this chain, or is of an earlier version",
    "ask-elsewhere": "follows no chain; name a service that runs `crossmargin run`",
}


def transport_to(indexer: IndexerSettings) -> Transport:
    """What reaches an indexer, with its key."""
    said = {} if indexer.key is None else {"Authorization": f"Bearer {indexer.key}"}
    return Transport(timeout_s=TIMEOUT_S, most_bytes=LARGEST, headers=said)


async def asked(transport: Transport, indexer: IndexerSettings, chain_id: str, held: Held) -> bytes:
    """Ask for what is lacking of a chain; raises `NodeBusy` and `NodeWrong`."""
    name = label(indexer.url)
    body = encode(question(held).model_dump())
    answer = await transport.post(f"{indexer.url}/v1/chains/{chain_id}/rows", name, body)
    if answer.status != OK:
        raise _refused(answer, name)
    if answer.headers.get("Content-Type", "").partition(";")[0] != MEDIA_TYPE:
        raise NodeWrong(f"{name} answers, and is no indexer")
    return answer.body


def understood(chain_id: str, body: bytes, name: str) -> tuple[PieceSaid, Piece]:
    """What an answer says, once it is of our version; raises `MirrorWrong`."""
    head, rest = head_of(body)
    versions.check(chain_id, head.get("made_by"), name)
    return read(chain_id, head, rest)


def _refused(answer: Received, name: str) -> ChainError:
    code = _code(answer.body)
    said = REFUSALS.get(code, f"refuses with status {answer.status} ({code})")
    kind: Callable[[str], ChainError] = NodeBusy if answer.status in BUSY else NodeWrong
    return kind(f"the indexer at {name} {said}")


def _code(body: bytes) -> str:
    """The fixed word of a problem document, and nothing else of what a stranger may say."""
    try:
        said = json.loads(body)
    except ValueError:
        return UNTOLD
    code = said.get("code") if isinstance(said, dict) else None
    return code if isinstance(code, str) and CODE.fullmatch(code) else UNTOLD
