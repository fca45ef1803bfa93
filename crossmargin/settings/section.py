"""One table of a configuration, read key by key; what is wrong is collected and nothing is guessed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar, cast

from crossmargin.settings.environment import MissingVariableError, filled

T = TypeVar("T")
Parse = Callable[[object], T]
"""Turns a value of the file into what is meant; raises `ValueError` with what to write instead."""


class Section:
    """A table and its place; `build` makes something of it unless a key was wrong."""

    def __init__(
        self, table: Mapping[str, object], place: str, problems: list[str], environment: Mapping[str, str]
    ) -> None:
        self.place = place
        self._table = table
        self._problems = problems
        self._environment = environment
        self._known: list[str] = []
        self._sound = True

    def need(self, key: str, parse: Parse[T], *, write: str = "") -> T:
        """Return the value of a key that must be there; `write` says what to write where it is not plain."""
        self._known.append(key)
        if key not in self._table:
            self.wrong(f"{key} is missing; {write}" if write else f"{key} is missing")
            return cast("T", None)
        return self._parsed(key, parse)

    def get(self, key: str, parse: Parse[T], default: T) -> T:
        """Return the value of a key, or `default` where the file has none."""
        self._known.append(key)
        return self._parsed(key, parse) if key in self._table else default

    @property
    def sound(self) -> bool:
        """Whether nothing was wrong so far, so that every value is there."""
        return self._sound

    def says(self, key: str, value: str) -> bool:
        """Whether a key is written with just this value."""
        return self._table.get(key) == value

    def pass_over(self, *keys: str) -> None:
        """Know keys without reading them: what decides their meaning is wrong itself, and told."""
        self._known += keys

    def refuse(self, key: str, why: str) -> None:
        """Know a key that has no meaning here, and say why where it is written."""
        self._known.append(key)
        if key in self._table:
            self.wrong(f"{key} {why}")

    def build(self, make: Callable[[], T]) -> T | None:
        """Return `make()`, or `None` when a key was wrong, missing or unknown."""
        for key in self._table:
            if key not in self._known:
                self.wrong(unknown("key", key, self._known))
        return make() if self._sound else None

    def wrong(self, message: str) -> None:
        """Note a problem at this place."""
        self._sound = False
        self._problems.append(f"{self.place}: {message}" if self.place else message)

    def _parsed(self, key: str, parse: Parse[T]) -> T:
        try:
            return parse(interpolated(self._table[key], self._environment))
        except MissingVariableError as error:
            self.wrong(f"{key}: {error}")
        except ValueError as error:
            self.wrong(f"{key} {error}")
        return cast("T", None)


def interpolated(value: object, environment: Mapping[str, str]) -> object:
    """Return `value` with the references in its strings replaced, however deep they are."""
    match value:
        case str():
            return filled(value, environment)
        case list():
            return [interpolated(item, environment) for item in value]
        case dict():
            return {key: interpolated(item, environment) for key, item in cast("dict[str, Any]", value).items()}
        case _:
            return value


def unknown(kind: str, name: str, known: Collection[str]) -> str:
    """Say that a name is not known, and the nearest that is."""
    return f'unknown {kind} "{name}"; {nearest(name, known)}'


def nearest(name: str, known: Collection[str]) -> str:
    """Ask for the nearest known name, or list them all."""
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    return f'did you mean "{close[0]}"?' if close else f"use one of {', '.join(sorted(known))}"
