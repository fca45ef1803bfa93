"""Account layouts: tables of fields, read one by one and in bulk."""

from __future__ import annotations

import random
import struct

import pytest

from chains.solana.layouts import Layout, Table, integers, keys, read

SLOT: Table = {"reserve": (0, "key"), "amount": (32, "u64"), "shares": (40, "i128")}
LAYOUT = Layout(
    name="Obligation",
    size=8 + 2 + 6 + 2 * 64,
    discriminator=b"\x01\x02\x03\x04\x05\x06\x07\x08",
    fields={"kind": (8, "u8"), "level": (9, "i8"), "tag": (10, "bytes:6"), "slots": (16, (2, 64, SLOT))},
)


def account(seed: int) -> bytes:
    rng = random.Random(seed)
    slots = b"".join(
        rng.randbytes(32) + struct.pack("<Q", rng.randrange(2**64)) + rng.randbytes(16) + bytes(8) for _ in range(2)
    )
    return (
        LAYOUT.discriminator
        + struct.pack("<Bb", rng.randrange(256), rng.randrange(-128, 128))
        + rng.randbytes(6)
        + slots
    )


def test_records_in_bulk_are_what_is_read_one_by_one() -> None:
    accounts = [account(seed) for seed in range(20)]
    records = LAYOUT.records(accounts)
    single = [read(LAYOUT.fields, data) for data in accounts]

    assert records["kind"].tolist() == [each["kind"] for each in single]
    assert records["level"].tolist() == [each["level"] for each in single]
    assert records["slots"]["amount"].tolist() == [[slot["amount"] for slot in each["slots"]] for each in single]
    shares = integers(records["slots"]["shares"], "i128")
    assert shares == [slot["shares"] for each in single for slot in each["slots"]]
    assert min(shares) < 0 < max(shares)
    assert keys(records["slots"]["reserve"]) == [slot["reserve"] for each in single for slot in each["slots"]]


@pytest.mark.parametrize(
    "data, problem",
    [
        (account(1)[:-1], "the account has 143 bytes, a Obligation has 144"),
        (account(1) + b"\0", "the account has 145 bytes, a Obligation has 144"),
        (b"\xff" + account(1)[1:], "the account begins with ff02030405060708, a Obligation with 0102030405060708"),
    ],
)
def test_what_is_no_such_account_is_named(data: bytes, problem: str) -> None:
    assert LAYOUT.problem(data) == problem
    assert LAYOUT.problem(account(1)) is None
