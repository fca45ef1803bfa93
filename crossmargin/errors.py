"""What the application itself refuses, each with the exit code of the command line and the status of HTTP.

DeskError
├── UsageError        the question cannot be asked like that
├── NoSuchThing       nothing is known by that name
├── Unauthorized      nobody knows who asks
├── Forbidden         the asker may not ask this
├── TooMany           the asker asks more than its quota allows
├── Busy              all of them together ask more than can be answered
├── TooSlow           the answer takes longer than it may
├── Repeated          the key of a question that is sent again names another question
├── Forgotten         what was asked for is not kept any more
├── NotServed         nothing can be served at that address
├── AskElsewhere      another service has that: this one reads a lake, or follows nothing
├── NotStored         the store does not reach there, or no node can say
├── Unverified        what was checked does not hold
├── NotComparable     there is nothing here to compare it with
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


class Unauthorized(DeskError):
    """Nobody knows who asks."""

    code = "unauthorized"
    title = "This is for those who say who they are"
    http_status = 401
    exit_code = ExitCode.USAGE


class TooMany(DeskError):
    """The asker asks more than its quota allows."""

    code = "too-many-requests"
    title = "More is asked than may be"
    http_status = 429
    exit_code = ExitCode.FAILED


class Busy(DeskError):
    """All of them together ask more than can be answered."""

    code = "busy"
    title = "More is asked than can be answered"
    http_status = 503
    exit_code = ExitCode.FAILED


class TooSlow(DeskError):
    """The answer takes longer than it may."""

    code = "too-slow"
    title = "The answer takes too long"
    http_status = 503
    exit_code = ExitCode.FAILED


class Repeated(DeskError):
    """The key of a question that is sent again names another question, or one that is still being worked on."""

    code = "idempotency-key"
    title = "This key names another question"
    http_status = 409
    exit_code = ExitCode.USAGE


class Forgotten(DeskError):
    """What was asked for is not kept any more."""

    code = "forgotten"
    title = "This is not kept any more"
    http_status = 410
    exit_code = ExitCode.FAILED


class BadPolicy(DeskError):
    """A policy file that was sent cannot be used."""

    code = "configuration"
    title = "The configuration cannot be used"
    http_status = 400
    exit_code = ExitCode.USAGE


class NotServed(DeskError):
    """Nothing can be served at that address."""

    code = "not-served"
    title = "Nothing can be served at that address"
    http_status = 503
    exit_code = ExitCode.FAILED


class NotStored(DeskError):
    """The store does not reach there, or no node can say."""

    code = "not-stored"
    title = "The store does not reach there"
    http_status = 409
    exit_code = ExitCode.FAILED


class AskElsewhere(DeskError):
    """Another service has what is asked for: this one reads a lake, aggregates, or follows no chain."""

    code = "ask-elsewhere"
    title = "Another service answers this"
    http_status = 421
    exit_code = ExitCode.USAGE


class Unverified(DeskError):
    """What was checked does not hold."""

    code = "unverified"
    title = "The check failed"
    http_status = 409
    exit_code = ExitCode.UNVERIFIED


class NotComparable(DeskError):
    """There is nothing here to compare it with: neither right nor wrong."""

    code = "not-comparable"
    title = "Nothing could be compared"
    http_status = 409
    exit_code = ExitCode.UNKNOWN


class ServiceError(DeskError):
    """The running service did not answer, or not in words that this version knows."""

    code = "service"
    title = "The service did not answer"
    http_status = 502
    exit_code = ExitCode.FAILED
