"""Which desk a command asks: the running service, or the store itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from crossmargin.cli.context import Context
from crossmargin.desk import Desk
from crossmargin.remote_desk import RemoteDesk
from crossmargin.service_file import running
from crossmargin.settings import Settings


@contextmanager
def desk_of(context: Context, *, writes: bool = False) -> Iterator[Desk]:
    """Give the desk; `writes`: what is asked for is kept in the store. Raises `StoreError`."""
    settings = context.settings()
    service = running(settings.store)
    if service is not None and (remote := RemoteDesk(service)).answers():
        yield remote
        return
    with local(settings, writes=writes) as desk:
        yield desk


@contextmanager
def local(settings: Settings, *, writes: bool) -> Iterator[Desk]:
    """Open the store for one question."""
    from crossmargin.app import must_exist, opened, policy_of
    from crossmargin.local_desk import LocalDesk
    from crossmargin.starts import stored

    policy = policy_of(settings)
    must_exist(settings)
    settings = stored(settings, writes=writes)
    with opened(settings, read_only=not writes) as store:
        yield LocalDesk(settings, store, policy)
