"""Which deployment of a program runs is read from its loader's accounts, and none is taken for another."""

from __future__ import annotations

import json
from typing import Any

import pytest
from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey

from chains.identifiers import base58, from_base58
from chains.model import WHOLE_VENUE, AccountBytes, Block, UnitSnapshot, VenueSnapshot, VenueSpec, VenueUnit
from chains.solana import programs
from chains.solana.programs import DEPLOYMENT, UPGRADED, enter, known, watched_of

PROGRAM = from_base58("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
TOKEN_2022 = from_base58("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
UPGRADEABLE = from_base58("BPFLoaderUpgradeab1e11111111111111111111111")
DATA = watched_of([PROGRAM])[1]


def account(slot: int, owner: bytes, data: bytes) -> AccountBytes:
    return AccountBytes(slot, owner, 1, data, closed=False)


def own(slot: int) -> tuple[bytes, AccountBytes]:
    return PROGRAM, account(slot, UPGRADEABLE, b"\x02\0\0\0" + DATA)


def code(slot: int, deployed: int, authority: bytes | None = b"\x09" * 32) -> tuple[bytes, AccountBytes]:
    who = bytes(33) if authority is None else b"\x01" + authority
    return DATA, account(slot, UPGRADEABLE, b"\x03\0\0\0" + deployed.to_bytes(8, "little") + who)


def gone(slot: int, address: bytes) -> tuple[bytes, AccountBytes]:
    return address, AccountBytes(slot, b"", 0, b"", closed=True)


def said(*seen: tuple[bytes, AccountBytes], before: str | None = None) -> Any:
    rows = enter("venue", [PROGRAM], before, seen)
    return json.loads(rows[-1].state)[base58(PROGRAM)]


@pytest.mark.parametrize("program", [PROGRAM, TOKEN_2022])
def test_the_code_of_a_program_is_where_the_engine_has_it(program: bytes) -> None:
    svm = LiteSVM()
    held = svm.get_account(Pubkey(program))
    assert held is not None
    assert bytes(held.owner) == UPGRADEABLE
    accounts = []
    for address in watched_of([program]):
        real = svm.get_account(Pubkey(address))
        assert real is not None
        accounts.append((address, account(5, bytes(real.owner), bytes(real.data)[:45])))

    (row,) = enter("venue", [program], None, accounts)
    found = json.loads(row.state)[base58(program)]
    assert found["loader"] == "upgradeable"
    assert int(found["deployed"]) >= 0


def test_a_deployment_is_told_with_its_slot_and_who_may_deploy_again() -> None:
    assert said(own(10), code(10, 7)) == {
        "loader": "upgradeable",
        "deployed": "7",
        "authority": base58(b"\x09" * 32),
        "first": True,
    }
    assert said(own(10), code(10, 7, None))["authority"] is None


def test_another_deployment_is_not_the_first_and_what_did_not_change_is_no_row() -> None:
    (first,) = enter("venue", [PROGRAM], None, [own(10), code(10, 7)])
    assert enter("venue", [PROGRAM], first.state, [own(11), code(11, 7)]) == []
    (second,) = enter("venue", [PROGRAM], first.state, [code(12, 11)])
    assert (second.block, second.market, second.aspect) == (12, WHOLE_VENUE, DEPLOYMENT)
    assert (
        json.loads(second.state)[base58(PROGRAM)] | {"deployed": "11", "first": False}
        == json.loads(second.state)[base58(PROGRAM)]
    )


def test_many_looks_in_one_give_the_rows_of_each() -> None:
    seen = [own(10), code(10, 7), code(12, 11), code(15, 15), gone(20, DATA), own(25), code(25, 24)]
    whole = enter("venue", [PROGRAM], None, seen)
    cut, text = [], None
    for each in ([seen[0], seen[1]], [seen[2]], [seen[3]], [seen[4]], [seen[5], seen[6]]):
        rows = enter("venue", [PROGRAM], text, each)
        text = rows[-1].state
        cut += rows
    assert cut == whole
    assert len(whole) == 5


@pytest.mark.parametrize(
    "seen, words",
    [
        ([gone(5, PROGRAM), gone(5, DATA)], "no account at the program's address"),
        ([(PROGRAM, account(5, b"\x01" * 32, b"")), gone(5, DATA)], "is no program"),
        ([(PROGRAM, account(5, UPGRADEABLE, b"\x02\0\0\0" + b"\x01" * 32)), gone(5, DATA)], "is no program"),
        ([own(5), gone(5, DATA)], "was closed"),
        ([own(5), (DATA, account(5, UPGRADEABLE, b"\x01\0\0\0" + bytes(41)))], "was closed"),
    ],
)
def test_what_is_no_program_is_named(seen: list[tuple[bytes, AccountBytes]], words: str) -> None:
    assert words in said(*seen)["problem"]


def test_programs_of_other_loaders_are_read_too() -> None:
    fixed = (PROGRAM, account(5, from_base58("BPFLoader2111111111111111111111111111111111"), b"\x7fELF"))
    assert said(fixed, gone(5, DATA)) == {"loader": "fixed", "deployed": "0", "authority": None, "first": True}
    v4 = (1234).to_bytes(8, "little") + b"\x04" * 32 + bytes(5)
    newer = (PROGRAM, account(5, from_base58("LoaderV411111111111111111111111111111111111"), v4))
    assert said(newer, gone(5, DATA))["deployed"] == "1234"


def unit_of(options: dict[str, Any], state: str | None, stated: tuple[int, ...] = ()) -> VenueUnit:
    venue = VenueSpec(id="v", protocol="p", chain_id="c", address=b"", start_block=0, options=options)
    at = Block(number=30, hash=b"", parent_hash=b"", time=0)
    markets = {} if state is None else {(WHOLE_VENUE, DEPLOYMENT): state}
    snapshot = VenueSnapshot(venue=venue, at=at, markets=markets, feeds={}, answers={})
    unit = VenueUnit(
        venue_id="v",
        unit_id=b"u",
        owner=b"o",
        native={"debt": 3},
        health_factor_wad=2,
        liquidatable=False,
        has_debt=True,
        collateral_base=1,
        debt_base=1,
        base_unit=1,
        positions=(),
        reasons=(),
        engine_version="e",
    )
    return known(snapshot, lambda _: unit, stated)(UnitSnapshot(unit_id=b"u", owner=b"o", positions={}, settings={}))


@pytest.mark.parametrize(
    "deployed, first, slots, stated, valued",
    [
        (7, True, None, (), True),
        (7, True, [7], (), True),
        (7, True, [9], (), True),
        (7, True, [6], (), False),
        (7, True, None, (6,), False),
        (7, False, None, (), False),
        (7, False, [9], (), False),
        (7, False, [6, 7], (), True),
        (7, False, None, (3, 7), True),
        (7, False, [3], (7,), True),
    ],
)
def test_a_program_is_valued_where_the_configuration_speaks_of_its_deployment(
    *, deployed: int, first: bool, slots: list[int] | None, stated: tuple[int, ...], valued: bool
) -> None:
    state = {base58(PROGRAM): {"loader": "upgradeable", "deployed": str(deployed), "authority": None, "first": first}}
    unit = unit_of({} if slots is None else {"program_slots": slots}, json.dumps(state), stated)
    if valued:
        assert (unit.native, unit.reasons) == ({"debt": 3}, ())
        return
    assert (unit.native, unit.health_factor_wad, unit.liquidatable, unit.debt_base) == (None, None, None, None)
    assert unit.has_debt
    assert [reason.code for reason in unit.reasons] == [UPGRADED]
    assert f"slot {deployed}" in unit.reasons[0].detail


def test_a_program_that_is_gone_values_nothing_and_one_that_was_never_read_as_before() -> None:
    state = json.dumps({base58(PROGRAM): {"problem": "the program was closed"}})
    assert [reason.code for reason in unit_of({}, state).reasons] == [programs.UNKNOWN]
    assert unit_of({}, None).native == {"debt": 3}


@pytest.mark.parametrize("wrong", ["1", 5, [-1], ["7"], [True], [350_614_570, False], True])
def test_slots_that_are_none_are_refused(wrong: object) -> None:
    (problem,) = programs.check_program_slots({"program_slots": wrong})
    assert "no list of slots" in problem
    assert programs.check_program_slots({}) == programs.check_program_slots({"program_slots": [5]}) == []


def test_a_closed_program_stays_closed_when_somebody_sends_lamports_to_its_own_account() -> None:
    program = b"p" * 32
    code_at = watched_of([program])[1]
    own = AccountBytes(10, programs.UPGRADEABLE, 1, (2).to_bytes(4, "little") + code_at, closed=False)
    code = AccountBytes(10, programs.UPGRADEABLE, 1, (3).to_bytes(4, "little") + bytes(41), closed=False)
    closed = AccountBytes(12, b"", 0, b"", closed=True)
    seen = [(program, own), (code_at, code), (code_at, closed), (program, own._replace(slot=20, lamports=2))]
    (said,) = json.loads(enter("v", [program], None, seen)[-1].state).values()
    assert said["problem"] == "the program was closed"
