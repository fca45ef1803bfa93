"""What the API refuses, as exceptions.

Problem
├── Usage           400  the question cannot be asked like that
├── Unauthorized    401  a key is needed, or does not hold
├── Forbidden       403  the key has not the scope
├── NotFound        404  nothing is known by that name
├── NotStored       409  the store does not reach there, or something else was said before
├── Forgotten       410  events behind this id are not kept any more
├── TooMany         429  the quota is used up
├── Busy            503  it cannot be answered now
└── Unreachable          the service did not answer, or not as one
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Problem(Exception):
    """A refusal: the fixed word (`code`), the status (0 without an answer), and the id under which the service's log tells more."""

    def __init__(self, detail: str, *, status: int = 0, code: str = "", trace_id: str = "") -> None:
        super().__init__(detail)
        self.status, self.code, self.trace_id = status, code, trace_id
        self.wait_s = 0.0
        """How long the service asks to wait."""


class Usage(Problem):
    """The question cannot be asked like that."""


class Unauthorized(Problem):
    """A key is needed, or does not hold."""


class Forbidden(Problem):
    """The key has not the scope."""


class NotFound(Problem):
    """Nothing is known by that name."""


class NotStored(Problem):
    """The store does not reach there, or something else was said before."""


class Forgotten(Problem):
    """Events behind this id are not kept any more: ask what is so now, then go on."""


class TooMany(Problem):
    """The quota is used up, also after waiting."""


class Busy(Problem):
    """It cannot be answered now, also after waiting."""


class Unreachable(Problem):
    """The service did not answer, or not as one."""


BY_STATUS: Mapping[int, type[Problem]] = {
    400: Usage,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: NotStored,
    410: Forgotten,
    429: TooMany,
    503: Busy,
}


def problem_of(status: int, said: Any) -> Problem:  # noqa: ANN401 - whatever was answered
    """Make an exception of a problem document."""
    document = said if isinstance(said, Mapping) else {}
    return BY_STATUS.get(status, Problem)(
        str(document.get("detail") or f"the service answered {status}"),
        status=status,
        code=str(document.get("code", "")),
        trace_id=str(document.get("trace_id", "")),
    )
