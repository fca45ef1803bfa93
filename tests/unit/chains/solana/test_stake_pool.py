"""What staked SOL redeems for, by three accounts of mainnet.

The accounts are those of igneous-labs/S `test-fixtures/{jito-stake-pool,marinade-state}.json`, Marinade's without its padding, and of
sunrise-stake's BlazeStake test (bSOL).
"""

from __future__ import annotations

import base64

import pytest

from chains.identifiers import base58
from chains.solana.oracles.stake_pool import NoPool, marinade, stake_pool

JITO = base64.b64decode(
    "AYB81zZ44lwMyCjycXZ2ZJipfXHSnaOXgy4K4QNK7ZJpDQldRT1Yg7/utCJpZXp5q9DtCLtm+YZZHOTwD5UL1chaH81d4r7shD/nlN3JX69GbUBFHJ+qVp54"
    "ItksfmrhOv0j4HUJut3t/bUWqQuRl7tQR0MlXQ43xf9dzookHu3EMZ6naP7fZEyKrpuOIYit0GvFUPv3Fsgiuc5jx3g9lS4f/NFB6YMsrxCtkXSVyg8nG1sp"
    "PNRwJ+pzcAftQOs5oL1YQwD8vjBPokGY5Dy28Bt5e0FvYGYD+6Hp+OpBNkr2hQbd9uHXZaGT2cvhRs7reawctIXtX1s3kTqM9YV+/wCp3zNeVSmWFwAEHiOj"
    "uf0VABkCAAAAAAAA"
).ljust(611, b"\0")
BLAZE = base64.b64decode(
    "AQi2aQPmj/kyc1PszrLaqtyAYSpJobj5d6Ix+gjkmqjkCLZpA+aP+TJzU+zOstqq3IBhKkmhuPl3ojH6COSaqOR0TlK3ODVp7q8xpWvvF7+QNZz/+Qxc/JYj"
    "8YXrjzH2C/wIg0ukdM5I0b2+7xzv1QkIWnhD3KHOW51k82GiSUI9HwiQKTXm+75i8/+yT5wnONmvFKIUMPYZ6vcHRhqy8CAcCNLpcPk8ez1QGR5hGs2TqoCl"
    "RrReyWXhiwWHFVaZyKy+io330TRBlc2b9EScxWN+/9wvGEkjPl5KMq8RBlm3bgbd9uHXZaGT2cvhRs7reawctIXtX1s3kTqM9YV+/wCp1QsvlBIAAADIq5cM"
    "EgAAALoBAAAAAAAA"
).ljust(611, b"\0")
MARINADE = base64.b64decode(
    "2JJrXmhLtrELYroHT3IsnUEU8tj3CgDGYAIze5v5DIc2V6bSAdtMgCz0pOqMnBuYfUelv3scmcjjaofs/kslxbI+gD7+Ut+uBUgIyFQ6IYjxB+Q/T7zxEClk"
    "6CWihjZSQ/1YHiZkAAyUupJ+KKToqJZx7UJwZ9wkAWDSf0aWriv0Dv97EAFr4P/98B0fAAAAAABYAgAAkXxLkU5TmaKSfT1u3GUbZ6yxn8JqR8F+QHm/uCY9"
    "TmU4AAAAvgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA//9QRgAAAAAAABoCAAAAAAAAAMqaOwAAAACFAAAAwDIL"
    "/Z2D7Ta752Tw4gzH+4TU3CHhPclFCUyyyPHhXrM9AAAAvQcAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAdR9Kpe1JTzUGRftDGNRRAb"
    "roO6ggkMRgTSWqrx/VWyk+NbAEtwb+croRUAAAT3xv1GEmfOZWpZn+8+77eG7hSUZQYRGrRQHOtpsr0a//7/XSpe5WhcF+B87eW++YMA1BcOu+LZnwZMS7Be"
    "6Xs13n0AUIpxGRMAAIQDAAABAAAAiBMAAAlLqQaRBQAAAAAAAAAAAAD//////////18cL6vyWgAAmeaiALD/EgA/dsomAQAAAFQDAAAAAAAA6EFq6nMbAAAA"
    "AAAAAAAAAAEAAAAAAAAAAQAAAAAAAAD//////////wAAAAAAAAAA"
).ljust(2616, b"\0")


@pytest.mark.parametrize(
    "data, mint, rate",
    [
        (JITO, "J1toso1uCk3RLmjorhTtrVwY9HJ7X8V9yYac6Y7kGCPn", 1.0726),
        (BLAZE, "bSo13r4TkiE4KumL71LsHTPpL2euBYLFx6h9HP3piy1", 1.0294),
    ],
    ids=["JitoSOL", "bSOL"],
)
def test_a_pools_token_redeems_for_its_part_of_the_stake(data: bytes, mint: str, rate: float) -> None:
    pool = stake_pool(data)

    assert base58(pool.pool_mint) == mint
    assert pool.total_lamports / pool.pool_token_supply == pytest.approx(rate, abs=1e-4)
    assert 400 < pool.last_update_epoch < 600


def test_msol_redeems_for_what_the_program_says_itself() -> None:
    state = marinade(MARINADE)

    assert base58(state.msol_mint) == "mSoLzYCxHdYgdzU16g5QSh3i5K3z3KZK7ytfqcJm7So"
    assert 2**32 * state.total_lamports // state.msol_supply == state.msol_price
    assert state.msol_price / 2**32 == pytest.approx(1.1515, abs=1e-4)


def test_what_was_unstaked_and_not_yet_claimed_is_not_msols() -> None:
    data = bytearray(MARINADE)
    for at, amount in ((226, 10), (376, 100), (496, 1), (504, 50), (528, 7), (568, 2)):
        data[at : at + 8] = amount.to_bytes(8, "little")
    assert marinade(bytes(data)).total_lamports == 100 + 10 + 2 + 1 - 7
    data[528:536] = (2**64 - 1).to_bytes(8, "little")
    assert marinade(bytes(data)).total_lamports == 0


@pytest.mark.parametrize("data", [b"", JITO + b"\0", b"\x02" + JITO[1:]], ids=["empty", "longer", "a validator list"])
def test_what_is_no_stake_pool_is_named(data: bytes) -> None:
    with pytest.raises(NoPool, match="stake pool"):
        stake_pool(data)


@pytest.mark.parametrize("data", [MARINADE[:637], b"\0" * 2616], ids=["cut off", "zeros"])
def test_what_is_not_marinades_state_is_named(data: bytes) -> None:
    with pytest.raises(NoPool, match="Marinade state"):
        marinade(data)
