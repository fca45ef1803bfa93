"""The file beside a store that says which process serves it: `<store>.service.json`, for its owner only."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A running service: where it answers, and the token that lets its owner ask SQL."""

    pid: int
    url: str
    token: str = field(repr=False)


def path_of(store: Path) -> Path:
    """Return where the file of a store is."""
    return store.with_name(f"{store.name}.service.json")


@contextmanager
def announced(store: Path, service: Service) -> Iterator[None]:
    """Keep the file while the service runs; it appears whole, and only if it is still ours is it removed."""
    path = path_of(store)
    _write(path, service)
    try:
        yield
    finally:
        if read(path) == service:
            path.unlink(missing_ok=True)


def running(store: Path) -> Service | None:
    """Return the service that a store's file names, if its process lives."""
    service = read(path_of(store))
    return service if service is not None and _alive(service.pid) else None


def read(path: Path) -> Service | None:
    """Return what a file says, `None` where there is none or it says something else."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return Service(pid=int(said["pid"]), url=str(said["url"]), token=str(said["token"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, service: Service) -> None:
    draft = path.with_name(f"{path.name}.{service.pid}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(service), file)
    draft.replace(path)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return pid > 0
