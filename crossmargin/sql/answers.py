"""What a query is answered with: rows as bytes of some form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

ROWS_HEADER = "X-Rows"
TRUNCATED_HEADER = "X-Truncated"


class Form(StrEnum):
    """The shapes of an answer, by the names that `--format` has for them."""

    JSON = "json"
    CSV = "csv"
    ARROW = "arrow"
    PARQUET = "parquet"


CONTENT_TYPES: Mapping[Form, str] = {
    Form.JSON: "application/json",
    Form.CSV: "text/csv",
    Form.ARROW: "application/vnd.apache.arrow.stream",
    Form.PARQUET: "application/vnd.apache.parquet",
}


TEXT = (Form.JSON, Form.CSV)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Rows as bytes of a content type; `truncated`: there are more."""

    body: bytes
    content_type: str
    rows: int
    truncated: bool


def form_of(accept: str) -> Form:
    """The form that an `Accept` header asks for: the first that is known, else JSON."""
    for said in accept.split(","):
        wanted = said.partition(";")[0].strip().lower()
        for form, content_type in CONTENT_TYPES.items():
            if wanted == content_type:
                return form
    return Form.JSON
