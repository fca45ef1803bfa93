"""`Idempotency-Key`: a POST that is sent again under the same key is answered as before, and not done again."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from crossmargin.errors import Repeated, UsageError
from crossmargin.server.quota import Clock

HEADER, REPLAYED = "Idempotency-Key", "Idempotency-Replayed"
LONGEST_KEY = 128
OURS = "X-"
"""How headers begin that belong to the answer, such as how many rows it has."""

KEY = re.compile(rf"[!-~]{{1,{LONGEST_KEY}}}")
KEPT_S = 24 * 3600
MOST_KEPT = 10_000
MOST_BYTES = 64 * 1024 * 1024
LARGEST_KEPT = 1024 * 1024

Work = Callable[[], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class _Reply:
    """What was answered; `None` while it is being worked on."""

    fingerprint: bytes
    at: float
    body: bytes | None = None
    status: int = 0
    content_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Replies:
    """Answers by asker and key, in memory: the newest, for a day."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[tuple[str, str], _Reply] = {}

    async def once(self, request: web.Request, asker: str, body: bytes, work: Work) -> web.StreamResponse:
        """Do work, or answer as before; what failed is not kept, so that it can be tried again."""
        said = request.headers.get(HEADER)
        if said is None:
            return await work()
        if not KEY.fullmatch(said):
            raise UsageError(
                f"{HEADER} must be 1 to {LONGEST_KEY} printable characters without spaces, new for each question"
            )
        place = (asker, said)
        fingerprint = hashlib.sha256(f"{request.method} {request.path_qs}\n".encode() + body).digest()
        kept = self._known(place)
        if kept is not None:
            return _again(kept, fingerprint)
        reply = self._kept[place] = _Reply(fingerprint, self._clock())
        try:
            answer = await work()
        except BaseException:
            self._forget(place, reply)
            raise
        self._keep(place, reply, answer)
        return answer

    def _known(self, place: tuple[str, str]) -> _Reply | None:
        old = self._clock() - KEPT_S
        while self._kept and next(iter(self._kept.values())).at < old:
            del self._kept[next(iter(self._kept))]
        return self._kept.get(place)

    def _keep(self, place: tuple[str, str], reply: _Reply, answer: web.StreamResponse) -> None:
        body = answer.body if isinstance(answer, web.Response) else None
        if not isinstance(body, bytes) or len(body) > LARGEST_KEPT:
            self._forget(place, reply)
            return
        reply.body, reply.status, reply.content_type = body, answer.status, answer.content_type
        reply.headers = {name: value for name, value in answer.headers.items() if name.startswith(OURS)}
        while len(self._kept) > MOST_KEPT or sum(len(each.body or b"") for each in self._kept.values()) > MOST_BYTES:
            surplus = self._surplus()
            if surplus is None:  # all the others are still being worked on: what they do is not to be done twice
                return
            del self._kept[surplus]

    def _surplus(self) -> tuple[str, str] | None:
        """Name the oldest reply of whoever has most of them: who asks much lets go of his own, and of nobody else's."""
        done = {place: len(each.body) for place, each in self._kept.items() if each.body is not None}
        held = Counter[str]()
        for (asker, _), size in done.items():
            held[asker] += size + MOST_BYTES // MOST_KEPT
        most = max(held, key=held.__getitem__, default="")
        return next((place for place in done if place[0] == most), None)

    def _forget(self, place: tuple[str, str], reply: _Reply) -> None:
        """Let go of a reply, unless another question has its place by now."""
        if self._kept.get(place) is reply:
            del self._kept[place]


def _again(kept: _Reply, fingerprint: bytes) -> web.Response:
    if kept.fingerprint != fingerprint:
        raise Repeated(f"this {HEADER} was used for another question; take a new one for each")
    if kept.body is None:
        raise Repeated(f"what was asked under this {HEADER} is still being worked on; ask again in a moment")
    headers = {**kept.headers, REPLAYED: "true", "Content-Type": kept.content_type}
    return web.Response(status=kept.status, body=kept.body, headers=headers)
