"""A program's accounts as the upgradeable loader writes them."""

from __future__ import annotations

from solders.pubkey import Pubkey

from tests.devnet.solana.ledger import Ledger

LOADER = Pubkey.from_string("BPFLoaderUpgradeab1e11111111111111111111111")
CODE = b"\x7fELF" + bytes(200)


def deploy(ledger: Ledger, program: bytes, slot: int, authority: bytes | None = b"\x05" * 32) -> None:
    """Write both accounts of a program that is deployed in a slot, as part of the block in the making."""
    data, _ = Pubkey.find_program_address([program], LOADER)
    ledger.set_account(Pubkey(program), owner=LOADER, data=(2).to_bytes(4, "little") + bytes(data))
    who = bytes(33) if authority is None else b"\x01" + authority
    ledger.set_account(data, owner=LOADER, data=(3).to_bytes(4, "little") + slot.to_bytes(8, "little") + who + CODE)


def undeploy(ledger: Ledger, program: bytes) -> None:
    """Close a program: its code is gone, its own account stays."""
    data, _ = Pubkey.find_program_address([program], LOADER)
    ledger.close(data)
