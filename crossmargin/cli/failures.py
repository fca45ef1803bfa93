"""However a command ends: its exit code, and one message on stderr when it failed."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from types import FrameType
from typing import NoReturn

import typer
from typer import BadParameter
from typer.exceptions import TyperException

from crossmargin.cli.called import only_called
from crossmargin.cli.context import Context
from crossmargin.exits import ExitCode

INTERRUPTED = "interrupted; everything that was committed stays"


def guarded(app: typer.Typer, arrange: Callable[[Sequence[str]], list[str]]) -> NoReturn:
    """Run the command line and exit with its code."""
    _open_standard_streams()
    arguments = sys.argv[1:]
    context = Context(json="--json" in arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    said, written = INTERRUPTED, os.dup(1)  # what finds the pipe broken puts something else in its place
    try:
        _check_text(arguments)
        arranged = arrange(arguments)
        called = only_called(app, arranged)
        code = called(args=arranged, standalone_mode=False, obj=context, prog_name="crossmargin")
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit) as error:  # typer and rich make the second of the first
        if isinstance(error, SystemExit) and not _is_cut(written):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ExitCode.CUT
    except (KeyboardInterrupt, typer.Abort) as error:
        code, said = ExitCode.INTERRUPTED, str(error) or INTERRUPTED
    except Exception as error:  # noqa: BLE001 - no traceback reaches a person unasked
        code = _explained(context, error)
    if code == ExitCode.INTERRUPTED:
        report(context, "interrupted", ExitCode.INTERRUPTED, said)
    sys.exit(code or ExitCode.OK)


def _check_text(arguments: Sequence[str]) -> None:
    """Refuse what is no text: nothing here could name it, keep it or ask for it. Raises `TyperException`."""
    for number, argument in enumerate(arguments, start=1):
        try:
            argument.encode("utf-8")
        except UnicodeEncodeError as error:
            raise BadParameter(f"argument {number} is no text in UTF-8") from error


def _open_standard_streams() -> None:
    """Let what was closed (`>&-`) lead nowhere: the next file that is opened, a store perhaps, would be in its place."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            os.set_inheritable(number, True)  # noqa: FBT003 - the standard library's own
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def _is_cut(written: int) -> bool:
    """Whether nobody reads any more what is written there."""
    pipe = select.poll()
    pipe.register(written, 0)
    return bool(pipe.poll(0))


def _explained(context: Context, error: Exception) -> int:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, TyperException):
        report(context, "usage", ExitCode.USAGE, error.format_message())
        return ExitCode.USAGE
    from crossmargin.failures import failure_of

    failure = failure_of(error)
    report(context, failure.code, failure.exit_code, failure.message)
    if failure.code == "fault" and context.verbosity:
        trace = "".join(traceback.format_exception(error))
        sys.stderr.write(context.redactor.scrub(trace))
    return failure.exit_code


def report(context: Context, code: str, exit_code: ExitCode, message: str) -> None:
    """Print one message on stderr, without secrets."""
    clean = context.redactor.scrub(message)
    if context.json:
        body = {"error": {"code": code, "exit_code": int(exit_code), "message": clean}}
        sys.stderr.write(f"{json.dumps(body)}\n")
    elif clean:
        console = context.stderr()
        console.print("error:", style="bold red", end=" ")
        console.print(clean, soft_wrap=True)


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
