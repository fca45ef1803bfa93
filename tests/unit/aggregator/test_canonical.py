"""Health inputs have one written form, and it can be read back."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from aggregator.margin.canonical import MalformedInputs, digest, from_json, to_json, words
from aggregator.margin.health import evaluate
from aggregator.margin.inputs import HealthInputs, OtherMethodology
from chains.model import FeedSpec, PriceAnswer, Reason
from tests.unit.aggregator.builders import (
    CHAIN,
    MINT,
    SOLANA,
    SOLANA_OWNER,
    USDC,
    WETH,
    Holding,
    Price,
    assets,
    escrow,
    inputs,
    liabilities,
    observation,
    source,
    venue,
)


def full() -> HealthInputs:
    """Inputs with something in every place."""
    prices = {WETH: Price(usd=2000), USDC: Price(usd=1)}
    held = venue(prices, Holding(supplied={WETH: 10**9}, owed={USDC: 8000.5}))
    snapshot = replace(
        held.snapshot,
        venue=replace(held.snapshot.venue, options={"names": ("one", "two"), "seconds": 600}),
        feeds={source(WETH): '{"aggregator":null}'},
        answers={source(WETH): PriceAnswer(-(2**100), 2**80 + 1, 2**63, 7, 2**70)},
    )
    feed = FeedSpec(
        asset=assets()[0].id, kind="chainlink", chain_id=CHAIN, address=source(WETH), heartbeat_s=3600, deviation=0.005
    )
    pyth = FeedSpec(
        asset=assets()[-1].id,
        kind="pyth-solana",
        chain_id=SOLANA,
        address=b"\xf1" * 32,
        heartbeat_s=60,
        deviation=0.001,
        feed_id=b"\xf2" * 32,
        max_confidence=0.01,
    )
    sure = replace(
        observation(WETH, 2000.0, feed=b"\xf3" * 20, confidence=1.5, past=[(4000, 1999.0), (60, 2001.0)]),
        max_confidence=0.01,
        operator="acme",
        whole_interval=True,
    )
    vault = escrow({WETH: 1}, said=liabilities("900", "-12.5", initial="1500.00000001", age_s=60))
    silent = escrow({MINT: 5}, name="silent", chain=SOLANA, owner=SOLANA_OWNER)
    return inputs(
        replace(held, snapshot=snapshot),
        vault,
        silent,
        observations=[observation(WETH, 2000.0), replace(observation(USDC, None, heartbeat_s=None), fault="odd"), sure],
        feeds=[feed, pyth],
        stale_chains=[Reason("chain_stale", CHAIN, "ä – ″")],
        gaps=[Reason("venue_incomplete", "toy-1", "a hole")],
    )


def test_what_is_written_is_read_back_equal() -> None:
    assert from_json(to_json(full())) == full()
    assert to_json(from_json(to_json(full()))) == to_json(full())


def test_what_is_said_of_an_asset_is_kept_and_shown_with_what_is_held_of_it() -> None:
    said = replace(full(), assets=(replace(assets()[0], bridge="lock-and-mint", issuer="acme"), *assets()[1:]))

    assert from_json(to_json(said)) == said
    shown = evaluate(said).venues[0].units[0].positions
    assert {(item.symbol, item.bridge, item.issuer) for item in shown} == {
        ("WETH", "lock-and-mint", "acme"),
        ("USDC", None, None),
    }


def test_what_is_read_back_gives_the_same_document() -> None:
    assert evaluate(from_json(to_json(full()))) == evaluate(full())


def test_the_digest_is_the_hash_of_the_canonical_text() -> None:
    expected = hashlib.sha256(to_json(full()).encode()).hexdigest()

    assert digest(full()) == f"sha256:{expected}"
    assert evaluate(full()).input_digest == f"sha256:{expected}"


def test_amounts_are_strings_bytes_are_hex_and_small_integers_are_numbers() -> None:
    written = json.loads(to_json(full()))

    (position, _) = written["venues"][0]["units"][0]["positions"]
    assert written["venues"][1]["liabilities"]["0x" + "11" * 20] == {
        "as_of": 1_699_999_940,
        "initial_requirement_usd": "1500.00000001",
        "maintenance_requirement_usd": "900.00000000",
        "pnl_usd": "-12.50000000",
        "key": "0x" + "5a" * 32,
        "document": "sha256:" + "d0" * 32,
    }
    assert written["venues"][2]["liabilities"] == {"0x" + "33" * 32: None}
    assert written["feeds"][1]["feed_id"] == "0x" + "f2" * 32
    assert position == {"market": "0x" + "c0" * 20, "side": "borrow", "amount_raw": "8000500000"}
    (answer,) = written["venues"][0]["answers"].values()
    assert answer == {
        "answer_raw": str(-(2**100)),
        "round_id": str(2**80 + 1),
        "updated_at": str(2**63),
        "block": 7,
        "confidence_raw": str(2**70),
    }
    assert written["as_of"][CHAIN]["number"] == 100


def test_the_order_of_mappings_does_not_matter() -> None:
    turned = full()
    turned = replace(turned, as_of=dict(reversed(list(turned.as_of.items()))))

    assert digest(turned) == digest(full())


def test_what_version_1_wrote_is_of_another_methodology_and_not_malformed() -> None:
    written = json.loads(to_json(full())) | {"methodology_version": "1"}
    del written["venues"]

    with pytest.raises(OtherMethodology, match="these inputs are of methodology 1, this program has 9"):
        from_json(json.dumps(written))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"methodology_version": "9"}', "null"])
def test_a_text_that_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(MalformedInputs):
        from_json(text)


def test_a_document_with_an_unknown_key_inside_is_refused() -> None:
    written = json.loads(to_json(full()))
    written["feeds"][0]["colour"] = "red"

    with pytest.raises(MalformedInputs, match="colour"):
        from_json(json.dumps(written))


def test_liabilities_that_are_no_numbers_are_refused() -> None:
    written = json.loads(to_json(full()))
    written["venues"][1]["liabilities"]["0x" + "11" * 20]["pnl_usd"] = "many"

    with pytest.raises(MalformedInputs):
        from_json(json.dumps(written))


texts = st.text(st.characters(exclude_categories=["Cs"]))
plain = st.recursive(
    st.none() | st.booleans() | st.integers(1 - 2**53, 2**53 - 1) | texts,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="ascii")), inner),
)


@given(st.dictionaries(st.text(st.characters(codec="ascii")), plain))
def test_what_has_no_fraction_is_written_as_everything_is(document: dict[str, object]) -> None:
    assert words(document) == rfc8785.dumps(document)  # type: ignore[arg-type]  # JSON
