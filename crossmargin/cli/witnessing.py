"""`snapshot witness`: somebody else than its operator stands for it that a snapshot was there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from crossmargin.cli.context import Context
from crossmargin.cli.output import emit, facts
from crossmargin.cli.snapshots import found_folder
from crossmargin.errors import NotStored, Unverified, UsageError

QUERY, REPLY = "application/timestamp-query", "application/timestamp-reply"
TIMEOUT_S = 30.0


def witness(context: Context, folder: Path, *, key: Path | None, tsa: str | None) -> None:
    """Put a signature of an intact snapshot beside it, an authority's time stamp, or both."""
    from aggregator.audit import snapshot

    if key is None and tsa is None:
        raise UsageError("say who stands for it: --key FILE, or --tsa URL")
    path = found_folder(context, folder)
    found = snapshot.verify(path)
    if found.faults:
        raise Unverified(f"{path} is not what it says it is: {'; '.join(found.faults)}")
    document: dict[str, Any] = {"snapshot": path.name, "manifest_hash": found.hash}
    document |= _signed(path, found.hash, key) if key is not None else {}
    document |= _stamped(path, tsa) if tsa is not None else {}
    emit(context, document, lambda console: facts(console, document))


def _signed(folder: Path, manifest_hash: str, key: Path) -> dict[str, str]:
    from aggregator.audit.signing import public_key, witness_name, witness_text
    from crossmargin.liabilities import read_key

    private = read_key(key)
    target = folder / witness_name(public_key(private))
    target.write_bytes(witness_text(private, manifest_hash))
    return {"witness": public_key(private), "path": str(target)}


def _stamped(folder: Path, tsa: str) -> dict[str, str]:
    """Have the manifest stamped; a stamp of anything else is not kept."""
    from aggregator.audit import stamps
    from aggregator.audit.verifier import MANIFEST
    from crossmargin.documents import moment

    manifest = (folder / MANIFEST).read_bytes()
    try:
        request = stamps.request(manifest)
        answer = asyncio.run(_asked(tsa, request.as_bytes()))
        said = stamps.read(answer, manifest).tst_info
    except stamps.NoStamps as error:
        raise UsageError(str(error)) from error
    except stamps.BadStamp as error:
        raise Unverified(f"what the authority answered is not kept: {error}") from error
    if said.nonce != request.nonce:
        raise Unverified("what the authority answered is not kept: it answers another question")
    target = folder / stamps.name(answer)
    target.write_bytes(answer)
    return {"time": moment(int(said.gen_time.timestamp())), "timestamp": str(target)}


async def _asked(url: str, request: bytes) -> bytes:
    import aiohttp

    headers = {"Content-Type": QUERY, "Accept": REPLY}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session,
            session.post(url, data=request, headers=headers) as reply,
        ):
            if not reply.ok:
                raise NotStored(f"the authority answers HTTP {reply.status}; check its address")
            return await reply.read()
    except (TimeoutError, aiohttp.ClientError, ValueError) as error:
        raise NotStored(f"the authority cannot be asked ({type(error).__name__}); check its address") from error
