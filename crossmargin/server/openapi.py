"""The OpenAPI 3.1 document, from the very models that requests are checked by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, Field
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from crossmargin.documents import encode
from crossmargin.from_lake import MADE_BY, SERVED_FROM
from crossmargin.packaged import program_version
from crossmargin.server.problems import CONTENT_TYPE
from crossmargin.server.route import Route, Scope, TextBody

JSON = "application/json"
STREAMS = "streams"
"""The tag of routes that may be asked to go on where somebody stopped reading."""

REFERENCES = "#/components/schemas/{model}"
REFUSALS = {
    "400": "The question cannot be asked like that.",
    "401": "A key is needed, or is not known.",
    "403": "The key has not the scope.",
    "404": "Nothing is known by that name.",
    "409": "The store does not reach there, or something else was said before.",
    "413": "The body is too large.",
    "421": "Another service has what is asked for.",
    "429": "The quota of the key is used up; see `Retry-After`.",
    "503": "It cannot be answered now.",
}
ABOUT = (
    "Health, positions and prices of accounts of lending protocols, each as of a named block. Decimals and raw integers are strings, times "
    "are RFC 3339 in UTC, `null` is not known and never zero. Errors are RFC 9457 problem documents."
)


SET_NAMED = {
    "type": "object",
    "description": "The set of the lake that the whole answer is from; `lake_set` of two readers is the same where their answers are.",
    "properties": {
        "lake_set": {"type": "string"},
        "cut_at": {"type": "string", "format": "date-time"},
        "finality": {"const": "finalized"},
        "revaluation": {
            "type": "string",
            "description": "Which revaluation of the set the answer is, where it is one.",
        },
        "engine": {"type": "string", "description": "What made it."},
        "margin_accounts": {
            "type": "object",
            "description": "What made the rows of `fct_margin_account` and of other views of books that SQL has here: exactly of this "
            "set, policy and methodology. Without a revaluation there are no such views, and `reason` says why.",
            "properties": {name: {"type": ["string", "null"]} for name in MADE_BY},
            "required": list(MADE_BY),
        },
        "digest": {"type": "string", "description": "The SHA-256 of the file that holds the answer."},
    },
    "required": ["lake_set", "cut_at", "finality"],
}


class Problem(BaseModel):
    """An RFC 9457 problem document."""

    type: str
    title: str
    status: int
    detail: str
    """What, where and what to do."""
    code: str
    """A fixed word for programs."""
    exit_code: int
    """What the command line ends with for the same."""
    trace_id: str = Field(pattern="^[0-9a-f]{32}$")
    """Under which the service's log tells more."""


def document_of(routes: Iterable[Route], *, anonymous: bool, of_lake: bool = False) -> bytes:
    """Write the document; `anonymous`: whoever reads needs no key; `of_lake`: every answer names the set that it is from."""
    routes = list(routes)
    schemas = _Schemas(routes)
    if of_lake:
        schemas.name_sets(route.answer for route in routes if not isinstance(route.answer, str))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas, anonymous=anonymous)
    return encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "crossmargin",
                "version": program_version(),
                "description": ABOUT,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
            "paths": paths,
            "components": {
                "schemas": schemas.definitions,
                "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "bearerFormat": "cm_<id>_<secret>"}},
            },
        }
    )


class _Schemas:
    """Every model once, under its name."""

    def __init__(self, routes: Iterable[Route]) -> None:
        wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(Problem, "serialization"): None}
        for route in routes:
            if not isinstance(route.answer, str):
                wanted[route.answer, "serialization"] = None
            if route.body_model is not None:
                wanted[_described(route.body_model), "validation"] = None
        self._references, found = models_json_schema(list(wanted), ref_template=REFERENCES)
        self.definitions: dict[str, Any] = found.get("$defs", {})

    def name_sets(self, models: Iterable[type[BaseModel]]) -> None:
        """Let answers say from which set of a lake they are."""
        for model in models:
            for described in self._objects(model.__name__):
                described.setdefault("properties", {})[SERVED_FROM] = SET_NAMED

    def _objects(self, name: str) -> list[dict[str, Any]]:
        """Return the definition of an answer, or those of which it is one."""
        described: dict[str, Any] = self.definitions[name]
        if "anyOf" not in described:
            return [described]
        return [self.definitions[each["$ref"].rpartition("/")[2]] for each in described["anyOf"]]

    def of(self, model: type[BaseModel], mode: JsonSchemaMode) -> Mapping[str, Any]:
        return self._references[_described(model), mode]


def _described(model: type[BaseModel]) -> type[BaseModel]:
    return model.said_as if issubclass(model, TextBody) else model


def _operation(route: Route, schemas: _Schemas, *, anonymous: bool) -> dict[str, Any]:
    description = f"Scope: `{route.scope}`." if route.scope is not None else "For everybody."
    problem = {CONTENT_TYPE: {"schema": schemas.of(Problem, "serialization")}}
    said: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "description": description,
        "tags": [route.tag],
        "parameters": [*_parameters(route.path_model, "path"), *_parameters(route.query_model, "query")],
        "responses": {
            "200": {"description": "The answer.", "content": _answer(route, schemas)},
            **{status: {"description": text, "content": problem} for status, text in REFUSALS.items()},
        },
        "security": _security(route, anonymous=anonymous),
    }
    if route.cached:
        said["responses"]["304"] = {"description": "It is still what `If-None-Match` names."}
    if route.tag == STREAMS:
        said["responses"]["410"] = {
            "description": "The events behind this id are not kept any more.",
            "content": problem,
        }
    if route.body_model is not None:
        content = {JSON: {"schema": schemas.of(route.body_model, "validation")}}
        said["requestBody"] = {"required": True, "content": content}
        said["parameters"].append(_IDEMPOTENCY)
    return said


def _security(route: Route, *, anonymous: bool) -> list[dict[str, list[str]]]:
    """A key, none, or either."""
    if route.scope is None:
        return []
    free = anonymous and (route.scope is Scope.READ or route.signed)
    return [{}, {"key": []}] if free else [{"key": []}]


_IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A word that is new for each question: sent again under it, the question is answered as before and not asked again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$"},
}


def _answer(route: Route, schemas: _Schemas) -> dict[str, Any]:
    if isinstance(route.answer, str):
        return {route.answer: {"schema": {"type": "string"} if route.answer != JSON else {}}}
    return {JSON: {"schema": schemas.of(route.answer, "serialization")}}


def _parameters(model: type[BaseModel], place: str) -> list[dict[str, Any]]:
    """Describe the fields of a model of plain values."""
    schema = model.model_json_schema(ref_template=REFERENCES)
    return [
        {
            "name": name,
            "in": place,
            "required": place == "path" or name in schema.get("required", ()),
            "description": field.pop("description", ""),
            "schema": _plain(field),
        }
        for name, field in schema.get("properties", {}).items()
    ]


def _plain(field: dict[str, Any]) -> dict[str, Any]:
    """Take `null` from a parameter that may be left out: a text can be no null."""
    kinds = [kind for kind in field.get("anyOf", ()) if kind.get("type") != "null"]
    if len(kinds) == 1:
        return {**kinds[0], **{key: value for key, value in field.items() if key not in {"anyOf", "default", "title"}}}
    return {key: value for key, value in field.items() if key != "title"}
