"""What a guarded query can come to besides rows."""

from __future__ import annotations

from crossmargin.errors import DeskError
from crossmargin.exits import ExitCode


class SqlRefused(DeskError):
    """The query is not one that is answered, or DuckDB cannot run it."""

    code = "query-refused"
    title = "This query is not answered"
    http_status = 400
    exit_code = ExitCode.USAGE


class SqlTimeout(DeskError):
    """The query took too long, or more of the machine than it may."""

    code = "query-timeout"
    title = "The query was stopped"
    http_status = 408


class SqlBusy(DeskError):
    """Every worker is at work."""

    code = "query-busy"
    title = "Too many queries at once"
    http_status = 503
