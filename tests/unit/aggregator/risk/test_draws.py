"""Numbers that look like chance: the same everywhere, and what is behind their point is exact."""

from fractions import Fraction
from math import floor

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from aggregator.risk.draws import fractions, shares


@given(st.lists(st.floats(0, 1e12), min_size=1))
def test_what_is_behind_the_point_is_exact(numbers: list[float]) -> None:
    found = fractions(np.array(numbers))
    assert [Fraction(one) for one in found.tolist()] == [Fraction(one) - floor(Fraction(one)) for one in numbers]


def test_shares_are_of_their_seed_and_name_alone() -> None:
    first = shares(1, "days", (2, 3))
    assert ((first >= 0) & (first < 1)).all()
    assert (shares(1, "days", (6,)) == first.ravel()).all()
    assert (shares(2, "days", (2, 3)) != first).all()
    assert (shares(1, "other", (2, 3)) != first).all()
