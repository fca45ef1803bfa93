"""Transactions of real programs in other forms: with lookup tables, within other calls, without heights, with a log that is cut off."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest

from chains.identifiers import base58
from chains.model import VenueSpec
from chains.registry import PROTOCOLS
from chains.solana.calls import calls
from chains.solana.told import Strange, Told
from chains.solana.transactions import transaction
from tests.support.history_runs import GOLDEN, Run, load, names, runs

RUNS = [load(folder) for folder in runs().values() if GOLDEN in folder.parents]
AGGREGATOR, TABLE = b"\x61" * 32, b"\x62" * 32
Result = dict[str, Any]


def results(run: Run) -> Iterator[Result]:
    """The transactions of a run that succeeded and name its venue."""
    for each in run.transactions:
        if each["result"]["meta"]["err"] is None and names(each["result"], base58(run.venue.address)):
            yield copy.deepcopy(dict(each["result"]))


def tell(venue: VenueSpec, result: Result) -> list[Told | Strange]:
    teller = import_module(f"{PROTOCOLS[venue.protocol]}.instructions").teller(venue)
    return [telling for _, telling in teller.tell(transaction(json.dumps(result)))]


def with_tables(result: Result) -> Result:
    """A transaction of version 0: all that nobody signs comes from lookup tables, so that every number of an account is another."""
    message = result["transaction"]["message"]
    header, keys = message["header"], message["accountKeys"]
    signed, writable = header["numRequiredSignatures"], len(keys) - header["numReadonlyUnsignedAccounts"]
    programs = {each["programIdIndex"] for each in message["instructions"]}
    static = [n for n in range(len(keys)) if n < signed or n in programs]
    loaded_writable = [n for n in range(signed, writable) if n not in programs]
    loaded_readonly = [n for n in range(writable, len(keys)) if n not in programs]
    order = [*static, *loaded_writable, *loaded_readonly]
    renumber(result, {old: new for new, old in enumerate(order)})
    message["accountKeys"] = [keys[n] for n in static]
    result["meta"]["loadedAddresses"] = {
        "writable": [keys[n] for n in loaded_writable],
        "readonly": [keys[n] for n in loaded_readonly],
    }
    message["addressTableLookups"] = [{"accountKey": base58(TABLE), "writableIndexes": [], "readonlyIndexes": []}]
    return {**result, "version": 0}


def renumber(result: Result, places: dict[int, int]) -> None:
    inner = [each for group in result["meta"]["innerInstructions"] for each in group["instructions"]]
    for each in (*result["transaction"]["message"]["instructions"], *inner):
        each["programIdIndex"] = places[each["programIdIndex"]]
        each["accounts"] = [places[n] for n in each["accounts"]]
    for name in ("preTokenBalances", "postTokenBalances"):
        for balance in result["meta"][name]:
            balance["accountIndex"] = places[balance["accountIndex"]]


def by_another_program(result: Result) -> Result:
    """All instructions run within one of an aggregator, and one deeper within another of its calls."""
    message, meta = result["transaction"]["message"], result["meta"]
    message["accountKeys"].append(base58(AGGREGATOR))
    message["header"]["numReadonlyUnsignedAccounts"] += 1
    place = len(message["accountKeys"]) - 1
    groups = {group["index"]: group["instructions"] for group in meta["innerInstructions"]}
    within = [{"programIdIndex": place, "accounts": [], "data": "3", "stackHeight": 2}]
    for number, each in enumerate(message["instructions"]):
        within.append({**each, "stackHeight": 3})
        within += [{**one, "stackHeight": one["stackHeight"] + 2} for one in groups.get(number, ())]
    message["instructions"] = [{"programIdIndex": place, "accounts": [], "data": "2", "stackHeight": 1}]
    meta["innerInstructions"] = [{"index": 0, "instructions": within}]
    name = base58(AGGREGATOR)
    deeper = [
        line.replace(f"[{height}]", f"[{height + 2}]")
        for line in meta["logMessages"]
        for height in [int(line.rpartition("[")[2][:-1]) if " invoke [" in line else 0]
    ]
    meta["logMessages"] = [
        f"Program {name} invoke [1]", f"Program {name} invoke [2]", *deeper, f"Program {name} success",
        f"Program {name} success",
    ]  # fmt: skip
    return result


def without_heights(result: Result) -> Result:
    """As older nodes wrote it."""
    for group in result["meta"]["innerInstructions"]:
        for each in group["instructions"]:
            del each["stackHeight"]
    return result


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.venue.protocol)
@pytest.mark.parametrize(
    "form",
    [
        with_tables,
        by_another_program,
        lambda result: with_tables(by_another_program(result)),
        without_heights,
        lambda result: without_heights(by_another_program(result)),
    ],
    ids=["tables", "aggregator", "both", "no-heights", "aggregator-no-heights"],
)
def test_a_transaction_tells_the_same_in_every_form(run: Run, form: Callable[[Result], Result]) -> None:
    compared = 0
    for result in results(run):
        told = tell(run.venue, copy.deepcopy(result))
        assert tell(run.venue, form(result)) == told
        compared += sum(len(each.deeds) for each in told if isinstance(each, Told))
    assert compared > 25


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.venue.protocol)
def test_a_log_that_is_cut_off_is_not_believed(run: Run) -> None:
    """Wherever the node stops to write, before the last call begins or after: an event may stand behind it."""
    told = strange = 0
    for result in results(run):
        whole, logs = tell(run.venue, copy.deepcopy(result)), result["meta"]["logMessages"]
        opened = max(place for place, line in enumerate(logs) if " invoke [" in line)
        for kept in {1, opened, opened + 1, len(logs) - 1}:
            result["meta"]["logMessages"] = [*logs[:kept], "Log truncated"]
            for one, other in zip(whole, tell(run.venue, copy.deepcopy(result)), strict=True):
                if isinstance(other, Strange):
                    strange += 1
                    assert str(other) == "log_incomplete"
                else:
                    assert isinstance(one, Told)
                    told += 1
                    assert [(d.kind, d.amount, d.market) for d in other.deeds] == [
                        (d.kind, d.amount, d.market) for d in one.deeds
                    ]
    assert told > 15
    assert (strange > 3) == (run.venue.protocol == "marginfi")


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.venue.protocol)
def test_an_instruction_that_nobody_knows_is_named(run: Run) -> None:
    result = next(result for result in results(run) if any(tell(run.venue, copy.deepcopy(result))))
    last = result["transaction"]["message"]["instructions"][-1]
    last["data"] = base58(b"\xfe\xdc\xba\x98\x76\x54\x32\x10" + bytes(8))

    (said,) = tell(run.venue, result)

    assert str(said) in {"unknown_instruction:fedcba9876543210", "unknown_instruction:fe"}


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.venue.protocol)
def test_an_order_of_accounts_that_nobody_knows_is_refused(run: Run) -> None:
    """Versions that knew fewer accounts, or others, are not read as if they were known."""
    refused = 0
    for result in results(run):
        told = tell(run.venue, copy.deepcopy(result))
        last = result["transaction"]["message"]["instructions"][-1]
        if told and isinstance(told[-1], Told) and told[-1].deeds:
            last["accounts"] = last["accounts"][:5]
            (*_, said) = tell(run.venue, result)
            refused += str(said).startswith("unknown_accounts:")
    assert refused > 15


def test_data_belongs_to_the_call_that_wrote_it() -> None:
    """The program of a run calls the token program in between: what it writes afterwards is still its own."""
    run = next(run for run in RUNS if run.venue.protocol == "marginfi")
    program = bytes.fromhex(
        "0530 7ad6 454b bc5e 1e4e 9205 9253 a18b b8c8 868c 58a6 312e c86a 39e6 224e 373b".replace(" ", "")
    )
    found = [call for result in results(run) for call in calls(transaction(json.dumps(result)), program)]

    assert sum(len(call.written or ()) for call in found) > 40
    assert all(call.written is not None for call in found)
