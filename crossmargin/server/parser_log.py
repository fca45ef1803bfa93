"""What aiohttp says of requests that never became one: counted, told shortly, and never with the text of who sent them."""

from __future__ import annotations

import logging

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import RequestPayloadError

from crossmargin.logs import Logger
from crossmargin.server.metrics import Metrics

UNPARSED, OTHER, BAD_REQUEST = "unparsed", "other", 400


class ParserLog(logging.Handler):
    """Takes the place of aiohttp's own log, which would write whole requests of strangers, and where they failed, to stderr."""

    def __init__(self, metrics: Metrics, log: Logger) -> None:
        super().__init__()
        self._metrics = metrics
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        error = None if record.exc_info is None else record.exc_info[1]
        if isinstance(error, HttpProcessingError | RequestPayloadError):
            self._metrics.requests.labels(UNPARSED, OTHER, BAD_REQUEST).observe(0)
            self._log.debug("request_unparsed", kind=type(error).__name__)
        elif isinstance(error, ConnectionError):
            self._log.debug("connection_gone", kind=type(error).__name__)
        elif record.levelno >= logging.WARNING:
            self._log.warning("connection_failed", kind=type(error).__name__, exc_info=error)


def logger(metrics: Metrics, log: Logger) -> logging.Logger:
    """Make the logger of one server."""
    made = logging.Logger("crossmargin.server")  # noqa: LOG001 - each server has its own, which nobody else can look up
    made.addHandler(ParserLog(metrics, log))
    return made
