"""A command is made without the others, and is the same; where no single one is called, all are there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from crossmargin.cli.called import only_called
from crossmargin.cli.context import hoisted
from crossmargin.cli.main import app


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that is no group, by the words that call it."""
    for name, inner in getattr(command, "commands", {}).items():
        if hasattr(inner, "commands"):
            yield from leaves(inner, (*path, name))
        else:
            yield (*path, name), inner


WHOLE = dict(leaves(get_command(app)))


def made(*arguments: str) -> dict[tuple[str, ...], Any]:
    return dict(leaves(get_command(only_called(app, hoisted(arguments)))))


def said(command: Any) -> tuple[object, ...]:
    """What a command takes and says of itself, without where in memory that is."""
    parameters = [(type(each).__name__, re.sub(" at 0x[0-9a-f]+", "", repr(vars(each)))) for each in command.params]
    return command.name, command.help, command.callback.__module__, command.callback.__name__, parameters


@pytest.mark.parametrize("path", sorted(WHOLE), ids=" ".join)
def test_a_command_is_made_alone_as_it_is_among_all(path: tuple[str, ...]) -> None:
    found = made("--json", "--config", "x.toml", *path, "--quiet")

    assert list(found) == [path]
    assert said(found[path]) == said(WHOLE[path])


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--json",),
        ("--help",),
        ("--help", "health"),
        ("--version", "health"),
        ("healht",),
        ("snapshoot", "create"),
        ("--config",),
        ("--", "health"),
        ("Health",),
    ],
)
def test_where_none_is_called_all_are_there(arguments: tuple[str, ...]) -> None:
    assert made(*arguments).keys() == WHOLE.keys()


@pytest.mark.parametrize(
    "arguments",
    [("snapshot",), ("snapshot", "--help"), ("snapshot", "craete"), ("snapshot", "--at", "list"), ("snapshot", "--")],
)
def test_of_a_group_all_are_there_where_none_of_them_is_called(arguments: tuple[str, ...]) -> None:
    assert made(*arguments).keys() == {path for path in WHOLE if path[0] == "snapshot"}


def test_a_command_in_a_group_in_a_group_is_made_alone() -> None:
    assert list(made("keys", "api", "create")) == [("keys", "api", "create")]
    assert made("keys", "api").keys() == {path for path in WHOLE if path[:2] == ("keys", "api")}
    assert made("keys").keys() == {path for path in WHOLE if path[0] == "keys"}
