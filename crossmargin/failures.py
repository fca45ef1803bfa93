"""Every error that can reach a person: one message, its fixed word, its exit code, its HTTP status."""

from __future__ import annotations

from dataclasses import dataclass

from aggregator.margin.policy import PolicyError
from chains.errors import ChainError, NoContract, Unsupported, WrongChain
from crossmargin.errors import DeskError, NotStored
from crossmargin.exits import ExitCode
from crossmargin.settings import SettingsError
from indexer.store.errors import (
    ConfigRefused,
    BlockUnknown,
    QueryRefused,
    QueryTimeout,
    StoreError,
    StoreLocked,
    StoreMissing,
)

CONFIGURATION = (WrongChain, NoContract, Unsupported, ConfigRefused)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What went wrong: a `code` for scripts, a `title` for every case of it, a message for people."""

    code: str
    title: str
    message: str
    exit_code: ExitCode
    http_status: int


def failure_of(error: Exception) -> Failure:
    """Say what an error means to whoever asked."""
    match error:
        case DeskError():
            return Failure(
                code=error.code,
                title=error.title,
                message=str(error),
                exit_code=error.exit_code,
                http_status=error.http_status,
            )
        case SettingsError() | PolicyError():
            return _named("configuration", "The configuration cannot be used", error, ExitCode.USAGE, 500)
        case QueryRefused():
            return _named("query-refused", "The query is refused", error, ExitCode.USAGE, 400)
        case BlockUnknown():
            return _named("not-stored", NotStored.title, error, NotStored.exit_code, NotStored.http_status)
        case QueryTimeout():
            return _named("query-timeout", "The query took too long", error, ExitCode.FAILED, 503)
        case StoreLocked() | StoreMissing():
            return _named(code_word(error), "The store cannot be opened", error, ExitCode.FAILED, 503)
        case _:
            return _deeper(error)


def _deeper(error: Exception) -> Failure:
    if isinstance(error, CONFIGURATION):
        return _named(code_word(error), "The configuration does not fit what is there", error, ExitCode.USAGE, 503)
    if isinstance(error, ChainError):
        return _named(code_word(error), "The chain could not be asked", error, ExitCode.FAILED, 503)
    if isinstance(error, StoreError):
        return _named(code_word(error), "The store could not do this", error, ExitCode.FAILED, 503)
    if isinstance(error, OSError):
        return _named("system", "The system refused", error, ExitCode.FAILED, 500)
    return Failure(
        code="fault",
        title="A fault of the program",
        message=f"unexpected {type(error).__name__}: {error}; a fault of this program (-v shows where)",
        exit_code=ExitCode.FAILED,
        http_status=500,
    )


def _named(code: str, title: str, error: Exception, exit_code: ExitCode, http_status: int) -> Failure:
    return Failure(code=code, title=title, message=str(error), exit_code=exit_code, http_status=http_status)


def code_word(error: Exception) -> str:
    """The name of an error type as a word for scripts: `NodeBusy` is `node-busy`."""
    name = type(error).__name__
    return "".join(f"-{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))
