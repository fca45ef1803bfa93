"""Whatever stands where a configuration wants something else, the file is refused with its place, or read."""

from __future__ import annotations

import copy
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crossmargin.settings import SettingsError, load

KEYS = {
    "MAINNET_RPC_KEY": "k1",
    "OPTIMISM_RPC_KEY": "k2",
    "SOLANA_RPC_KEY": "k3",
    "HERMES_KEY": "k4",
    "PERP_DESK_PUBLIC_KEY": "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
}
REST = """
[rebalancing]
bridge_cost = "0.1%"
[membership]
check_every = "1h"
"""
OTHERS: list[Any] = [5, "x", True, [], ["x"], {}, float("nan")]
Way = tuple[str | int, ...]


def example(checkout: Path) -> dict[str, Any]:
    told = tomllib.loads((checkout / "config" / "example.toml").read_text(encoding="utf-8")) | tomllib.loads(REST)
    told["venue"][0]["revisions"] = {"1": "3.0"}
    return told


def places(value: object, way: Way = ()) -> Iterator[Way]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inside:
        yield (*way, key)
        yield from places(each, (*way, key))


def written(value: object) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)} = {written(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(written, value)) + "]"
        case float():
            return repr(value)
        case _:
            return json.dumps(value)


def read(folder: Path, told: dict[str, Any]) -> None:
    path = folder / "crossmargin.toml"
    path.write_text("\n".join(f"{key} = {written(each)}" for key, each in told.items()), encoding="utf-8")
    load(path, KEYS)


def test_a_value_of_another_kind_is_refused_in_words_whichever_key_it_stands_under(
    checkout: Path, tmp_path: Path
) -> None:
    told, refused = example(checkout), 0
    read(tmp_path, told)
    alike = {tuple(key for key in way if isinstance(key, str)): way for way in places(told)}
    alike |= {
        ("venue", told["venue"][way[1]]["protocol"], *way[2:]): way
        for way in places(told)
        if way[0] == "venue" and way[1:]
    }

    for way in alike.values():
        for other in OTHERS:
            changed = copy.deepcopy(told)
            within: Any = changed
            for key in way[:-1]:
                within = within[key]
            within[way[-1]] = other
            refused += is_refused(tmp_path, changed)

    assert refused > 4 * len(alike)


def is_refused(folder: Path, told: dict[str, Any]) -> bool:
    try:
        read(folder, told)
    except SettingsError:
        return True
    return False


@pytest.mark.parametrize(
    "place, value, said",
    [
        (
            "venue start_block",
            2**63,
            "start_block must be a whole number of at most 9223372036854775807, not 9223372036854775808",
        ),
        ("feed heartbeat", "36501d", "heartbeat must be a duration of at most 36500 days"),
    ],
)
def test_a_number_that_nothing_could_keep_is_refused(
    place: str, value: object, said: str, checkout: Path, tmp_path: Path
) -> None:
    told, (section, key) = example(checkout), place.split()
    told[section][0][key] = value

    with pytest.raises(SettingsError, match=said):
        read(tmp_path, told)
