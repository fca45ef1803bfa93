"""Creation code: the protocol's own from its package, ours from `contracts/`."""

import fcntl
import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
AAVE, FIRST_AAVE = "@aave/core-v3", "aave-core-v3-3.0.0"
COMPILED = (AAVE, "@aave-dao/aave-v3-origin", "openzeppelin-5", "solc-0.8.27")
"""The packages that `compile-aave.js` reads."""
BUILD = HERE / ".build"
INSTALL_HINT = "run `npm ci --ignore-scripts` in tests/devnet/evm"


class MissingPart(Exception):
    """A part of the devnet that has not been installed."""


def aave_bytecode(source: str, libraries: Mapping[str, str] | None = None, package: str = AAVE) -> str:
    """Linked creation code by `folder/File`, or `folder/File:Contract` where the names differ."""
    return linked(aave_artifact(source, package), libraries)


def linked(artifact: Mapping[str, Any], libraries: Mapping[str, str] | None = None) -> str:
    """The creation code of an artifact with its libraries' addresses in it."""
    code: str = artifact["bytecode"]
    for links in artifact["linkReferences"].values():
        for library, places in links.items():
            code = link(code, places, (libraries or {})[library])
    return code


def link(code: str, places: list[dict[str, int]], address: str) -> str:
    """The code with a library's address put at its places."""
    for place in places:
        first = 2 + 2 * place["start"]
        code = code[:first] + address[2:].lower() + code[first + 2 * place["length"] :]
    return code


@cache
def aave_artifact(source: str, package: str) -> dict[str, Any]:
    """A Hardhat artifact of one of the protocol's packages."""
    file, _, contract = source.partition(":")
    path = MODULES / package / "artifacts" / "contracts" / f"{file}.sol" / f"{contract or Path(file).name}.json"
    if not path.exists():
        raise MissingPart(f"{path.name} of {package} is not there: {INSTALL_HINT}")
    return dict(json.loads(path.read_text()))


@cache
def aave_upgrade(task: str) -> dict[str, Any]:
    """What `compile-aave.js` makes for a task, by contract; compiled once per state of it and of the packages it reads."""
    manifests = [MODULES / package / "package.json" for package in COMPILED]
    if missing := [file.parent.name for file in manifests if not file.exists()]:
        raise MissingPart(f"{', '.join(missing)} is not there: {INSTALL_HINT}")
    digest = hashlib.sha256(task.encode())
    for file in (HERE / "compile-aave.js", *sorted((HERE / "upgrades").glob("*.sol")), *manifests):
        digest.update(file.name.encode() + file.read_bytes())
    return made(digest.hexdigest()[:16], "compile-aave.js", task)


def own_bytecode(contract: str) -> str:
    """Creation code of a contract in `contracts/`."""
    return str(compiled()[contract]["bytecode"])


@cache
def compiled() -> dict[str, Any]:
    """Every contract of `contracts/`, compiled once per state of the sources and the compiler."""
    return made(source_digest(), "compile.js")


@cache
def package_bytecode(*sources: str) -> dict[str, str]:
    """Creation code by contract of sources of npm packages, or of files `./…` that use them; compiled once per state of all that."""
    files = [(HERE if source.startswith("./") else MODULES) / source for source in sources]
    if missing := [file.name for file in files if not file.exists()]:
        raise MissingPart(f"{', '.join(missing)} is not there: {INSTALL_HINT}")
    digest = hashlib.sha256(source_digest().encode() + (HERE / "compile-package.js").read_bytes())
    for file in files:
        digest.update(file.name.encode() + file.read_bytes())
    artifacts = made(digest.hexdigest()[:16], "compile-package.js", *sources)
    return {name: str(artifact["bytecode"]) for name, artifact in artifacts.items()}


def source_digest() -> str:
    """A digest of everything that the compiled code depends on."""
    manifest = MODULES / "solc" / "package.json"
    if not manifest.exists():
        raise MissingPart(f"solc is not there: {INSTALL_HINT}")
    digest = hashlib.sha256(json.loads(manifest.read_text())["version"].encode())
    for path in (HERE / "compile.js", *sorted((HERE / "contracts").glob("*.sol"))):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def made(name: str, script: str, *arguments: str) -> dict[str, Any]:
    """What a compiler's script prints, kept under a name; whichever process needs it first compiles, and the others wait for it."""
    BUILD.mkdir(exist_ok=True)
    stored = BUILD / f"{name}.json"
    with (BUILD / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stored.exists():
            store(stored, run_compiler(script, *arguments))
    return dict(json.loads(stored.read_text()))


def run_compiler(script: str, *arguments: str) -> str:
    """The compiler's answer. Raises RuntimeError with its complaints."""
    command = ["node", str(HERE / script), *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise RuntimeError(f"contracts do not compile:\n{run.stderr}")
    return run.stdout


def store(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w") as stream:
        stream.write(text)
    Path(temporary).replace(path)
