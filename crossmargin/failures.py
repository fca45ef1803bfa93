"""Every error that can reach a person: one message, its fixed word, its exit code, its HTTP status."""

from __future__ import annotations

from dataclasses import dataclass

from aggregator.audit.snapshot import SnapshotExists
from aggregator.margin.policy_text import PolicyError
from chains.errors import ChainError, FollowedElsewhere, NoContract, Unsupported, WrongChain
from crossmargin.errors import AskElsewhere, DeskError, NotStored
from crossmargin.exits import ExitCode
from crossmargin.settings import SettingsError
from indexer.store.errors import BlockUnknown, ConfigRefused, QueryRefused, StoreError

CONFIGURATION = (WrongChain, NoContract, Unsupported, ConfigRefused)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What went wrong: a `code` for scripts, a `title` for every case of it, a message for people."""

    code: str
    title: str
    message: str
    exit_code: ExitCode
    http_status: int


@dataclass(frozen=True, slots=True)
class _Kind:
    """A family of errors that end alike; without a `code` each type's own name is it."""

    types: tuple[type[Exception], ...]
    title: str
    exit_code: ExitCode
    http_status: int
    code: str | None = None


_KINDS = (
    _Kind((SettingsError, PolicyError), "The configuration cannot be used", ExitCode.USAGE, 500, "configuration"),
    _Kind((QueryRefused,), "The query is refused", ExitCode.USAGE, 400),
    _Kind((BlockUnknown,), NotStored.title, NotStored.exit_code, NotStored.http_status, NotStored.code),
    _Kind((SnapshotExists,), "Another snapshot is there already", ExitCode.FAILED, 409),
    _Kind(
        (FollowedElsewhere,), AskElsewhere.title, AskElsewhere.exit_code, AskElsewhere.http_status, AskElsewhere.code
    ),
    _Kind(CONFIGURATION, "The configuration does not fit what is there", ExitCode.USAGE, 503),
    _Kind((ChainError,), "The chain could not be asked", ExitCode.FAILED, 503),
    _Kind((StoreError,), "The store could not do this", ExitCode.FAILED, 503),
    _Kind((OSError,), "The system refused", ExitCode.FAILED, 500, "system"),
)


def failure_of(error: Exception) -> Failure:
    """Say what an error means to whoever asked."""
    if isinstance(error, DeskError):
        return Failure(
            code=error.code,
            title=error.title,
            message=str(error),
            exit_code=error.exit_code,
            http_status=error.http_status,
        )
    for kind in _KINDS:
        if isinstance(error, kind.types):
            return Failure(
                code=kind.code or code_word(error),
                title=kind.title,
                message=str(error),
                exit_code=kind.exit_code,
                http_status=kind.http_status,
            )
    return Failure(
        code="fault",
        title="A fault of the program",
        message=f"unexpected {type(error).__name__}: {error}; a fault of this program (-v shows where)",
        exit_code=ExitCode.FAILED,
        http_status=500,
    )


def code_word(error: Exception) -> str:
    """The name of an error type as a word for scripts: `NodeBusy` is `node-busy`."""
    name = type(error).__name__
    return "".join(f"-{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))
