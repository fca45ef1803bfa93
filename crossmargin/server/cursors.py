"""Signed opaque cursors: where a list goes on, in words that only this service can write."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

from crossmargin.errors import UsageError

MARK_BYTES = 16
REFUSED = "this cursor was not given by this service for this question; begin again without one"


@contextlib.contextmanager
def placed() -> Iterator[None]:
    """Refuse a place that is none in its list: readers of a lake share a secret that is none, so that anybody can write cursors.

    Raises `UsageError`.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise UsageError(REFUSED) from error


class Cursors:
    """Writes and reads cursors under one secret; they are good as long as the service runs, and at readers of a lake for good.

    What makes something of a place does it within `placed`.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def write(self, question: str, place: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
        """Return a cursor for the same question, which goes on behind `place`."""
        said = json.dumps(place, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mark(question, said) + said).decode().rstrip("=")

    def read(self, question: str, cursor: str) -> Any:  # noqa: ANN401 - as it was written
        """Return the place; raises `UsageError` for what is not our own, or of another question."""
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise UsageError(REFUSED) from error
        mark, said = raw[:MARK_BYTES], raw[MARK_BYTES:]
        if not hmac.compare_digest(mark, self._mark(question, said)):
            raise UsageError(REFUSED)
        with placed():
            return json.loads(said)

    def _mark(self, question: str, said: bytes) -> bytes:
        return hmac.new(self._secret, question.encode() + b"\0" + said, hashlib.sha256).digest()[:MARK_BYTES]
