"""Answers about what is kept, published, asked and compared."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from crossmargin.server.answers.markets import HoldingCheck, ParityRun, TotalCheck
from crossmargin.server.answers.model import Answer


class Column(Answer):
    """A column of an answer, and its type in DuckDB."""

    name: str
    type: str


class Rows(Answer):
    """Rows of a SELECT; columns of wide integers and decimals are strings; `truncated`: there are more."""

    columns: list[Column]
    rows: list[list[Any]]
    truncated: bool


class Reference(Answer):
    """What a column refers to."""

    column: str
    view: str
    key: str


class ViewColumn(Column):
    """A column of a view."""

    comment: str
    nullable: bool


class View(Answer):
    """A public view; `unique`: columns that tell its rows apart."""

    name: str
    comment: str
    unique: list[list[str]]
    references: list[Reference]
    columns: list[ViewColumn]


class Function(Answer):
    """A public function."""

    name: str
    comment: str
    parameters: list[str]


class SchemaAnswer(Answer):
    """Everything that may be asked by SQL."""

    views: list[View]
    functions: list[Function]


class PublishedSet(Answer):
    """A set that was published; `final`: the last block of each chain in it."""

    set: int
    published_at: str
    final: dict[str, int]
    files: int
    files_new: int
    rows: int
    bytes: int


class LakePart(Answer):
    """A part of a lake: one chain at one cut-off."""

    chain: str
    cut_at: str
    block: int
    hash: str


class LakeParts(Answer):
    """Parts that were put into a lake."""

    parts: list[LakePart]


class BackedUpChain(Answer):
    """Where a chain stands in a copy."""

    number: int
    hash: str
    finalized: int


class Backup(Answer):
    """A copy of the store; `removed`: older ones that went for it."""

    backup: str
    path: str
    made_at: str
    schema_number: int = Field(alias="schema")
    bytes: int
    sha256: str
    chains: dict[str, BackedUpChain]
    tables: dict[str, int]
    removed: list[str]


class VenueCompared(ParityRun):
    """One venue's run, with its totals and holdings by outcome."""

    totals: dict[str, int]
    holdings: dict[str, int]


class ViewDifference(Answer):
    """A view whose answer is not our number."""

    venue: str
    chain: str
    block: int
    unit: str
    view: str
    contract: str
    market: str | None
    ours: Any
    theirs: Any


class Skipped(Answer):
    """A venue that was not compared, and why."""

    venue: str
    reason: str


class ParityAnswer(Answer):
    """What came of comparing units with their contracts' own views."""

    venues: list[VenueCompared]
    compared: int
    differences: list[ViewDifference]
    residuals: list[TotalCheck]
    shortfalls: list[HoldingCheck]
    skipped: list[Skipped]
