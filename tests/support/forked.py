"""The installed command as a process of its own, without two seconds of imports: forked from one that has imported its modules.

So are modules of tests whose `main()` is to run in a process that a test kills.

What runs is what the script of the package runs, on its own descriptors, with its own arguments, folder and environment. Where the
interpreter itself is to start otherwise (`PYTHON…`, a locale) or coverage is measured, the script is started.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import importlib
import json
import os
import pickle
import pkgutil
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NoReturn, Protocol, Self

COMMAND = str(Path(sys.executable).with_name("crossmargin"))
PROGRAM = "crossmargin.cli.main"
STARTS_OTHERWISE = ("PYTHON", "LC_", "LANG", "COVERAGE_PROCESS")
"""What the names of variables begin with that are read when an interpreter starts."""


class Running(Protocol):
    """A process that runs, as `subprocess.Popen` is one."""

    @property
    def pid(self) -> int: ...
    @property
    def stdout(self) -> IO[str] | None: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


def completed(
    arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str], stdin: str = "", timeout_s: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end; raises `TimeoutError`, and kills it, when it does not come to one."""
    command = [COMMAND, *arguments]
    if _starts_otherwise(environment):
        return subprocess.run(
            command,
            cwd=folder,
            env=dict(environment),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as given,
        tempfile.TemporaryFile("w+", encoding="utf-8") as out,
        tempfile.TemporaryFile("w+", encoding="utf-8") as err,
    ):
        given.write(stdin)
        given.seek(0)
        request = _request(command, folder, environment)
        with _Forked(request, [file.fileno() for file in (given, out, err)]) as forked:
            try:
                code = forked.wait(timeout_s)
            except TimeoutError:
                forked.kill()
                raise
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(command, code, out.read(), err.read())


@contextmanager
def started(
    arguments: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    errors: IO[str] | None = None,
    program: str | None = None,
) -> Iterator[Running]:
    """Start the command, or the `main()` of a module, with a pipe from its stdout; whoever asks for it ends it within the block."""
    first = [COMMAND] if program is None else [sys.executable, "-m", program]
    with Path(os.devnull).open("r+", encoding="utf-8") as nothing:
        err = nothing if errors is None else errors
        if _starts_otherwise(environment):
            with subprocess.Popen(
                [*first, *arguments],
                cwd=folder,
                env=dict(environment),
                stdin=nothing,
                stdout=subprocess.PIPE,
                stderr=err,
                text=True,
            ) as process:
                yield process
            return
        reading, writing = os.pipe()
        with os.fdopen(reading, encoding="utf-8") as out:
            try:
                request = _request([program or COMMAND, *arguments], folder, environment, program or PROGRAM)
                forked = _Forked(request, [nothing.fileno(), writing, err.fileno()], out)
            finally:
                os.close(writing)
            with forked:
                yield forked


@contextmanager
def at_terminal(
    arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str], line: int
) -> Iterator[Running]:
    """Start the command at a terminal, the other side of which is the caller's: it is the command's own, and Ctrl-C is heard."""
    if _starts_otherwise(environment):
        with subprocess.Popen(
            [COMMAND, *arguments],
            cwd=folder,
            env=dict(environment),
            stdin=line,
            stdout=line,
            stderr=line,
            text=True,
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 - between a fork and what is started nothing else runs here
        ) as process:
            yield process
        return
    request = {**_request([COMMAND, *arguments], folder, environment), "terminal": True}
    with _Forked(request, [line, line, line]) as forked:
        yield forked


def _take_terminal() -> None:
    """Make the terminal on stdin that of this session; whoever runs the tests in the background ignores Ctrl-C, which is not passed on."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)


class _Forked:
    """A process that was forked on three descriptors; its exit code is as `subprocess` gives it."""

    def __init__(self, request: Mapping[str, object], files: Sequence[int], out: IO[str] | None = None) -> None:
        body = json.dumps(request).encode()
        self.stdout = out
        self._code: int | None = None
        self._line = socket.socket(socket.AF_UNIX)
        self._line.connect(_forker())
        socket.send_fds(self._line, [len(body).to_bytes(4)], files)
        self._line.sendall(body)
        self.pid = _number(self._line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._line.close()

    def poll(self) -> int | None:
        """The exit code, or none while it runs."""
        if self._code is None and select.select([self._line], [], [], 0)[0]:
            self._code = _number(self._line)
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """The exit code when it has ended; raises `TimeoutError` after so many seconds."""
        if self._code is None:
            self._line.settimeout(timeout)
            self._code = _number(self._line)
        return self._code

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, which: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, which)


def _request(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], program: str = PROGRAM
) -> dict[str, object]:
    return {"argv": list(command), "folder": str(folder), "environment": dict(environment), "program": program}


def _starts_otherwise(environment: Mapping[str, str]) -> bool:
    return _of_interpreters(environment) != _of_interpreters(os.environ) or any(
        name.startswith("COVERAGE_PROCESS") for name in environment
    )


def _of_interpreters(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in environment.items() if name.startswith(STARTS_OTHERWISE)}


def _number(line: socket.socket) -> int:
    return int.from_bytes(_exactly(line, 4), signed=True)


def _exactly(line: socket.socket, count: int) -> bytes:
    read = b""
    while len(read) < count:
        part = line.recv(count - len(read))
        if not part:
            raise ConnectionError("the process that forks commands is gone")
        read += part
    return read


_starting = threading.Lock()
_forkers: dict[int, tuple[subprocess.Popen[bytes], str]] = {}


def _forker() -> str:
    """The address of the process that forks for this one; it is started once and ends with this one."""
    with _starting:
        if os.getpid() not in _forkers:
            address = f"{tempfile.mkdtemp(prefix='forked-')}/door"
            process = subprocess.Popen(
                [sys.executable, "-m", __name__, address],
                cwd=Path(__file__).parents[2],
                env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
                | _of_interpreters(os.environ),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            _forkers[os.getpid()] = process, address
            atexit.register(process.communicate)
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
        return _forkers[os.getpid()][1]


def prepare() -> None:
    """Import what commands import when they are called, make what is the same for all, and let no process look again at all that."""
    for package in ("crossmargin", "aggregator", "indexer", "chains"):
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            with suppress(ModuleNotFoundError):  # an extra that is not installed: the command itself says so
                if not module.name.endswith("__main__"):
                    importlib.import_module(module.name)
    _keep_blanks()
    gc.collect()
    gc.freeze()


def _keep_blanks() -> None:
    """Give commands the files that stores and published databases begin as; DuckDB, which leaves threads behind, makes them in a fork."""
    opening, views = (importlib.import_module(name) for name in ("indexer.store.store", "indexer.publish.views"))
    versions = (None, views.OLDEST_READER)
    with tempfile.TemporaryFile() as told:
        pid = os.fork()
        if pid == 0:
            try:
                pickle.dump({version: opening.blank(version) for version in versions}, told)
                told.flush()
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(pid, 0)[1] == 0, "no store can be made here"
        told.seek(0)
        blanks = pickle.load(told)  # noqa: S301 - of our own fork

    def blank(storage_version: str | None = None) -> bytes:
        return bytes(blanks[storage_version])

    for module in (opening, views):
        vars(module)["blank"] = blank


def serve(address: str) -> str:
    """Fork for everybody who calls, until stdin is closed.

    Returns in each command's own process, when all is as it should find it, with the module whose `main()` is to run.
    """
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(address)
        door.listen()
        os.write(1, b"ready\n")
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            if sys.stdin in select.select([sys.stdin, door], [], [])[0]:
                shutil.rmtree(Path(address).parent)
                os._exit(0)
            line, _ = door.accept()
            with line:
                if os.fork() == 0:
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    door.close()
                    return _attend(line)


def _attend(line: socket.socket) -> str:
    """Fork a command and tell of its end; returns in the command's process only."""
    size, files, _, _ = socket.recv_fds(line, 4, 3)
    request = json.loads(_exactly(line, int.from_bytes(size)))
    pid = os.fork()
    if pid == 0:
        _become(request, files)
        return str(request["program"])
    line.sendall(pid.to_bytes(4, signed=True))
    _, status = os.waitpid(pid, 0)
    with suppress(BrokenPipeError):  # whoever asked has gone
        line.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, signed=True))
    os._exit(0)


def _become(request: dict[str, Any], files: Sequence[int]) -> None:
    """Take over what the caller gave: descriptors, arguments, folder, environment."""
    for standard, file in enumerate(files):
        os.dup2(file, standard)
        os.close(file)
    if request.get("terminal"):
        os.setsid()
        _take_terminal()
    sys.stdin, sys.stdout, sys.stderr = (
        open(standard, mode, encoding=old.encoding, errors=old.errors, closefd=False)  # noqa: SIM115 - descriptors
        for standard, (mode, old) in enumerate([("r", sys.stdin), ("w", sys.stdout), ("w", sys.stderr)])
    )
    # What was imported before the fork stays out of sight: a service that keeps its own pauses short has all looked through at its end.
    vars(gc).update(freeze=_nothing, unfreeze=_nothing)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv[:] = request["argv"]


_unfreeze = gc.unfreeze


def _nothing() -> None:
    """Leave all objects where they are."""


def run(program: str) -> NoReturn:
    """Run a module's `main()` and end as an interpreter ends, but without taking all modules apart: that takes a second."""
    try:
        code = importlib.import_module(program).main()
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        _unfreeze()
        raise
    if code is not None and not isinstance(code, int):
        _unfreeze()
        sys.exit(code)
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as an interpreter does first
    atexit._run_exitfuncs()
    gc.collect()  # closes what nobody closed, and warns of it
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        sys.exit(code)
    os._exit(code or 0)


if __name__ == "__main__":
    prepare()
    run(serve(sys.argv[1]))
