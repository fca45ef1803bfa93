"""Who may import whom. The contracts stand in pyproject.toml under `tool.importlinter`."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

PACKAGES = ("chains", "indexer", "aggregator", "crossmargin")


def test_imports_keep_every_contract(
    checkout: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkout)
    monkeypatch.setattr(
        "logging.config.dictConfig", lambda _: None
    )  # it would silence loggers in all tests that follow

    status = lint_imports(config_filename="pyproject.toml", no_cache=True, no_logo=True)

    assert status == 0, capsys.readouterr().out


def test_only_the_schedule_imports_apscheduler(checkout: Path) -> None:
    """It ships no types: one module stands between it and the rest."""
    importers = [path for path in modules(checkout) if "apscheduler" in imported(path)]

    assert [str(path.relative_to(checkout)) for path in importers] == ["crossmargin/schedule.py"]


def test_a_worker_of_sql_imports_nothing_that_it_does_not_use() -> None:
    """Each service starts several, and one more whenever a query was cut short."""
    asked = "import sys; before = set(sys.modules); import crossmargin.sql.worker; print(*sorted(set(sys.modules) - before))"

    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout.split()

    assert "sqlglot" in told
    assert {"aiohttp", "eth_utils", "pydantic", "rich", "structlog", "crossmargin.sql.guard"} & set(told) == set()


def test_the_pure_core_asks_neither_the_clock_nor_the_world(checkout: Path) -> None:
    """What an import contract cannot see: `datetime.now()`, `open()`, `numpy.random`."""
    asked = [
        f"{path.relative_to(checkout)}: {ast.unparse(node)}"
        for path in pure_modules(checkout)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if is_impure(node)
    ]

    assert asked == []


def is_impure(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="open" | "print" | "input" | "exec" | "eval" | "__import__")):
            return True
        case ast.Call(func=ast.Attribute(attr="now" | "utcnow" | "today")):
            return True
        case ast.Attribute(value=ast.Name(id="np" | "numpy"), attr="random"):
            return True
        case _:
            return False


def pure_modules(checkout: Path) -> Iterator[Path]:
    settings = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))
    (pure,) = (c for c in settings["tool"]["importlinter"]["contracts"] if c["id"] == "pure")
    for name in pure["source_modules"]:
        path = name.replace(".", "/")
        yield from sorted({*checkout.glob(f"{path}.py"), *checkout.glob(f"{path}/**/*.py")})


def modules(checkout: Path) -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((checkout / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """The top-level names that a module imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import():
                names |= {alias.name.partition(".")[0] for alias in node.names}
            case ast.ImportFrom(module=str(module), level=0):
                names.add(module.partition(".")[0])
            case _:
                pass
    return names
