"""A route is one function with its models: from them come the checks of what is asked, and the OpenAPI document.

    @room.get("/v1/accounts/{id}/health", answer=HealthDocument)
    def health(desk: Desk, path: AccountPath, query: AtQuery) -> Document:
        \"\"\"The health document of an account.\"\"\"
        return desk.health(path.id, query.at)

A function asks by name for what it needs: `desk`, `house`, `asker`, `request`, and `path`, `query`, `body`, each a model. What is no
coroutine runs in a thread, so that DuckDB never blocks the event loop.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict

F = TypeVar("F", bound=Callable[..., object])

SMALL_BODY = 64 * 1024
QUICK_S = 60.0
"""How long an answer may take unless its route says otherwise."""

GIVEN = frozenset({"desk", "house", "asker", "request"})
MODELS = ("path", "query", "body")


class Scope(StrEnum):
    """What a key allows."""

    READ = "read"
    SQL = "sql"
    IMPORT = "import"
    FOLLOW = "follow"
    ADMIN = "admin"


class Asked(BaseModel):
    """What is asked: nothing else is taken, and nothing is guessed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Nothing(Asked):
    """No parameters."""


class TextBody(BaseModel):
    """A body that is taken as it was sent, since somebody signed it; `said_as` describes what it must be."""

    said_as: ClassVar[type[BaseModel]]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path; `scope` `None`: for everybody; `most_bytes` of the body; `heavy` work waits for other heavy work.

    `answer`: the model of what is answered, or its media type where it is no JSON.
    """

    method: str
    path: str
    tag: str
    work: Callable[..., Any]
    wanted: frozenset[str]
    path_model: type[BaseModel]
    query_model: type[BaseModel]
    body_model: type[BaseModel] | None
    answer: type[BaseModel] | str
    scope: Scope | None
    heavy: bool
    most_bytes: int
    most_seconds: float | None
    cached: bool
    signed: bool

    @property
    def name(self) -> str:
        return self.work.__name__

    @property
    def summary(self) -> str:
        return (inspect.getdoc(self.work) or self.name).partition("\n\n")[0]


class Room:
    """The routes of one theme, in the order in which they are written."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.routes: list[Route] = []

    def get(
        self,
        path: str,
        *,
        answer: type[BaseModel] | str,
        scope: Scope | None = Scope.READ,
        heavy: bool = False,
        cached: bool = True,
    ) -> Callable[[F], F]:
        """Answer GET; `cached`: with an ETag, so that who has the answer is told that it is still so."""
        return self._route("GET", path, answer=answer, scope=scope, heavy=heavy, cached=cached)

    def post(
        self,
        path: str,
        *,
        answer: type[BaseModel] | str,
        scope: Scope | None,
        heavy: bool = False,
        most_bytes: int = SMALL_BODY,
        most_seconds: float | None = QUICK_S,
        signed: bool = False,
    ) -> Callable[[F], F]:
        """Answer POST; `signed`: the body's own signature says who speaks, so that whoever may read without a key may send it."""
        return self._route(
            "POST",
            path,
            answer=answer,
            scope=scope,
            heavy=heavy,
            most_bytes=most_bytes,
            most_seconds=most_seconds,
            signed=signed,
        )

    def _route(
        self,
        method: str,
        path: str,
        *,
        answer: type[BaseModel] | str,
        scope: Scope | None,
        heavy: bool,
        most_bytes: int = 0,
        most_seconds: float | None = QUICK_S,
        cached: bool = False,
        signed: bool = False,
    ) -> Callable[[F], F]:
        def enter(work: F) -> F:
            models = _models(work)
            self.routes.append(
                Route(
                    method=method,
                    path=path,
                    tag=self.tag,
                    work=work,
                    wanted=frozenset(inspect.signature(work).parameters),
                    path_model=models.get("path", Nothing),
                    query_model=models.get("query", Nothing),
                    body_model=models.get("body"),
                    answer=answer,
                    scope=scope,
                    heavy=heavy,
                    most_bytes=most_bytes,
                    most_seconds=most_seconds,
                    cached=cached,
                    signed=signed,
                )
            )
            return work

        return enter


def _models(work: Callable[..., object]) -> dict[str, type[BaseModel]]:
    names = set(inspect.signature(work).parameters)
    if strange := names - GIVEN - set(MODELS):
        raise TypeError(f"{work.__name__} asks for {', '.join(sorted(strange))}; a route is given {GIVEN} and {MODELS}")
    hints = get_type_hints(work)
    return {name: hints[name] for name in MODELS if name in names}
