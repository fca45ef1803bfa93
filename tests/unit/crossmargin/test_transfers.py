"""Messages of bridges: what is taken in, what a message's last word is, and where it is on its way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from aggregator.in_flight import in_flight
from aggregator.margin.inputs import Cut
from chains.model import Block, Finality
from crossmargin.errors import UsageError
from crossmargin.import_files import transfer_document
from crossmargin.server.answers.imports import TransferList, TransfersTaken
from crossmargin.transfers import COLUMNS, Transfers
from indexer.store import MEMORY, Store
from tests.support import vaas
from tests.support.hermes import OTHERS

NOW = 1_764_000_000
NORTH, SOUTH = "eip155:1", "eip155:10"
OWNER = "0x1111111111111111111111111111111111111111"
SENT = {
    "protocol": "wormhole",
    "message": "2/0xAB/7",
    "source_chain": NORTH,
    "destination_chain": SOUTH,
    "asset": f"{SOUTH}/erc20:0x0b2C639c533813f4Aa9D7837CAf62653d097Ff85",
    "amount_raw": "1500000000",
    "decimals": "6",
    "sender": f"{NORTH}:{OWNER}",
    "recipient": f"{SOUTH}:{OWNER}",
    "sent_at": "2025-11-24T15:00:00Z",
    "source_tx": "0x" + "AB" * 32,
    "state": "sent",
}
SENT_AT = int(datetime.fromisoformat(SENT["sent_at"]).timestamp())
DELIVERED = SENT | {"state": "delivered", "delivered_block": "77"}


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open(MEMORY) as opened:
        yield opened


def take(store: Store, *rows: object, source: str = "desk") -> dict[str, Any]:
    taken = Transfers(store, lambda: NOW).take_in({"source": source, "rows": list(rows)})
    TransfersTaken.model_validate(taken)
    return dict(taken)


def known(store: Store) -> list[dict[str, Any]]:
    with store.reading() as reader:
        listed = Transfers(store, lambda: NOW).listing(reader)
    TransferList.model_validate(listed)
    return list(listed["transfers"])


def cut(number: int, time: int) -> Cut:
    block = Block(number=number, hash=b"\x01" * 32, parent_hash=b"\x00" * 32, time=time)
    return Cut(block=block, finality=Finality.FINALIZED)


def on_its_way(store: Store, **cuts: Cut) -> list[str]:
    with store.reading() as reader:
        named = {{"north": NORTH, "south": SOUTH}[name]: at for name, at in cuts.items()}
        found = in_flight(reader.transfers([SENT["recipient"]]), named)
        return [sent.message + (" proven" if sent.proven else "") for sent in found]


def test_what_was_sent_after_the_last_stored_block_is_on_its_way_where_the_chain_went_on(store: Store) -> None:
    take(store, SENT)
    before = cut(5, SENT_AT - 60)

    seen = [on_its_way(store, north=replace(before, until=until)) for until in (None, SENT_AT - 1, SENT_AT)]

    assert [len(each) for each in seen] == [0, 0, 1]


def test_a_message_is_kept_as_it_was_said_and_written_in_one_way(store: Store) -> None:
    assert take(store, SENT) | {"import": ""} == {
        "source": "desk",
        "rows": 1,
        "new": 1,
        "changed": 0,
        "older": 0,
        "import": "",
    }
    (line,) = known(store)
    assert (line["amount_raw"], line["sent_at"], line["source_tx"]) == ("1500000000", SENT["sent_at"], "0x" + "ab" * 32)
    assert take(store, SENT)["changed"] == 0
    assert len(known(store)) == 1


def test_an_amount_of_38_digits_is_kept_to_the_unit(store: Store) -> None:
    take(store, SENT | {"amount_raw": "9" * 38})

    assert known(store)[0]["amount_raw"] == "9" * 38


def test_a_message_goes_on_and_never_back(store: Store) -> None:
    take(store, SENT)
    assert take(store, SENT | {"state": "proven"})["changed"] == 1
    assert take(store, DELIVERED, source="other")["changed"] == 1
    assert take(store, SENT)["older"] == 1

    (line,) = known(store)
    assert (line["state"], line["delivered_block"], line["source"], line["said_before"]) == (
        "delivered",
        77,
        "other",
        2,
    )
    kept = store.query("SELECT state FROM transfer ORDER BY import_number", timeout_s=9, max_rows=9).rows
    assert [state for (state,) in kept] == ["sent", "proven", "delivered"]


def test_it_is_on_its_way_from_when_it_was_sent_until_the_block_in_which_it_arrived(store: Store) -> None:
    take(store, SENT)
    there, later = cut(77, SENT_AT + 900), SENT_AT + 600

    assert on_its_way(store, north=cut(5, SENT_AT - 1), south=there) == []
    assert on_its_way(store, north=cut(6, later), south=there) == ["wormhole:2/0xAB/7"]
    assert on_its_way(store, south=there) == ["wormhole:2/0xAB/7"]  # where it left is not followed
    take(store, SENT | {"state": "proven"})
    assert on_its_way(store, north=cut(6, later), south=there) == ["wormhole:2/0xAB/7 proven"]
    take(store, DELIVERED)
    assert on_its_way(store, north=cut(6, later), south=cut(76, later)) == ["wormhole:2/0xAB/7 proven"]
    assert on_its_way(store, north=cut(6, later), south=there) == []
    assert on_its_way(store, north=cut(6, later)) == []


def test_what_goes_to_somebody_else_is_not_asked_for(store: Store) -> None:
    take(store, SENT)

    with store.reading() as reader:
        assert reader.transfers([SENT["sender"]]) == []
        assert reader.transfers([]) == []
        assert len(reader.transfers()) == 1


@pytest.mark.parametrize(
    "wrong, complaint",
    [
        ({"destination_chain": NORTH}, "between two chains"),
        ({"sender": f"{SOUTH}:{OWNER}"}, "the sender is on eip155:10"),
        ({"recipient": f"{NORTH}:{OWNER}"}, "must be on eip155:10"),
        ({"asset": f"{NORTH}/slip44:60"}, "must be on eip155:10"),
        ({"asset": "USDC"}, "no CAIP-19 asset"),
        ({"sender": OWNER}, "no CAIP-10 account"),
        ({"amount_raw": "0"}, "from 1 to"),
        ({"amount_raw": "-1"}, "whole number"),
        ({"amount_raw": "1.5"}, "whole number"),
        ({"amount_raw": 1.5}, "amount_raw is missing"),
        ({"amount_raw": "1" + "0" * 38}, "from 1 to"),
        ({"decimals": "39"}, "from 0 to 38"),
        ({"protocol": "Wormhole"}, "must be a word"),
        ({"message": ""}, "message is missing"),
        ({"message": "a\x1b[31m"}, "one line"),
        ({"sent_at": "2025-11-24"}, "with its time zone"),
        ({"sent_at": "2100-01-01T00:00:00Z"}, "not sent yet"),
        ({"state": "lost"}, "one of sent, proven, delivered"),
        ({"state": "delivered"}, "delivered_block is the block"),
        ({"delivered_block": "7"}, "delivered_block is the block"),
        ({"state": "delivered", "delivered_block": "x"}, "whole number"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_is_entered(
    store: Store, wrong: dict[str, object], complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint) as refused:
        take(store, SENT | {"message": "1"}, SENT | wrong)

    assert str(refused.value).startswith("row 2: ")
    assert known(store) == []


@pytest.mark.parametrize("rows", [[], ["x"], [SENT, SENT]])
def test_rows_that_are_none_or_come_twice_are_refused(store: Store, rows: list[object]) -> None:
    with pytest.raises(UsageError):
        take(store, *rows)


def test_a_file_of_either_kind_says_the_same(store: Store, tmp_path: Path) -> None:
    names = [*COLUMNS, "delivered_block"]
    text, typed = tmp_path / "bridge.csv", tmp_path / "bridge.parquet"
    text.write_text(",".join(names) + "\n" + ",".join(DELIVERED[name] for name in names) + "\n", encoding="utf-8")
    whole = {"amount_raw": 1_500_000_000, "decimals": 6, "delivered_block": 77}
    time = datetime.fromisoformat(SENT["sent_at"])
    parquet.write_table(pa.Table.from_pylist([DELIVERED | whole | {"sent_at": time}]), typed)

    take(store, *transfer_document(text, source=None)["rows"])
    again = take(store, *transfer_document(typed, source=None)["rows"])

    assert (again["new"], again["changed"]) == (0, 0)
    assert transfer_document(typed, source=None)["source"] == "bridge.parquet"
    text.write_text("message\n1\n", encoding="utf-8")
    with pytest.raises(UsageError, match="no column 'protocol'"):
        transfer_document(text, source=None)


def test_a_message_that_guardians_signed_is_of_grade_b_and_stays_proven(store: Store) -> None:
    desk = Transfers(store, lambda: NOW, vaas.TRUST)
    desk.take_in({"source": "desk", "rows": [vaas.row()]})
    desk.take_in({"source": "other", "rows": [vaas.SAID | {"state": "proven"}]})

    (line,) = known(store)
    assert (line["state"], line["evidence"], line["checked"]) == ("proven", "B", "who sent it is not in the message")
    with store.reading() as reader:
        (sent,) = in_flight(reader.transfers(), {NORTH: cut(5, SENT_AT + 60)})
        assert (sent.evidence, sent.proven) == ("B", True)


def test_a_message_without_evidence_or_without_names_is_somebodys_word(store: Store) -> None:
    take(store, vaas.SAID | {"message": "2/ab/8"}, vaas.row())

    assert [(line["evidence"], line["checked"].partition(";")[0]) for line in known(store)] == [
        ("D", "no guardian sets are configured, so that nobody looked who signed it"),
        ("D", "there is no evidence"),
    ]


@pytest.mark.parametrize(
    "said,why",
    [
        ({"amount_raw": "1500000001"}, "1500000000 arrives, not 1500000001"),
        ({"evidence": vaas.evidence(keys=OTHERS)}, "signature 0 is not that of guardian 0"),
        ({"evidence": "[]"}, "must be an object in JSON"),
        ({"protocol": "cctp"}, "evidence is followed of wormhole, layerzero, ccip"),
    ],
)
def test_evidence_of_something_else_is_refused_and_nothing_is_entered(store: Store, said: Any, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        Transfers(store, lambda: NOW, vaas.TRUST).take_in({"source": "desk", "rows": [vaas.row(**said)]})
    assert known(store) == []


def test_what_is_said_later_must_agree_with_what_was_proven(store: Store) -> None:
    desk = Transfers(store, lambda: NOW, vaas.TRUST)
    desk.take_in({"source": "desk", "rows": [vaas.row()]})

    with pytest.raises(UsageError, match="arrives, not 99"):
        desk.take_in({"source": "other", "rows": [vaas.SAID | {"amount_raw": "99"}]})
