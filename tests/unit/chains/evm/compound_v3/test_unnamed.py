"""Whom events name, and which blocks leave somebody unnamed."""

from __future__ import annotations

import pytest

from chains.evm.abi import Event, LoggedEvent
from chains.evm.compound_v3 import events as ev
from chains.evm.compound_v3.unnamed import NOBODY, leaves_somebody_unnamed, named

ANN, BOB, EVE = (bytes([i]) * 20 for i in (1, 2, 3))

Said = tuple[Event, bytes, bytes, int]
INTO_ANN: Said = (ev.TRANSFER, NOBODY, ANN, 7)
OUT_OF_BOB: Said = (ev.TRANSFER, BOB, NOBODY, 7)


def logged(*said: Said, apart: int = 1) -> list[LoggedEvent]:
    return [
        LoggedEvent(5, i * apart, 0, bytes(32), b"", event, args)
        for i, (event, *args_) in enumerate(said)
        for args in [tuple(args_)]
    ]


def test_an_account_is_who_holds_not_who_pays_or_receives() -> None:
    rows = logged((ev.SUPPLY, EVE, ANN, 1), (ev.WITHDRAW, BOB, EVE, 1))

    assert named(rows) == {ANN, BOB}


def test_nobody_is_no_account() -> None:
    assert named(logged(INTO_ANN)) == {ANN}


@pytest.mark.parametrize(
    "said",
    [
        (),
        ((ev.SUPPLY, EVE, ANN, 7), INTO_ANN),
        ((ev.WITHDRAW, BOB, EVE, 7), OUT_OF_BOB),
        ((ev.SUPPLY, EVE, ANN, 7),),
        (OUT_OF_BOB, INTO_ANN),
        ((ev.TRANSFER, BOB, NOBODY, 9), INTO_ANN),
        (OUT_OF_BOB, INTO_ANN, (ev.SUPPLY, EVE, ANN, 7), INTO_ANN),
    ],
)
def test_a_transfer_that_names_both_ends_or_belongs_to_another_event_leaves_nobody_out(said: tuple[Said, ...]) -> None:
    assert not leaves_somebody_unnamed(logged(*said))


@pytest.mark.parametrize(
    "said",
    [
        (INTO_ANN,),
        (OUT_OF_BOB,),
        (INTO_ANN, OUT_OF_BOB),
        ((ev.SUPPLY, EVE, BOB, 7), INTO_ANN),
        (OUT_OF_BOB, (ev.TRANSFER, NOBODY, ANN, 700)),
        (OUT_OF_BOB, INTO_ANN, INTO_ANN),
        (OUT_OF_BOB, (ev.SUPPLY, EVE, ANN, 7), INTO_ANN),
    ],
)
def test_a_transfer_of_one_end_alone_leaves_the_other_out(said: tuple[Said, ...]) -> None:
    assert leaves_somebody_unnamed(logged(*said))


def test_a_transfer_explains_only_the_log_right_before_it() -> None:
    assert leaves_somebody_unnamed(logged((ev.SUPPLY, EVE, ANN, 7), INTO_ANN, apart=2))
