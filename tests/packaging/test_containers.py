"""What docker-compose.yml and Dockerfile promise: pinned, confined, watched, and only commands that exist."""

from __future__ import annotations

import configparser
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

Service = dict[str, Any]
LAKE = ("lake-north", "lake-south", "lake-join", "lake-reader")
LIVE = ("live-north", "live-south", "live-aggregator")
SERVICES = ("crossmargin", "demo", *LAKE, *LIVE, "prometheus", "grafana")


@pytest.fixture(scope="session")
def compose(checkout: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((checkout / "docker-compose.yml").read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="session")
def dockerfile(checkout: Path) -> list[tuple[str, str]]:
    """Instructions and their arguments, continued lines joined."""
    text = (checkout / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


@pytest.fixture(params=SERVICES)
def service(compose: dict[str, Any], request: pytest.FixtureRequest) -> Service:
    chosen: Service = compose["services"][request.param]
    return chosen


def test_every_service_is_looked_at_here(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == set(SERVICES)


def test_a_service_is_confined(service: Service) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert int(service["user"].partition(":")[0]) > 0
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["pids_limit"] > 0


def test_a_service_is_watched(service: Service, dockerfile: list[tuple[str, str]]) -> None:
    built_here = "build" in service and "HEALTHCHECK" in dict(dockerfile)

    assert built_here or service["healthcheck"]["test"]


def test_a_service_is_published_on_loopback_alone(service: Service) -> None:
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_an_image_that_is_not_built_here_is_pinned(service: Service) -> None:
    assert "build" in service or re.search(r":v?\d+\.\d+\.\d+$|@sha256:[0-9a-f]{64}$", service["image"])


def test_every_mounted_file_exists_or_is_the_operators_own(checkout: Path, compose: dict[str, Any]) -> None:
    """Configuration, `.env` and `secrets/` are the operator's; what lies in `ops/` is ours."""
    mounts = [mount for s in compose["services"].values() for mount in s.get("volumes", [])]
    ours = [checkout / mount.partition(":")[0] for mount in mounts if mount.startswith("./ops/")]

    assert ours != []
    assert [path for path in ours if not path.is_dir()] == []
    assert {m.partition(":")[0] for m in mounts if not m.startswith("./")} == set(compose["volumes"])


def test_services_run_commands_that_exist(compose: dict[str, Any], commands: frozenset[str]) -> None:
    for name in ("crossmargin", "demo", *LAKE, *LIVE):
        words = compose["services"][name]["command"]
        command = next(word for word in words if word in commands)
        inner = words[words.index(command) + 1 :][:1] if command == "lake" else []
        options = {word for word in words if word.startswith("--")}

        assert options - set(re.findall(r"--[a-z-]+", help_of() + help_of(command, *inner))) == set()


def test_the_image_is_pinned_and_installs_by_hash(dockerfile: list[tuple[str, str]]) -> None:
    (base,) = (rest for word, rest in dockerfile if word == "ARG")
    installs = [step for word, rest in dockerfile if word == "RUN" for step in rest.split("&&") if " install " in step]

    assert re.fullmatch(r"PYTHON=python:3\.\d+\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", base)
    assert [s for s in installs if "pip" in s and not re.search("--require-hashes|--no-deps", s)] == []


def test_the_image_runs_the_command_as_nobody_special(dockerfile: list[tuple[str, str]]) -> None:
    last = dict(dockerfile)

    assert int(last["USER"].partition(":")[0]) > 0
    assert json.loads(last["ENTRYPOINT"]) == ["crossmargin"]
    assert "/healthz" in last["HEALTHCHECK"]


def test_what_the_image_copies_passes_its_ignore_file(checkout: Path, dockerfile: list[tuple[str, str]]) -> None:
    let_through = (checkout / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = [
        path
        for word, rest in dockerfile
        if word == "COPY" and not rest.startswith("--from")
        for path in rest.split()[:-1]
    ]

    assert {f"!{path}" for path in copied} <= set(let_through)
    assert [path for path in copied if not (checkout / path).exists()] == []


def test_dashboards_and_alerts_ask_for_metrics_that_exist(checkout: Path) -> None:
    asked = {
        name
        for path in (checkout / "ops").rglob("*.*")
        for name in re.findall(r"\bcrossmargin_[a-z_]+\b", path.read_text(encoding="utf-8"))
    }
    source = "\n".join(path.read_text(encoding="utf-8") for path in (checkout / "crossmargin").rglob("*.py"))

    bare = {re.sub("_(total|bucket|sum|count)$", "", name) for name in asked}
    assert asked != set()
    assert {name for name in bare if not re.search(rf'"{name}(_total)?"', source)} == set()


def test_every_panel_has_its_place_and_says_what_it_asks(checkout: Path) -> None:
    dashboard = json.loads((checkout / "ops/grafana/dashboards/crossmargin.json").read_text(encoding="utf-8"))
    panels = dashboard["panels"]

    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(target["expr"] and target["legendFormat"] for panel in panels for target in panel["targets"])


def test_every_alert_says_what_to_do(checkout: Path) -> None:
    rules = yaml.safe_load((checkout / "ops/prometheus/alerts.yml").read_text(encoding="utf-8"))

    for rule in rules["groups"][0]["rules"]:
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"].keys() == {"summary", "action"}


def test_every_alert_has_a_runbook_and_none_is_left_over(checkout: Path) -> None:
    rules = yaml.safe_load((checkout / "ops/prometheus/alerts.yml").read_text(encoding="utf-8"))
    runbooks = (checkout / "docs/operations.md").read_text(encoding="utf-8").partition("\n## Runbooks\n")[2]

    alerts = [rule["alert"] for rule in rules["groups"][0]["rules"]]
    assert re.findall(r"^### (\w+)$", runbooks, flags=re.MULTILINE) == alerts


@pytest.mark.parametrize("unit", ["crossmargin.service", "crossmargin-backup.service"])
def test_units_start_commands_that_exist(checkout: Path, unit: str, commands: frozenset[str]) -> None:
    read = configparser.RawConfigParser(strict=False)
    read.optionxform = str  # type: ignore[assignment, method-assign]
    read.read(checkout / "ops/systemd" / unit)
    program, *words = read["Service"]["ExecStart"].split()
    command = next(word for word in words if word in commands)

    assert program.endswith("/bin/crossmargin")
    assert {w for w in words if w.startswith("--")} <= set(re.findall(r"--[a-z-]+", help_of() + help_of(command)))


def help_of(*command: str) -> str:
    asked = [str(Path(sys.executable).with_name("crossmargin")), *command, "--help"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout
