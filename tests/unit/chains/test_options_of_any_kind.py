"""What a configuration says of a venue may be of any kind: it is understood, or named in words."""

from __future__ import annotations

from typing import Any

import pytest

from chains.registry import PROTOCOLS, check_options

KINDS: list[Any] = [
    5,
    -1,
    10**30,
    1e300,
    float("nan"),
    True,
    None,
    "",
    "x",
    "2026",
    [],
    [[]],
    ["x"],
    [{}],
    [1e300],
    [[5, "x"]],
    [["x", 5]],
    [["1.7"]],
    [[1, 2, 3]],
    [[10**30, "1.7"]],
    [[5, []]],
    {},
    {"a": 1},
    {"1": []},
    {"1": {}},
    {"1": None},
    {"x": "y"},
]


@pytest.mark.parametrize("protocol", sorted(name for name in PROTOCOLS if check_options(name) is not None))
def test_an_option_of_any_kind_is_read_or_named_in_words(protocol: str) -> None:
    found = check_options(protocol)
    assert found is not None
    keys, check = found

    for key in keys:
        for value in KINDS:
            assert "" not in check({key: value}), (key, value)
        assert any(check({key: value}) for value in KINDS), key
