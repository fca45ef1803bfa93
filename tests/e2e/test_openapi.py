"""The service keeps to its own OpenAPI document: seeded questions, as it describes them and as it rules them out, to every route."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Verbosity, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, CheckFunction, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.errors import InvalidSchema
from schemathesis.core.result import Ok, Result
from schemathesis.specs.openapi.checks import positive_data_acceptance

from crossmargin.service_file import read
from tests.e2e.conftest import Indexed
from tests.support.recorded import service

STORE = "crossmargin.duckdb"
EXAMPLES, HEAVY_EXAMPLES = 4, 1
HEAVY = {"POST /v1/backups", "POST /v1/snapshots", "POST /v1/publish", "POST /v1/parity", "GET /v1/stress"}
"""What takes seconds each time."""

CANNOT_NOW = 503
"""What a question is answered whose chain has no node here."""

STREAMS = {"GET /v1/stream", "GET /v1/ws"}
"""What is answered without an end, or in another protocol."""

LEAST_ROUTES = 55
PATIENCE_S = 120


@pytest.fixture(scope="module")
def served(indexed_once: Indexed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A service with its owner's token."""
    folder = tmp_path_factory.mktemp("described") / "indexed"
    shutil.copytree(indexed_once.folder, folder)
    with service(folder, "serve") as (url, _):
        said = read(folder / f"{STORE}.service.json")
        assert said is not None
        yield url, said.token


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_route_answers_as_it_is_described(served: tuple[str, str], mode: GenerationMode) -> None:
    """No fault, no status, type, header or body that the document does not name, nothing taken that it rules out.

    That everything which it does not rule out is taken is not asked: it cannot say which accounts, moments and cursors there are.
    """
    url, token = served
    headers = {"Authorization": f"Bearer {token}"}
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", headers=headers)
    described = [operation_of(found) for found in schema.get_all_operations()]
    operations = [operation for operation in described if operation.label not in STREAMS]

    problems = [f"{operation.label}: {told}" for operation in operations for told in wrong(operation, mode, headers)]

    assert len(operations) == len(described) - len(STREAMS) >= LEAST_ROUTES
    assert problems == []


def operation_of(found: Result[APIOperation[Any, Any, Any, Any], InvalidSchema]) -> APIOperation[Any, Any, Any, Any]:
    assert isinstance(found, Ok), found
    return found.ok()


def wrong(operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode, headers: dict[str, str]) -> list[str]:
    """What is not as the document says, in words."""

    @seed(1)
    @settings(
        max_examples=HEAVY_EXAMPLES if operation.label in HEAVY else EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Case[Any]) -> None:
        answer = case.call(headers=headers, timeout=PATIENCE_S)
        without: list[CheckFunction] = [
            positive_data_acceptance,
            *([not_a_server_error] if answer.status_code == CANNOT_NOW else []),
        ]
        case.validate_response(answer, headers=headers, excluded_checks=without)

    try:
        ask()
    except Unsatisfiable:
        return []  # the document rules nothing out here
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told beside those of the other routes
        return [str(each) for each in getattr(error, "exceptions", [error])]
    return []
