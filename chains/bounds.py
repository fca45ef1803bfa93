"""What an answer of a price source can be: integers that the store keeps exactly, as of a time that has a date."""

from __future__ import annotations

from chains.columns import TOO_WIDE

LAST_SECOND = 253_402_300_799
"""The end of the year 9999."""


def beyond(answer_raw: int, confidence_raw: int | None, updated_at: int) -> str | None:
    """Say in words what of an answer no source can mean, or `None`; raw units, and Unix seconds."""
    if not (abs(answer_raw) < TOO_WIDE and abs(confidence_raw or 0) < TOO_WIDE):
        return "the price or its interval has more than 38 digits, which is beyond anything known"
    if not 0 <= updated_at <= LAST_SECOND:
        return f"the price is of second {updated_at}, which has no date"
    return None
