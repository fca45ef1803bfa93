"""Tables are written and the tree is built by column: the bytes and the root are those of a row at a time."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from itertools import starmap
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from aggregator.audit import tree_index, verifier
from aggregator.audit.columns import ROWS_AT_ONCE, ROWS_PER_GROUP, write_columns
from aggregator.audit.lines import KEYS, REPEATED, Columns, ordered
from aggregator.audit.tables import SCHEMAS, held_schema, schema
from aggregator.audit.verifier import EMPTY, Fault, Json, Node, Run, described, leaves_of, levels, sha256
from tests.support.lines import line

WORDS = [
    "",
    "a",
    'say "x"',
    "back\\slash",
    "tab\t",
    "\x00\x1f",
    "\x7f",
    "é",
    "\u2028",
    "😀",
    "–",
    "[]",
    "null",
    '{"a":1}',
]


def value(chance: random.Random, kind: pa.DataType) -> Any:
    if chance.random() < 0.15:
        return None
    if pa.types.is_boolean(kind):
        return chance.random() < 0.5
    if pa.types.is_integer(kind):
        return chance.choice([0, -1, 7, 2**53 - 1, -(2**53) + 1])
    return chance.choice(WORDS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_lines_by_column_are_lines_by_row(name: str, tmp_path: Path) -> None:
    chance = random.Random(name)
    for count in (0, 1, 300):
        rows = [{column: value(chance, kind) for column, kind in SCHEMAS[name].items()} for _ in range(count)]
        table = pa.Table.from_pylist(rows, schema=schema(name))

        for written in (
            table,
            table.cast(held_schema(name)),
            table.slice(count // 3),
            pa.concat_tables([table.slice(0, count // 2), table.slice(count // 2)]),
        ):
            write_columns(written, tmp_path / "lines")

            assert (tmp_path / "lines").read_bytes() == b"".join(map(line, written.to_pylist()))


@pytest.mark.parametrize("text", ["plain é", '["x"]', "back\\slash", '\\"', '"\\\\"', "", None])
@pytest.mark.parametrize("beside", ["", None])
def test_texts_without_signs_below_space_are_written_alike(
    text: str | None, beside: str | None, tmp_path: Path
) -> None:
    kinds = SCHEMAS["units"].items()
    rows = [
        {column: each if pa.types.is_string(kind) else None for column, kind in kinds} for each in (text, beside, text)
    ]

    write_columns(pa.Table.from_pylist(rows, schema=schema("units")), tmp_path / "lines")

    assert (tmp_path / "lines").read_bytes() == b"".join(map(line, rows))


@pytest.mark.parametrize("numbers", [1, 64, 65, 300])
@pytest.mark.parametrize("gaps", [False, True])
def test_numbers_and_texts_are_written_alike_however_often_they_repeat(
    numbers: int, tmp_path: Path, *, gaps: bool
) -> None:
    """Beside each other, so that they come to few texts or to more than are kept."""
    kinds = {"a": pa.int64(), "b": REPEATED, "c": pa.bool_(), "d": REPEATED, "e": pa.int64(), "f": pa.string()}
    chance = random.Random(numbers)
    rows: list[dict[str, Any]] = [
        {
            "a": chance.randrange(numbers),
            "b": f"\\{chance.randrange(numbers)}",
            "c": chance.random() < 0.5,
            "d": f'"{chance.randrange(numbers)}',
            "e": -number,
            "f": str(number),
        }
        for number in range(900)
    ]
    for row in rows if gaps else []:
        row[chance.choice("abcdef")] = None

    write_columns(pa.Table.from_pylist(rows, schema=pa.schema(kinds)), tmp_path / "lines")

    assert (tmp_path / "lines").read_bytes() == b"".join(map(line, rows))


def book(chance: random.Random, count: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    units, positions = [], []
    for number in range(count):
        place = {"venue_id": f"v{number % 3}", "unit_id": f"0x{chance.getrandbits(64):016x}"}
        place |= {"chain_id": "eip155:1", "owner": f"0x{number % 7}"}
        units.append(dict.fromkeys(SCHEMAS["units"]) | place | {"status": chance.choice(["unknown", "healthy"])})
        for market in range(chance.choice([0, 0, 1, 2, 5])):
            said = {
                "asset": chance.choice(["eip155:1/erc20:0xaa", "é", "z", "\U0001f600", "\ufb01"]),
                "side": chance.choice(["supply", "borrow"]),
                "amount_raw": str(chance.getrandbits(chance.choice([1, 80, 250]))),
                "protocol_raw": "0",
                "market": f"0x{market}",
            }
            positions.append(dict.fromkeys(SCHEMAS["positions"]) | {name: place[name] for name in verifier.OWN} | said)
    return units, positions


def tabled(name: str, rows: Iterable[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(ordered(name, rows), schema=schema(name))


TERMS = {name: (tuple(SCHEMAS[name]), KEYS[name]) for name in ("units", "positions")}


def write(folder: Path, units: Iterable[dict[str, Any]], positions: Iterable[dict[str, Any]]) -> None:
    write_columns(tabled("units", units), folder / "units.ndjson")
    write_columns(tabled("positions", positions), folder / "positions.ndjson")


def root_of(
    folder: Path, units: Iterable[dict[str, Any]], positions: Iterable[dict[str, Any]], run: Run = starmap
) -> Node:
    return tree_index.write(folder, tabled("units", units), tabled("positions", positions), TERMS, run)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 9, 31, 33, 100])
def test_the_root_by_parts_is_the_root_by_rows(count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_index, "PART", 8)
    monkeypatch.setattr(verifier, "_CHUNK", 1_000)
    units, positions = book(random.Random(count), count)
    write(tmp_path, units, positions)
    wanted = levels(list(leaves_of(tmp_path)))[-1][0]
    monkeypatch.setattr(verifier, "leaves_of", None)

    assert root_of(tmp_path, units, positions) == wanted
    monkeypatch.setattr(verifier, "LEAVES", 8)
    tables: Json = {name: {"columns": TERMS[name][0], "key": TERMS[name][1]} for name in TERMS}
    tables["units"]["rows"], tables["positions"]["rows"] = len(units), len(positions)
    said = {"tables": tables, "tree": described(wanted)}
    assert verifier.is_sound(tmp_path, said, starmap)
    tables["units"]["rows"] += 1
    assert not verifier.is_sound(tmp_path, said, starmap)


@pytest.mark.parametrize("tokens", [1, 3, 12, 200])
@pytest.mark.parametrize("count", [31, 33, 150])
def test_sums_that_few_or_many_units_have_lead_to_the_root_by_rows(
    tokens: int, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifier, "AT_ONCE", 1_000)
    chance = random.Random(tokens)
    units, positions = book(chance, count)
    for position in positions:
        position["asset"] = f"100%d/{chance.randrange(tokens)}"
    write(tmp_path, units, positions)
    wanted = levels(list(leaves_of(tmp_path)))[-1][0]
    ((of_units, held),) = verifier.tree_parts(tmp_path, TERMS, verifier.LEAVES)

    counted, counted_held, root = verifier.subtree(of_units, held)

    assert (counted.count, counted_held.count, root) == (len(units), len(positions), wanted)
    assert root_of(tmp_path, units, positions) == wanted


@pytest.mark.parametrize("at_once", [1, 1_000, 1_000_000])
def test_rows_out_of_order_are_found_wherever_what_is_read_together_ends(
    at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifier, "AT_ONCE", at_once)
    units, _ = book(random.Random(1), 30)
    path = tmp_path / "units.ndjson"
    write_columns(tabled("units", units), path)
    lines = path.read_bytes().splitlines(keepends=True)
    columns, key = TERMS["units"]
    assert verifier.rows_of(verifier.Part(path, 0, path.stat().st_size, columns, key)).count == len(units)

    for first in range(len(lines) - 1):
        swapped = [*lines[:first], lines[first + 1], lines[first], *lines[first + 2 :]]
        path.write_bytes(b"".join(swapped))
        with pytest.raises(Fault, match="not all lines are in their order"):
            verifier.rows_of(verifier.Part(path, 0, path.stat().st_size, columns, key))


def test_the_root_is_that_of_all_pieces_of_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_index, "PART", 8)
    units, positions = book(random.Random(1), 40)
    write(tmp_path, units, positions)

    def pieces(table: pa.Table) -> pa.Table:
        return pa.concat_tables([table.slice(0, 7), table.slice(7, 0), table.slice(7)])

    of_units, of_positions = pieces(tabled("units", units)), pieces(tabled("positions", positions))

    assert (
        tree_index.write(tmp_path, of_units, of_positions, TERMS, starmap) == levels(list(leaves_of(tmp_path)))[-1][0]
    )


def test_parts_are_read_by_other_processes_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    units, positions = book(random.Random(1), 40)
    write(tmp_path, units, positions)
    monkeypatch.setattr(tree_index, "PART", 8)
    monkeypatch.setattr(verifier, "ALONE", 0)

    with verifier.hands_for(tmp_path) as run:
        assert root_of(tmp_path, units, positions, run) == levels(list(leaves_of(tmp_path)))[-1][0]
        assert list(run(verifier.hash_of, [(tmp_path / "units.ndjson",)])) == [
            sha256((tmp_path / "units.ndjson").read_bytes())
        ]


def test_a_key_that_is_not_plain_has_the_root_of_its_rows(tmp_path: Path) -> None:
    units, positions = book(random.Random(1), 9)
    positions[0]["asset"] = 'say "x"'
    write(tmp_path, units, positions)

    assert root_of(tmp_path, units, positions).sums['say "x"|' + positions[0]["side"]] >= int(
        positions[0]["amount_raw"]
    )


def test_a_position_of_no_unit_has_no_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_index, "PART", 8)
    units, positions = book(random.Random(1), 20)
    write(tmp_path, units[:3], positions)
    with pytest.raises(Fault, match="a position is of no unit"):
        root_of(tmp_path, units[:3], positions)

    table = tabled("positions", positions)
    odd = table.take(list(range(len(positions)))[::-1])
    write(tmp_path, units, positions)
    with pytest.raises(Fault, match="a position is of no unit, or not where it belongs"):
        tree_index.write(tmp_path, tabled("units", units), odd, TERMS, starmap)
    write_columns(odd, tmp_path / "positions.ndjson")
    with pytest.raises(Fault, match=r"a position is of no unit|positions do not follow"):
        root_of(tmp_path, units, positions)

    write(tmp_path, [], [])
    assert root_of(tmp_path, [], []) == EMPTY


@pytest.mark.parametrize("amount", ["-1", "01", "1.0", "", "x"])
def test_an_amount_that_is_none_has_no_tree(amount: str, tmp_path: Path) -> None:
    units, positions = book(random.Random(1), 9)
    positions[0]["amount_raw"] = amount
    write(tmp_path, units, positions)

    with pytest.raises(Fault, match="a position has an amount that is none"):
        root_of(tmp_path, units, positions)


SPELLINGS = (
    (b":", b": "),
    (b'"', b"\\u0022"),
    (b"/", b"\\/"),
    (b"\\t", b"\\u0009"),
    (b"u001f", b"u001F"),
    (b"null", b"1.0"),
    (b"null", b"-0"),
    (b"null", b"01"),
    (b"null", b"9007199254740992"),
    (b"null", b'"\xed\xa0\x80"'),
    (b"null", b'"\xff"'),
    (b"null", b"[]"),
    (b"}\n", b"} \n"),
    (b"}\n", b"}"),
    (b"}\n", b"}\r\n"),
    (b"{", b"\n{"),
    (b"{", b'{"a":null,'),
)
"""What becomes of a line that says the same, or something that canonical JSON has not."""


@pytest.mark.parametrize("seed", range(40))
def test_no_line_is_plain_that_a_row_at_a_time_would_not_be_found_canonical(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    units, positions = book(chance, 6)
    name, rows = chance.choice([("units", units), ("positions", positions)])
    for row in rows:
        free = sorted(set(row) - {*KEYS[name], "status", "asset", "side", "amount_raw"})
        row.update({column: chance.choice([None, *WORDS]) for column in free if SCHEMAS[name][column] == pa.string()})
    for row in positions:
        row["market"] = chance.choice(
            [[row["market"]], [None, row["market"]], [None, "", row["market"]], WORDS][seed % 4]
        )
    raw = b"".join(map(line, ordered(name, rows)))
    part = verifier.Part(tmp_path / f"{name}.ndjson", 0, 0, *TERMS[name])

    for _ in range(60):
        old, new = chance.choice(SPELLINGS)
        places = [place for place in range(len(raw)) if raw.startswith(old, place)]
        place = chance.choice(places) if places else chance.randrange(len(raw))
        changed = raw[:place] + new + raw[place + (len(old) if places else 1) :]
        part.path.write_bytes(changed)
        try:
            verifier.rows_of(replace(part, end=len(changed)))
        except (Fault, ValueError):
            continue
        assert verifier._ordered(tmp_path, name, *TERMS[name]) == changed.count(b"\n")


@pytest.mark.parametrize(
    "markets", [[None], [None, "0x1"], ["", "0x1"], [None, "None", "0x1"], ['[{"a":"\\u0001"}]', "[a]"]]
)
@pytest.mark.parametrize("at_once", [1, 1 << 18])
def test_positions_of_no_plain_market_are_read_as_the_others(
    markets: list[str | None], at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifier, "AT_ONCE", at_once)
    units, positions = book(random.Random(1), 40)
    for number, row in enumerate(positions):
        row["market"], row["protocol_raw"] = markets[number % len(markets)], f"{number:03}"
    write(tmp_path, units, positions)
    path = tmp_path / "positions.ndjson"

    found = verifier.rows_of(verifier.Part(path, 0, path.stat().st_size, *TERMS["positions"]))

    assert found.count == len(positions) == verifier._ordered(tmp_path, "positions", *TERMS["positions"])
    root = root_of(tmp_path, units, positions)
    ((of_units, held),) = verifier.tree_parts(tmp_path, TERMS, verifier.LEAVES)
    assert verifier.subtree(of_units, held)[2] == root


@pytest.mark.parametrize("count", [0, 1, ROWS_AT_ONCE, ROWS_PER_GROUP + 2 * ROWS_AT_ONCE + 1])
@pytest.mark.parametrize("kind", [pa.string(), REPEATED])
def test_rows_that_are_kept_as_columns_are_the_same_rows(kind: pa.DataType, count: int) -> None:
    rows = [{"asset": f"a{number % 50}" if number % 3 else None, "count": number} for number in range(count)]
    kept = Columns(iter(rows), pa.schema({"asset": kind, "count": pa.int64()}))

    assert len(kept) == count
    assert list(kept) == list(kept) == rows
    assert kept.table.cast(pa.schema({"asset": pa.string(), "count": pa.int64()})).to_pylist() == rows
    assert [chunk.num_rows for chunk in kept.table.to_batches()] == [
        min(ROWS_PER_GROUP, count - first) for first in range(0, count, ROWS_PER_GROUP)
    ]
    assert all(row in kept for row in rows[-1:])
    assert {"asset": "b", "count": 0} not in kept
