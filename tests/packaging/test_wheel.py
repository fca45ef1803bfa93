"""The one wheel: what it holds, and that it runs where nothing but the pinned runtime dependencies is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

PACKAGES = {"chains", "indexer", "aggregator", "crossmargin"}


@pytest.fixture(scope="session")
def version(checkout: Path) -> str:
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


@pytest.fixture(scope="session")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "--target",
        "wheel",
        "--directory",
        str(folder),
        cwd=checkout,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def contents(wheel: Path) -> set[str]:
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="session")
def installed(checkout: Path, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of a fresh environment with the wheel and the runtime lock, and nothing else."""
    environment = tmp_path_factory.mktemp("installed") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", str(environment))
    install(environment, "--require-hashes", "-r", str(checkout / "requirements.lock"))
    install(environment, "--no-deps", str(wheel))
    return environment / "bin"


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A folder with nothing in it, outside the checkout."""
    return tmp_path


def test_the_wheel_has_exactly_the_four_packages_at_its_top(contents: set[str], version: str) -> None:
    assert {name.partition("/")[0] for name in contents} == PACKAGES | {f"crossmargin-{version}.dist-info"}


def test_the_wheel_carries_every_file_of_its_packages(contents: set[str], tracked: frozenset[str]) -> None:
    """Configuration, migrations and recordings are as much part of the product as its code."""
    code = {path for path in tracked if path.partition("/")[0] in PACKAGES}
    config = {f"crossmargin/{path}" for path in tracked if path.startswith("config/")}
    wanted = code | config

    assert wanted - contents == set()
    assert contents - wanted == {name for name in contents if ".dist-info/" in name}


@pytest.mark.parametrize(
    "kind",
    [
        r"crossmargin/config/policy\.toml",
        r"crossmargin/config/deployments\.toml",
        r"indexer/.*migrations/.*\.sql",
        r"crossmargin/.*\.json\.gz",
    ],
)
def test_the_wheel_carries(contents: set[str], kind: str) -> None:
    assert any(re.fullmatch(kind, name) for name in contents)


def test_the_wheel_is_marked_as_typed(contents: set[str]) -> None:
    assert {f"{package}/py.typed" for package in PACKAGES} <= contents


def test_the_environment_holds_the_runtime_lock_and_nothing_else(checkout: Path, installed: Path) -> None:
    listing = "import importlib.metadata as m; print(*(d.name for d in m.distributions()))"
    names = run(str(installed / "python"), "-I", "-c", listing).split()

    assert {normal(name) for name in names} <= locked(checkout / "requirements.lock") | {"crossmargin"}


def test_the_installed_command_tells_its_version(installed: Path, empty: Path, version: str) -> None:
    assert run(str(installed / "crossmargin"), "--version", cwd=empty).strip().endswith(version)
    assert list(empty.iterdir()) == []


def test_the_installed_command_lists_its_commands(installed: Path, empty: Path) -> None:
    listing = run(str(installed / "crossmargin"), "--help", cwd=empty)

    assert set(re.findall(r"[a-z-]+", listing)) > {"demo", "index", "run", "serve", "status", "health", "sql"}


def test_the_installed_demo_needs_no_network_and_no_file(installed: Path, empty: Path) -> None:
    shown = json.loads(run(str(installed / "crossmargin"), "demo", "--no-serve", "--json", cwd=empty))

    assert shown
    assert list(empty.iterdir()) == []


OF_AN_EXTRA = {
    "aggregator/arrays/compiled.py",
    "aggregator/arrays/compiled_sales.py",
    "aggregator/arrays/quads.py",
    "aggregator/arrays/turns.py",
    "aggregator/audit/branch_kernels.py",
    "aggregator/audit/c_functions.py",
    "aggregator/audit/openssl.py",
    "aggregator/audit/weaving_kernel.py",
    "aggregator/jitted.py",
    "aggregator/risk/compiled.py",
    "aggregator/risk/compiled_breaches.py",
    "crossmargin/cli/tools.py",
    "crossmargin/telemetry.py",
}
"""What imports what an extra brings: numba (`fast`; else numpy computes), OpenTelemetry (`otel`; else nothing is traced), `mcp`."""


def test_every_module_imports_without_a_development_dependency(installed: Path, tracked: frozenset[str]) -> None:
    names = sorted(
        path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for path in tracked - OF_AN_EXTRA
        if path.endswith(".py") and path.partition("/")[0] in PACKAGES and not path.endswith("__main__.py")
    )
    script = (
        f"import importlib\nfor name in {names!r}: importlib.import_module(name)\n"
        "from aggregator.arrays import kernels, stacked\nassert kernels.fastest() is stacked.revalue\n"
        "from aggregator.audit import branches, weaving\nassert branches.kernels() is None\nassert not weaving.is_there()"
    )

    run(str(installed / "python"), "-I", "-W", "error", "-c", script)


def locked(lock: Path) -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+)==", lock.read_text(encoding="utf-8"), flags=re.MULTILINE))


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def install(environment: Path, *arguments: str) -> None:
    """As `scripts/setup-venv` does: by uv, and by pip where uv cannot."""
    python = str(environment / "bin" / "python")
    try:
        run(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python, *arguments)
    except AssertionError:
        run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", *arguments)


def run(*command: str, cwd: Path | None = None) -> str:
    """What a command prints, with no variable that would lead Python back into the checkout."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
