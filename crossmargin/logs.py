"""Logs are events on stderr: a fixed word and fields, as JSON unless a person watches, without secrets."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from chains.redaction import Redactor

LEVELS = (logging.INFO, logging.DEBUG)
Logger = FilteringBoundLogger

NOTED = "aggregator"
"""Of whose notes, by the name of their logger, events are made."""


def logger(redactor: Redactor, *, as_json: bool = False, quiet: bool = False, verbosity: int = 0) -> Logger:
    """Make a logger that writes to stderr; it is passed on, never looked up."""
    level = logging.WARNING if quiet else LEVELS[min(verbosity, len(LEVELS) - 1)]
    plain = as_json or not sys.stderr.isatty()
    last: list[Processor] = (
        [structlog.processors.JSONRenderer(default=str)]
        if plain
        else [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    )
    wrapped = structlog.wrap_logger(
        structlog.WriteLogger(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _scrubber(redactor),
            *last,
        ],
    )
    return cast("Logger", wrapped)


class _Heard(logging.Handler):
    """Makes events of notes."""

    def __init__(self, log: Logger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.log(record.levelno, getattr(record, "word", "noted"), at=record.name, detail=record.getMessage())


@contextmanager
def noting(log: Logger) -> Iterator[None]:
    """Log as events meanwhile what the aggregator notes where nobody hands it a logger."""
    noted, heard = logging.getLogger(NOTED), _Heard(log)
    before = noted.level
    noted.setLevel(logging.INFO)
    noted.addHandler(heard)
    try:
        yield
    finally:
        noted.removeHandler(heard)
        noted.setLevel(before)


def _scrubber(redactor: Redactor) -> Processor:
    def scrub(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for key, value in event.items():
            if not isinstance(value, bool | int | float | None):
                event[key] = redactor.scrub(str(value))
        return event

    return scrub
