"""`completion`: scripts by which shells complete commands and options; all words are in the script, so that no program is started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from crossmargin.cli.context import GLOBAL_FLAGS, GLOBAL_VALUES

if TYPE_CHECKING:
    import typer

EVERYWHERE = (*(flag for flag in GLOBAL_FLAGS if flag.startswith("--")), *GLOBAL_VALUES, "--help")


class Shell(StrEnum):
    """Whose script it is."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@dataclass(frozen=True, slots=True)
class Words:
    """What may follow behind some commands: further ones, and options."""

    commands: tuple[str, ...]
    options: tuple[str, ...]


def script(shell: Shell, app: typer.Typer) -> str:
    """Write the script of a shell."""
    tree = dict(_words(app))
    return {Shell.BASH: _bash, Shell.ZSH: _zsh, Shell.FISH: _fish}[shell](tree)


def _words(app: typer.Typer) -> Iterator[tuple[tuple[str, ...], Words]]:
    from typer.main import get_command

    waiting: list[tuple[tuple[str, ...], object]] = [((), get_command(app))]
    while waiting:
        path, command = waiting.pop()
        inner: Mapping[str, object] = getattr(command, "commands", {})
        own = (option for each in getattr(command, "params", ()) for option in each.opts if option.startswith("--"))
        yield path, Words(tuple(sorted(inner)), tuple(sorted({*own, *EVERYWHERE})))
        waiting += [((*path, name), each) for name, each in inner.items()]


def _bash(tree: Mapping[tuple[str, ...], Words]) -> str:
    steps = "|".join(f'"/{"/".join(path)}"' for path in sorted(tree) if path)
    cases = "\n".join(
        f'        "{"".join(f"/{name}" for name in path)}") words="{" ".join((*words.commands, *words.options))}" ;;'
        for path, words in sorted(tree.items())
    )
    return f"""\
_crossmargin() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" path="" word words=""
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "$path/$word" in
            {steps}) path="$path/$word" ;;
        esac
    done
    case "$path" in
{cases}
    esac
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _crossmargin crossmargin
"""


def _zsh(tree: Mapping[tuple[str, ...], Words]) -> str:
    return f"autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n{_bash(tree)}"


def _fish(tree: Mapping[tuple[str, ...], Words]) -> str:
    lines = [
        "function __crossmargin_path",
        "    set -l path ''",
        "    for word in (commandline -opc)[2..-1]",
        f"        if contains -- $path/$word {' '.join('/' + '/'.join(path) for path in sorted(tree) if path)}",
        "            set path $path/$word",
        "        end",
        "    end",
        "    echo $path",
        "end",
    ]
    for path, words in sorted(tree.items()):
        where = f"test (__crossmargin_path) = '{''.join(f'/{name}' for name in path)}'"
        lines += [f'complete -c crossmargin -n "{where}" -f -a "{" ".join(words.commands)}"'] if words.commands else []
        lines += [f'complete -c crossmargin -n "{where}" -l {option[2:]}' for option in words.options]
    return "\n".join(lines) + "\n"
