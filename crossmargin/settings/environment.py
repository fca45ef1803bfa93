"""`${NAME}` and `${NAME:-default}` within strings; `$${` stands for a literal `${`.

A name that is not set is looked for as `NAME_FILE`, the path of a file that holds the value, as containers
are given their secrets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

REFERENCE = re.compile(r"\$(\$)?\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\})?")


class FromEnvironment(str):
    """A string that holds something from the environment: it may stand for a number, and is never quoted."""

    __slots__ = ()


class MissingVariableError(Exception):
    """A `${NAME}` that is not set, or a `${` that is not closed."""


def filled(text: str, environment: Mapping[str, str]) -> str:
    """Return `text` with its references replaced; raises `MissingVariableError`."""
    if "${" not in text:
        return text
    return FromEnvironment(REFERENCE.sub(lambda match: _value(match, environment), text))


def _value(match: re.Match[str], environment: Mapping[str, str]) -> str:
    if match[1]:
        return match[0][1:]
    name = match["name"]
    if name is None:
        raise MissingVariableError('"${" is not closed; write ${NAME}, or $${ for the two characters themselves')
    for value in _candidates(name, match["default"], environment):
        return value
    raise MissingVariableError(f"environment variable {name} is not set; set it, or write ${{{name}:-default}}")


def _candidates(name: str, default: str | None, environment: Mapping[str, str]) -> Iterator[str]:
    if environment.get(name):
        yield environment[name]
    if environment.get(f"{name}_FILE"):
        yield _content(name, Path(environment[f"{name}_FILE"]))
    if default is not None:
        yield default


def _content(name: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise MissingVariableError(f"{name}_FILE names {path}, which cannot be read: {error}") from error
