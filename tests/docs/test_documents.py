"""Documents that are true: links lead somewhere, named commands and targets exist."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

FENCE = re.compile(r"^(```|~~~).*?^\1", flags=re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?[^)]*\)|<(?:a|img)[^>]*(?:href|src)=\"([^\"]+)\"")


@pytest.fixture(scope="session")
def documents(checkout: Path, tracked: frozenset[str]) -> dict[str, str]:
    return {path: (checkout / path).read_text(encoding="utf-8") for path in tracked if path.endswith(".md")}


def test_every_relative_link_leads_to_a_tracked_file(documents: dict[str, str], tracked: frozenset[str]) -> None:
    dead = [
        f"{path} -> {target}"
        for path, text in documents.items()
        for target in links(text)
        if not leads_somewhere(path, target, tracked)
    ]

    assert dead == []


def test_every_anchor_is_a_heading(checkout: Path, documents: dict[str, str]) -> None:
    dead = [
        f"{path} -> {target}"
        for path, text in documents.items()
        for target in links(text)
        if "#" in target and not has_anchor(checkout, path, target)
    ]

    assert dead == []


def test_every_make_target_that_a_document_names_exists(checkout: Path, documents: dict[str, str]) -> None:
    makefile = (checkout / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, flags=re.MULTILINE))
    named = {
        target
        for text in documents.values()
        for code in code_of(text)
        for target in re.findall(r"^\s*make ([a-z-]+)", code)
    }

    assert named != set()
    assert named - targets == set()


def test_every_command_that_a_document_names_exists(documents: dict[str, str], commands: frozenset[str]) -> None:
    call = re.compile(r"^\s*(?:\$ )?(?:\.venv/bin/)?crossmargin (?:--config \S+ |--json )*([a-z][a-z-]*)")
    named = {name for text in documents.values() for code in code_of(text) for name in call.findall(code)}

    assert named - commands == set()


def test_every_target_says_what_it_does(checkout: Path) -> None:
    makefile = (checkout / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)
    explained = re.findall(r"^([a-z-]+):.* ## \S", makefile, flags=re.MULTILINE)

    assert sorted(explained) == sorted(phony.split())


def test_the_changelog_has_a_place_for_what_comes_and_what_is(checkout: Path) -> None:
    changelog = (checkout / "CHANGELOG.md").read_text(encoding="utf-8")
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert re.search(rf"^## \[(Unreleased|{re.escape(project['version'])})\]", changelog, flags=re.MULTILINE)


def test_decisions_are_numbered_without_a_gap(tracked: frozenset[str]) -> None:
    numbers = sorted(
        int(m[1]) for path in tracked if (m := re.fullmatch(r"docs/decisions/(\d{4})-[a-z0-9-]+\.md", path))
    )

    assert numbers == list(range(1, len(numbers) + 1))


def test_every_folder_of_code_is_on_the_map(documents: dict[str, str], tracked: frozenset[str]) -> None:
    """By its path, or by its name in the row of the folder that it is in."""
    rows = [line for line in documents["docs/architecture.md"].splitlines() if line.startswith("| `")]
    named = {path: row for row in rows for path in re.findall(r"`([\w/]+)`", row.split("|")[1])}
    folders = {str(Path(path).parent) for path in tracked if path.endswith(".py")}
    packages = {path for path in folders if path.split("/")[0] in {"chains", "indexer", "aggregator", "crossmargin"}}

    assert len(packages) > 50
    assert (
        sorted(
            path
            for path in packages - named.keys()
            if f"`{Path(path).name}`" not in named.get(str(Path(path).parent), "")
        )
        == []
    )


@pytest.mark.parametrize("package", ["aggregator", "crossmargin"])
def test_every_module_of_a_large_folder_is_on_the_map(
    documents: dict[str, str], tracked: frozenset[str], package: str
) -> None:
    _, _, tables = documents["docs/architecture.md"].partition("### Modules of the application")
    named = set(re.findall(r"`(\w+)`", tables.partition("### A protocol")[0]))
    modules = {Path(path).stem for path in tracked if re.fullmatch(rf"{package}/\w+\.py", path)} - {"__init__"}

    assert len(modules) > 20
    assert sorted(modules - named) == []


def links(text: str) -> Iterator[str]:
    """Targets of the links of a document that stay inside the project."""
    for match in LINK.finditer(FENCE.sub("", text)):
        target = match[1] or match[2]
        if not re.match(r"[a-z]+:", target):
            yield target


def leads_somewhere(path: str, target: str, tracked: frozenset[str]) -> bool:
    name = target.partition("#")[0]
    if not name:
        return True
    aimed = normal(Path(path).parent / name)
    return aimed in tracked or any(other.startswith(f"{aimed}/") for other in tracked)


def has_anchor(checkout: Path, path: str, target: str) -> bool:
    name, _, anchor = target.partition("#")
    aimed = checkout / (normal(Path(path).parent / name) if name else path)
    headings = re.findall(r"^#+ +(.+?)\s*$", FENCE.sub("", aimed.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def normal(path: Path) -> str:
    """A path from the top of the checkout, with `..` and `.` worked out."""
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def code_of(text: str) -> Iterator[str]:
    """Each line of a document's code blocks, and each piece of code within its prose."""
    for block in FENCE.finditer(text):
        yield from block[0].splitlines()[1:-1]
    yield from re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
