"""A chain as plain JSON, and the recording of the story's cluster: what a node would answer, without the node.

`python -m tests.devnet.solana.record OUT_DIR` writes `solana-<label>.json.gz`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from solders.pubkey import Pubkey

from crossmargin.demo.recording import load
from crossmargin.packaged import recordings
from tests.devnet.solana import wire
from tests.devnet.solana.accounts import Image, token_holding
from tests.devnet.solana.blocks import Block, Landed
from tests.devnet.solana.ledger import CLOCK, Ledger
from tests.devnet.solana.story import Story, feed_id_of, price_account_of, tell

FORMAT = 1
MOST_VERSION = 0
LABEL = "east"
EXPECTED_AT = (
    "before_crash_block",
    "crash_first_block",
    "crash_block",
    "margin_call_block",
    "after_liquidations_block",
    "last_block",
)


def dump(ledger: Ledger) -> dict[str, Any]:
    """Blocks, transactions, signatures by address, and every state of every account with the slot that made it."""
    with ledger.lock:
        landed = [each for block in ledger.blocks for each in block.transactions]
        addresses = sorted({key for each in landed for key in each.keys}, key=str)
        return {
            "format": FORMAT,
            "genesis_hash": str(ledger.genesis_hash),
            "first_slot": ledger.first_slot,
            "finalized_depth": ledger.finalized_depth,
            "blocks": [block_of(block) for block in ledger.blocks],
            "transactions": {each.signature: wire.confirmed_transaction(each, "json", MOST_VERSION) for each in landed},
            "signatures": {
                str(address): [each.signature for each in reversed(ledger.history(address))] for address in addresses
            },
            "accounts": {str(key): versions_of(ledger, key) for key in ledger.changed_accounts() if key != CLOCK},
        }


def block_of(block: Block) -> dict[str, Any]:
    """A block with the signatures of its transactions."""
    body = wire.block_json(block, details="signatures", encoding="json", most_version=MOST_VERSION, rewards=False)
    return {"slot": block.slot, **body}


def versions_of(ledger: Ledger, key: Pubkey) -> list[list[Any]]:
    """The states of an account, oldest first, each after its slot; null for one that is gone."""
    return [[slot, image_json(image)] for slot, image in ledger.versions(key)]


def image_json(image: Image | None) -> dict[str, Any] | None:
    """An account."""
    if image is None:
        return None
    return {"lamports": image.lamports, "owner": str(image.owner), "data": b64encode(image.data).decode()}


def record_story(story: Story) -> dict[str, Any]:
    """Everything that an indexer asks a node about the story's vault and prices, and what it should find."""
    ledger, vault = story.ledger, story.scene.vault
    every = [landed for block in ledger.blocks for landed in block.transactions]
    named = [landed for landed in every if not set(vault.all_accounts).isdisjoint(landed.keys)]
    return {
        "format": FORMAT,
        "genesis_hash": str(ledger.genesis_hash),
        "label": story.label,
        "blocks": [block_of(block) for block in ledger.blocks],
        "transactions": [wire.confirmed_transaction(landed, "json", MOST_VERSION) for landed in named],
        "signatures": {str(account): lines(ledger.history(account)) for account in vault.all_accounts},
        "accounts": {str(key): states(ledger, key) for key in watched(story)},
        "vault": {
            "authority": str(vault.authority),
            "start_block": story.opened,
            "accounts": list(map(str, vault.all_accounts)),
            "tokens": [{"symbol": symbol, "mint": token.address} for symbol, token in story.scene.tokens.items()],
        },
        "feeds": list(feeds(story)),
        "events_of_story": story.events,
        "expected": [expectation(story, int(story.events[event])) for event in EXPECTED_AT],
    }


def lines(history: Sequence[Landed]) -> list[dict[str, Any]]:
    """What `getSignaturesForAddress` gives, newest first."""
    return [wire.signature_json(landed, "finalized") for landed in reversed(history)]


def watched(story: Story) -> Iterator[Pubkey]:
    """The accounts that say something about the vault: its own, the mints, and the prices."""
    yield from story.scene.vault.all_accounts
    for symbol, token in story.scene.tokens.items():
        yield token.mint
        yield price_account_of(symbol)


def states(ledger: Ledger, key: Pubkey) -> list[dict[str, Any]]:
    """What an account held from each of its slots on, as `getMultipleAccounts` gives it."""
    return [
        {"slot": slot, "account": None if image is None else wire.account_json(image, "base64")}
        for slot, image in ledger.versions(key)
    ]


def feeds(story: Story) -> Iterator[dict[str, str]]:
    """The price accounts, each with the token that it prices."""
    for symbol, token in story.scene.tokens.items():
        feed_id, account = feed_id_of(symbol), price_account_of(symbol)
        yield {"symbol": symbol, "mint": token.address, "address": str(account), "feed_id": f"0x{feed_id.hex()}"}


def expectation(story: Story, slot: int) -> dict[str, Any]:
    """After a slot: what the token program holds in each of the vault's accounts, and the book of who has what of it."""
    ledger, block = story.ledger, story.ledger.newest_until(slot)
    held = {str(key): token_holding(ledger.account_at(key, slot)) for key in story.scene.vault.all_accounts}
    depositors: dict[str, dict[str, str]] = {}
    for (owner, mint), net in sorted(story.population.expected_at(slot).nets.items()):
        depositors.setdefault(owner, {})[mint] = str(net)
    return {
        "slot": block.slot,
        "block_hash": str(block.hash),
        "accounts": {key: str(holding.amount if holding else 0) for key, holding in held.items()},
        "depositors": depositors,
    }


def write(recording: Mapping[str, Any], folder: Path) -> Path:
    """The recording as a file whose bytes depend on its content alone."""
    path = folder / f"solana-{recording['label']}.json.gz"
    text = json.dumps(recording, separators=(",", ":")).encode()
    with path.open("wb") as sink, gzip.GzipFile("", "wb", 9, sink, mtime=0) as stream:
        stream.write(text)
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    """Record the cluster beside the recorded EVM chains, whose moments it shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out_dir", type=Path)
    folder: Path = parser.parse_args(arguments).out_dir
    folder.mkdir(parents=True, exist_ok=True)
    path = write(record_story(tell(load(recordings()[0]), label=LABEL)), folder)
    sys.stdout.write(f"{path}: {path.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
