"""What all answers are made of."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """A document with exactly these keys; decimals and raw integers are strings, `null` is not known or does not apply."""

    model_config = ConfigDict(strict=True, extra="forbid", use_attribute_docstrings=True)
