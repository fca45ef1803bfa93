"""What stands around requests, of real parts, for servers of a few routes."""

from __future__ import annotations

import io
from collections.abc import Iterable
from contextlib import redirect_stderr
from time import monotonic

from chains.redaction import Redactor
from crossmargin.logs import logger
from crossmargin.server.access import Access, Lookup
from crossmargin.server.metrics import Metrics
from crossmargin.server.middleware import Surroundings
from crossmargin.server.quota import Quotas
from crossmargin.tracing import Untraced


def surroundings(lookup: Lookup, *, addresses: Iterable[str] = ()) -> tuple[Surroundings, io.StringIO]:
    """Make them, where anybody may read, with what they log; `addresses` of nodes are secret."""
    errors, redactor = io.StringIO(), Redactor(addresses)
    with redirect_stderr(errors):
        log = logger(redactor, quiet=True)
    return (
        Surroundings(
            metrics=Metrics([]),
            redactor=redactor,
            log=log,
            access=Access("token", lookup, anonymous=True),
            quotas=Quotas(monotonic),
            origins=frozenset(),
            public=False,
            tracing=Untraced(),
        ),
        errors,
    )
