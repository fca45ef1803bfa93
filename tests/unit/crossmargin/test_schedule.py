"""A schedule names its slots exactly; none is between two others unseen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.documents import moment
from crossmargin.schedule import parse

NEW_YEAR = 1_767_225_600


def test_every_hour_is_every_whole_hour() -> None:
    slots = list(parse("every 1h").due(NEW_YEAR, NEW_YEAR + 3 * 3600))

    assert [moment(slot)[11:16] for slot in slots] == ["01:00", "02:00", "03:00"]


def test_a_cron_line_is_in_utc() -> None:
    slots = list(parse("30 6 * * mon-fri").due(NEW_YEAR, NEW_YEAR + 4 * 86_400))

    assert [moment(slot) for slot in slots] == ["2026-01-01T06:30:00Z", "2026-01-02T06:30:00Z"]


@given(st.integers(0, 4 * 10**9), st.sampled_from(["every 7m", "every 1d", "0 * * * *", "15 3 1 * *"]))
def test_the_next_slot_is_later_and_a_second_before_it_leads_to_it(time: int, text: str) -> None:
    schedule = parse(text)

    slot = schedule.after(time)

    assert slot > time
    assert schedule.after(slot - 1) == slot


@pytest.mark.parametrize(
    "text", ["", "every", "every 0h", "every 5s", "* * * *", "0 0 30 2 *", "0 0 * * 1", "61 * * * *"]
)
def test_what_never_comes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        parse(text)
