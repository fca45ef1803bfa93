"""What the application itself refuses, each with the exit code of the command line and the status of HTTP.

DeskError
├── UsageError        the question cannot be asked like that
├── NoSuchThing       nothing is known by that name
├── Forbidden         the asker may not ask this
├── NotStored         the store does not reach there, or no node can say
├── Unverified        what was checked does not hold
└── ServiceError      the running service did not answer
"""

from __future__ import annotations

from typing import ClassVar

from crossmargin.exits import ExitCode


class DeskError(Exception):
    """A refusal: a fixed `code` word, and one message that says what, where and what to do."""

    code: str = "failed"
    title: ClassVar[str] = "This could not be done"
    http_status: ClassVar[int] = 500
    exit_code: ExitCode = ExitCode.FAILED


class UsageError(DeskError):
    """The question cannot be asked like that."""

    code = "usage"
    title = "The question cannot be asked like that"
    http_status = 400
    exit_code = ExitCode.USAGE


class NoSuchThing(DeskError):
    """Nothing is known by that name."""

    code = "not-found"
    title = "Nothing is known by that name"
    http_status = 404
    exit_code = ExitCode.USAGE


class Forbidden(DeskError):
    """The asker may not ask this."""

    code = "forbidden"
    title = "This is not for everybody"
    http_status = 403
    exit_code = ExitCode.USAGE


class NotStored(DeskError):
    """The store does not reach there, or no node can say."""

    code = "not-stored"
    title = "The store does not reach there"
    http_status = 409
    exit_code = ExitCode.FAILED


class Unverified(DeskError):
    """What was checked does not hold."""

    code = "unverified"
    title = "The check failed"
    http_status = 409
    exit_code = ExitCode.UNVERIFIED


class ServiceError(DeskError):
    """The running service did not answer, or not in words that this version knows."""

    code = "service"
    title = "The service did not answer"
    http_status = 502
    exit_code = ExitCode.FAILED
