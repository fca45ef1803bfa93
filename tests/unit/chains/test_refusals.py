"""What providers say when they refuse, as they were seen to say it, and what is understood."""

from __future__ import annotations

import pytest

from chains.errors import ChainError, HistoryGone, NodeBehind, NodeLimits, RangeTooWide, TooManyAddresses
from chains.evm.dialect import EvmDialect
from chains.evm.refusals import TooMuch, too_much
from chains.rpc import RpcFault

LASTING: dict[str, int | None] = {
    "Under the Free tier plan, you can make eth_getLogs requests with up to a 10 block range. Based on your parameters, this block"
    " range should work: [0x1180fca, 0x1180fd3]. Upgrade to PAYG for expanded block range.": 10,
    "range 1000000 exceeds limit of 10000": 10_000,
    "eth_getLogs is limited to a 10,000 range": 10_000,
    "eth_getLogs is limited to a 5 range": 5,
    "eth_getLogs is limited to 0 - 50 blocks range": 50,
    "eth_getLogs is limited to 1024 block range. Please check the parameter requirements at <address>": 1_024,
    "block range is too wide": None,
    "block range is too wide (maximum 1024)": 1_024,
    "Block range limit exceeded. See more details at <address>": None,
    "Invalid params: Max range: 800": 800,
    "ranges over 10000 blocks are not supported on freetier": 10_000,
    "exceeds the range allowed for your plan (5000 > 3000)": 3_000,
    "Maximum allowed number of requested blocks is 1000": 1_000,
    "exceed maximum block range: 50000": 50_000,
    "query exceeds max block range 100000": 100_000,
    "query block range exceeds server limit, narrow your filter: 1000": 1_000,
    "block range too large, max range: 1000": 1_000,
    "block range too large (2000), maximum allowed is 1000 blocks": 1_000,
    "Requested range exceeds maximum RPC range limit": None,
    "requested range too large": None,
    "requested too many blocks from 0 to 5000000, maximum is set to 2048": 2_048,
    "please limit the query to at most 1,000 blocks": 1_000,
    "block range greater than 2000 max": 2_000,
    "block range exceeds 1000": 1_000,
    "eth_getLogs range is too large, max is 10k blocks": 10_000,
    "query must be smaller than size 1024": 1_024,
    "maximum [from, to] blocks distance: 10000": 10_000,
    "block range is larger than max block range, block range = 5120, max block range = 5000": 5_000,
    "block range too high": None,
    "This range of parameters is not supported": None,
    "invalid range: maxAllowedRange: 30000": 30_000,
    "cannot query more than 2000 blocks at once": 2_000,
    "Exceeded max range limit for eth_getLogs: 1000": 1_000,
}
"""The node minds the number of blocks, whatever they hold."""

PASSING: dict[str, tuple[int | None, int | None]] = {
    "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range and no limit on the response size, or"
    " you can request any block range with a cap of 10K logs in the response. Based on your parameters and the response size limit,"
    " this block range should work: [0xc5dc00, 0xc614a7]": (14_504, 10_000),
    "Query timeout exceeded. Consider reducing your block range. Based on your parameters and the response size limit, this block range"
    " should work: [0x5223c98, 0x5223e80]": (489, None),
    "query returned more than 10000 results. Try with this block range [0x64, 0xc7].": (100, 10_000),
    "query returned more than 10000 results": (None, 10_000),
    "query exceeds max results 20000, retry with the range 6000000-6000509": (510, 20_000),
    "query returns too many logs, narrow your filter: 20000": (None, 20_000),
    "logs matched by query exceeds limit of 10000": (None, 10_000),
    "backend response too large": (None, None),
    "response size should not greater than 10000000 bytes": (None, None),
    "query timed out": (None, None),
    "limit exceeded": (None, None),
}
"""The node minds what the blocks hold: the width that it suggests, and the most logs."""

RATES = [
    "Your app has exceeded its compute units per second capacity.",
    "too many requests",
    "daily request count exceeded, request rate limited",
    "project ID request rate exceeded",
    "requests limited to 25/second",
    "Exceeded the quota usage",
]
ADDRESSES = [
    "exceed max addresses or topics per search position",
    "exceed max addresses: 1000",
    "exceed max topics",
    "Please, specify less number of addresses",
    "This query contains 5006 filters. The current limit is 5000.",
    "1002 address and topic selectors specified in query, but only 500 are allowed",
    "request entity too large",
]
BEHIND = ["block range extends beyond current head block", "header not found", "unknown block", "block not found"]
GONE = ["missing trie node 0xabc (path )", "historical state 0xabc is not available", "state has been pruned"]
OTHER = ["Internal error", "the method eth_getLogs does not exist/is not available", "invalid block range params"]


def meant(text: str, *, code: int = -32000, method: str = "eth_getLogs") -> ChainError:
    fault = RpcFault(f"node 1 refuses {method}: {text}", code=code, text=text, data=None)
    return EvmDialect(1).error("eip155:1", "node 1", method, fault)


@pytest.mark.parametrize("text", LASTING)
def test_a_limit_of_blocks_is_read_from_a_providers_words(text: str) -> None:
    error = meant(text, code=-32005)

    assert isinstance(error, RangeTooWide)
    assert (error.limit, error.results, error.lasting, error.node) == (LASTING[text], None, True, "node 1")


@pytest.mark.parametrize("text", PASSING)
def test_a_refusal_for_what_blocks_hold_is_no_limit_of_blocks(text: str) -> None:
    error = meant(text)

    assert isinstance(error, RangeTooWide)
    assert ((error.limit, error.results), error.lasting) == (PASSING[text], False)


@pytest.mark.parametrize(
    "texts, kind",
    [(RATES, NodeLimits), (ADDRESSES, TooManyAddresses), (BEHIND, NodeBehind), (GONE, HistoryGone), (OTHER, RpcFault)],
    ids=["rates", "addresses", "behind", "gone", "other"],
)
def test_other_refusals_of_logs_are_told_apart(texts: list[str], kind: type[ChainError]) -> None:
    assert {text: type(meant(text)) for text in texts} == dict.fromkeys(texts, kind)


@pytest.mark.parametrize("text", [*LASTING, *PASSING])
def test_only_questions_for_logs_have_a_range(text: str) -> None:
    assert not isinstance(meant(text, method="eth_getCode"), RangeTooWide)


def test_a_suggestion_that_ends_before_it_begins_is_none() -> None:
    assert too_much("query returned more than 5 results, try [0x9, 0x3]") == TooMuch(None, 5, lasting=False)


@pytest.mark.parametrize("text", ["", " ", "[0x, 0x]", "max range: " + "9" * 400, "k" * 10_000, "range " * 2_000])
def test_any_words_are_read_without_failing(text: str) -> None:
    assert isinstance(meant(text), ChainError)
