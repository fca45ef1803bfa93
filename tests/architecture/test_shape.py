"""How large a function may grow, and what every protocol folder holds."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from chains.registry import PROTOCOLS, is_observed
from chains.solana.programs import PROGRAM_SLOTS

PACKAGES = ("chains", "indexer", "aggregator", "crossmargin")
LONGEST = 60

# A function that is longer has its reason here: "path:name": "why it reads better whole".
LONG_FOR_A_REASON: dict[str, str] = {}

# Every protocol reads like its neighbour; price sources, evidence and proofs are no protocol.
PROTOCOL_FILES = {"__init__.py", "fold.py", "unit.py"}
SAID = {"events.py", "layout.py"}
"""What a protocol's contracts emit, or what its accounts hold: one of both says what there is to read."""
NO_REASON = re.compile(r"# (?:noqa: [A-Z]+[0-9]+(?:, [A-Z]+[0-9]+)*|type: ignore\[[a-z, -]+\])$")
NOT_PROTOCOLS = {"oracles", "evidence", "proofs"}


def test_no_function_is_longer_than_a_screen_without_a_reason(checkout: Path) -> None:
    long = {name for name, length in function_lengths(checkout) if length > LONGEST}

    assert long == set(LONG_FOR_A_REASON)


def test_every_protocol_folder_has_the_same_shape(checkout: Path) -> None:
    missing = {
        str(folder.relative_to(checkout)): sorted(PROTOCOL_FILES - names) + ([] if SAID & names else sorted(SAID))
        for folder in protocol_folders(checkout)
        if (names := {path.name for path in folder.iterdir()})
    }

    assert missing != {}
    assert set(map(tuple, missing.values())) == {()}, missing


def test_every_protocol_whose_accounts_are_read_minds_which_program_runs() -> None:
    for protocol in sorted(name for name in PROTOCOLS if is_observed(name)):
        folder = import_module(PROTOCOLS[protocol])
        options = import_module(f"{PROTOCOLS[protocol]}.options")

        assert callable(folder.doubts), protocol
        assert PROGRAM_SLOTS in options.KEYS, protocol
        assert PROGRAM_SLOTS in options.VALUED, protocol
        assert options.check_options({PROGRAM_SLOTS: "soon"}) != [], protocol


def test_every_package_says_what_it_is_for(checkout: Path) -> None:
    silent = [
        str(path.relative_to(checkout))
        for package in PACKAGES
        for path in (checkout / package).rglob("__init__.py")
        if ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) is None
    ]

    assert silent == []


def test_every_rule_that_is_switched_off_for_a_line_has_its_reason_there(checkout: Path) -> None:
    silent = [
        f"{path.relative_to(checkout)}:{number}"
        for package in PACKAGES
        for path in (checkout / package).rglob("*.py")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if NO_REASON.search(line)
    ]

    assert silent == []


def function_lengths(checkout: Path) -> Iterator[tuple[str, int]]:
    for package in PACKAGES:
        for path in (checkout / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
                    yield f"{path.relative_to(checkout)}:{node.name}", node.end_lineno - node.lineno + 1


def protocol_folders(checkout: Path) -> Iterator[Path]:
    for family in ("evm", "solana"):
        for folder in sorted((checkout / "chains" / family).glob("*/")):
            if (folder / "__init__.py").exists() and folder.name not in NOT_PROTOCOLS:
                yield folder
