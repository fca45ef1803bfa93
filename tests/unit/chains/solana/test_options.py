"""What venues of all lending protocols may say in the configuration."""

from __future__ import annotations

import pytest

from chains.solana.options import check_history


@pytest.mark.parametrize("said", ["everything", ["transactions"], {"from": "looks"}, 1, True])
def test_a_history_that_is_not_known_is_named_whatever_it_is(said: object) -> None:
    (problem,) = check_history({"history": said})
    assert problem == f"history {said!r} is not known; use transactions or looks"


@pytest.mark.parametrize("options", [{}, {"history": "looks"}, {"history": "transactions"}])
def test_both_histories_are_known(options: dict[str, object]) -> None:
    assert check_history(options) == []
