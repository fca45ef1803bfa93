"""Which desk a command asks: the running service, or the store itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aggregator.told import Told, untold
from crossmargin.cli.context import Context
from crossmargin.cli.output import words
from crossmargin.desk import Desk
from crossmargin.errors import UsageError
from crossmargin.remote_desk import RemoteDesk
from crossmargin.service_file import running
from crossmargin.settings import Settings

if TYPE_CHECKING:
    from crossmargin.local_desk import LocalDesk

SUPERSEDED = "superseded"
SUPERSEDED_TOLD = (
    "the configured policy was replaced; what is in force comes from the store's ledger (`crossmargin policy show`): "
    "let [policy] path name its file"
)


@contextmanager
def desk_of(context: Context, *, writes: bool = False, told: Told = untold) -> Iterator[Desk]:
    """Give the desk; `writes`: what is asked for is kept in the store; `told`: who waits, a service tells nothing. Raises `StoreError`."""
    settings = context.settings()
    service = running(settings.store)
    if service is not None and (remote := RemoteDesk(service)).answers():
        if context.accept_policy:
            raise UsageError(
                "a service runs over this store, and has its policy; enter another one with `crossmargin policy schedule`"
            )
        yield remote
        return
    with local(context, settings, writes=writes, told=told) as desk:
        yield desk


@contextmanager
def local(context: Context, settings: Settings, *, writes: bool, told: Told = untold) -> Iterator[LocalDesk]:
    """Open the store for one question, under the policy that its ledger has in force."""
    from crossmargin.app import must_exist, opened, policy_of
    from crossmargin.local_desk import LocalDesk
    from crossmargin.starts import stored

    policy = policy_of(settings)
    must_exist(settings)
    writes = writes or context.accept_policy
    settings = stored(settings, writes=writes)
    with opened(settings, read_only=not writes) as store:
        desk = LocalDesk(settings, store, policy, told=told)
        if desk.begin_policy(accept=context.accept_policy, writes=writes) == SUPERSEDED:
            context.stderr().print(words(SUPERSEDED_TOLD, "yellow"), soft_wrap=True)
        yield desk
