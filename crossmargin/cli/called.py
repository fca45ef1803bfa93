"""The command that is called, without the others: to make them all takes a twelfth of a second, more than some of them take."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import typer
from typer.main import get_command_name
from typer.models import CommandInfo

from crossmargin.cli.context import GLOBAL_FLAGS, GLOBAL_VALUES

WITH_VALUE = tuple(f"{name}=" for name in GLOBAL_VALUES)


def only_called(app: typer.Typer, arguments: Sequence[str]) -> typer.Typer:
    """Return the application with nothing but the command that is called, or, where no word names one, with all.

    `arguments`: as `hoisted` leaves them.
    """
    words = list(arguments)
    while words and (words[0] in (*GLOBAL_FLAGS, *GLOBAL_VALUES) or words[0].startswith(WITH_VALUE)):
        del words[: 2 if words[0] in GLOBAL_VALUES else 1]
    return _narrowed(app, words)


def _narrowed(app: typer.Typer, words: Sequence[str]) -> typer.Typer:
    if not words:
        return app
    commands = [each for each in app.registered_commands if _name(each) == words[0]]
    groups = [each for each in app.registered_groups if each.name == words[0]]
    if not (commands or groups):
        return app
    narrow = copy(app)
    narrow.registered_commands, narrow.registered_groups = commands, []
    for group in groups:
        inner = copy(group)
        inner.typer_instance = group.typer_instance and _narrowed(group.typer_instance, words[1:])
        narrow.registered_groups.append(inner)
    return narrow


def _name(command: CommandInfo) -> str | None:
    return command.name or (get_command_name(command.callback.__name__) if command.callback else None)
