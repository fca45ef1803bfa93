"""What EVM nodes and their providers say when they refuse: their words, sorted by what to do about them.

Words were seen in answers and sources of: Alchemy, Infura, QuickNode, Ankr, Chainstack, Cloudflare, dRPC, Blast, thirdweb, BlockPI,
PublicNode, 1RPC, LlamaRPC, Merkle, Coinbase, Conduit, geth, reth, Erigon, Nethermind, Besu, Avalanche, Arbitrum, Base, Optimism,
zkSync, Polygon zkEVM, Moonbeam, Harmony, Hyperliquid, Somnia, Sei, BSC.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class TooMuch(NamedTuple):
    """A refusal of so many blocks, or of what they hold: see `chains.errors.RangeTooWide`."""

    limit: int | None
    results: int | None
    lasting: bool


_N = r"(\d[\d,._]*\s?[km]?)(?![\w%])"
_NOT_BLOCKS = r"(?!\s*(?:results?|logs?|bytes|[kmg]b|addresses|topics|filters|requests?|seconds?|ms))"
_GAP = r"(?:(?!results|\blogs|size|response|address|topic|rate)[^\d.;]){0,40}?"

_HEX_RANGE = re.compile(r"\[\s*(0x[0-9a-f]+)\s*,\s*(0x[0-9a-f]+)\s*\]", re.IGNORECASE)
_RANGE = re.compile(r"range:?\s+(\d+)\s*(?:-|to)\s*(\d+)", re.IGNORECASE)

_RESULTS = tuple(
    re.compile(words, re.IGNORECASE)
    for words in (
        rf"(?:more than|cap of|exceeds? limit of|max(?:imum)?(?: of)?|at most|limit of)\s+{_N}\s*(?:results?|logs?|events?)",
        rf"max(?:imum)? (?:results|logs)(?: per \w+)?\D{{0,12}}{_N}",
        rf"logs\b.{{0,30}} exceeds? limit of {_N}",
        rf"too many (?:results|logs)\D{{0,30}}{_N}",
    )
)
_DATA = re.compile(
    r"more than [\d,]+ (results|logs)|max(imum)? results|too many (results|logs|events)|too many matching|max logs"
    r"|logs matched|log response size|response (size|is) (too|should not|exceed|is too)|response (size )?(too large|exceed)"
    r"|too large response|(query|request|execution)( \w+)? ?(timeout|timed out)|(query|request|execution) timed out"
    r"|timeout exceeded|deadline exceeded|query duration|reduce (your|the|query) block range",
    re.IGNORECASE,
)
"""What is refused for what the blocks hold, so that fewer of them may do and elsewhere more."""

_BLOCKS = tuple(
    re.compile(words, re.IGNORECASE)
    for words in (
        rf"max(?:imum)?\w*\b{_GAP}{_N}{_NOT_BLOCKS}",
        rf"limited to (?:an? |at most )?(?:\d+\s*-\s*)?{_N}{_NOT_BLOCKS}",
        rf"(?:up to|at most|within) (?:an? )?{_N}[\s-]*blocks?",
        rf"more than {_N} blocks",
        rf"\(\s*\d[\d,]*\s*>\s*{_N}\s*\)",
        rf"range\b.{{0,20}} exceeds? (?:the )?limit (?:of )?{_N}",
        rf"ranges? (?:is )?(?:greater|over|larger|more|wider|exceeds?|above|must be (?:less|smaller))(?: than)? {_N}",
        rf"smaller than size {_N}",
        rf"range\b.{{0,40}} narrow your filter\D{{0,3}}{_N}",
        rf"{_N} blocks? (?:range )?(?:limit|max)",
    )
)
_TOO_WIDE = re.compile(
    r"range\b.{0,30}\b(too (wide|large|high|big|many)|exceed|limit|not supported|larger|greater|over)"
    r"|(exceed|limit|too (wide|large|big))\w*\b.{0,40}\brange|too many blocks|(number of|requested) blocks"
    r"|range of parameters|ranges? over|smaller than size|blocks distance|eth_getLogs is limited",
    re.IGNORECASE,
)
_BEYOND = re.compile(
    r"beyond (the )?(current )?(head|latest|tip)|after last accepted|greater than (the )?(latest|head)"
    r"|header not found|unknown (finalized |safe )?block|block (\S+ )?(was )?not (be )?found|could not find block"
    r"|block (is )?not (yet )?(available|known|imported)|block(number)? (\S+ )?(is )?out of range|future block"
    r"|requested block (number )?(is )?(greater|higher|not)|invalid blockhash|no block with that",
    re.IGNORECASE,
)
_RATE = re.compile(
    r"rate.?limit|too many requests|requests? (per|limit)|per second|/s(ec)?\b|throughput|compute units|capacity|credits"
    r"|quota|request (count|rate)|daily|monthly|too much load|overload|busy|throttl|slow down|try again later"
    r"|no (\w+ )?backend|currently healthy|concurren",
    re.IGNORECASE,
)
_ADDRESSES = re.compile(
    r"(max(imum)?|too many|less|exceed\w*|limit|fewer)\b.{0,30}\b(?<!<)(address(es)?|topics|selectors|filters)\b"
    r"|\b(addresses|selectors|filters)\b.{0,40}\b(limit|exceed|too|allowed|max|only \d)"
    r"|request entity too large|body too large|payload too large|array is too large",
    re.IGNORECASE,
)
_HISTORY = re.compile(
    r"missing trie node|pruned|historical (state|data)|state .{0,40}(unavailable|not available)|archive|old data not available"
    r"|history .{0,20}(not available|unavailable)|ancient|distance to target block exceeds|proof window",
    re.IGNORECASE,
)
_SPARING_OF_WORDS = "limit exceeded"
_PLACES = {"k": 1_000, "m": 1_000_000}


def too_much(text: str) -> TooMuch | None:
    """Return what a node that refuses logs of a range says of its limits, or `None` if it speaks of something else."""
    if text.strip().lower() == _SPARING_OF_WORDS:
        return TooMuch(None, None, lasting=False)
    if _DATA.search(text):
        return TooMuch(_suggested(text), _least(_RESULTS, text), lasting=False)
    if _HEX_RANGE.search(text) and not _numbers(_BLOCKS, text):
        return TooMuch(_suggested(text), None, lasting=False)
    numbers = _numbers(_BLOCKS, text)
    if numbers and (_TOO_WIDE.search(text) or "block" in text.lower() or "range" in text.lower()):
        return TooMuch(min(numbers), None, lasting=True)
    if _TOO_WIDE.search(text) and not _RATE.search(text):
        return TooMuch(None, None, lasting=True)
    return None


def too_many_addresses(text: str) -> bool:
    """Tell whether a node minds how many addresses or topics it was asked for."""
    return bool(_ADDRESSES.search(text))


def beyond(text: str) -> bool:
    """Tell whether a node does not know a block that was asked for, which others may know."""
    return bool(_BEYOND.search(text))


def too_often(text: str) -> bool:
    """Tell whether a node minds how often it is asked."""
    return bool(_RATE.search(text))


def history_gone(text: str) -> bool:
    """Tell whether a node does not keep what it was asked for any more."""
    return bool(_HISTORY.search(text))


def _suggested(text: str) -> int | None:
    """Return the width of the range that a node suggests."""
    if found := _HEX_RANGE.search(text):
        first, last = (int(word, 16) for word in found.groups())
    elif found := _RANGE.search(text):
        first, last = (int(word) for word in found.groups())
    else:
        return None
    return last - first + 1 if last >= first else None


def _least(patterns: tuple[re.Pattern[str], ...], text: str) -> int | None:
    return min(_numbers(patterns, text), default=None)


def _numbers(patterns: tuple[re.Pattern[str], ...], text: str) -> list[int]:
    return [number for pattern in patterns for word in pattern.findall(text) if (number := _number(word)) > 0]


def _number(word: str) -> int:
    """Read `10,000`, `10.000`, `2K` or `1024.`."""
    digits = re.sub(r"[,._\s]", "", word.lower())
    place = _PLACES.get(digits[-1:], 1)
    return int(digits.rstrip("km")) * place
