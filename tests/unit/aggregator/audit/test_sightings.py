"""How sure accounts are that were read: by when they were seen, and by whether nodes agree."""

from __future__ import annotations

import pytest

from aggregator.audit.sightings import Sighting
from aggregator.audit.states import grade
from chains.agreeing import Agreed

AT_CUT, BEFORE, UNKNOWN = Sighting(100, 100, 100, 0), Sighting(100, 99, 98, 1), Sighting(100)


@pytest.mark.parametrize(
    "level, seen, agreed, expected",
    [
        ("agreed", None, None, "C"),
        ("agreed", AT_CUT, None, "C"),
        ("agreed", BEFORE, None, "D"),
        ("agreed", UNKNOWN, None, "D"),
        ("observed", AT_CUT, None, "D"),
        ("observed", AT_CUT, Agreed.AGREED, "C"),
        ("observed", BEFORE, Agreed.AGREED, "C"),
        ("agreed", AT_CUT, Agreed.DIFFERENT, "D"),
        ("agreed", AT_CUT, Agreed.CHANGED, "C"),
        ("agreed", BEFORE, Agreed.APART, "D"),
        ("agreed", BEFORE, Agreed.UNANSWERED, "D"),
        (None, AT_CUT, None, "D"),
    ],
)
def test_what_was_not_seen_at_the_cut_is_no_better_than_a_word(
    level: str | None, seen: Sighting | None, agreed: Agreed | None, expected: str
) -> None:
    assert grade(level, is_proven=False, seen=seen, agreed=agreed) == expected


def test_ages_are_counted_from_the_cut() -> None:
    assert (AT_CUT.skew_slots, AT_CUT.is_at_cut) == (0, True)
    assert (BEFORE.skew_slots, BEFORE.is_at_cut) == (2, False)
    assert (UNKNOWN.skew_slots, UNKNOWN.is_at_cut) == (None, False)
