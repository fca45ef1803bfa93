"""Instructions of the token programs and their neighbours, as bytes."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from solders.compute_budget import set_compute_unit_limit
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from solders.system_program import CreateAccountParams, TransferParams, create_account, transfer
from spl.token.constants import ASSOCIATED_TOKEN_PROGRAM_ID, TOKEN_2022_PROGRAM_ID

from tests.devnet.solana.accounts import MINT_SIZE, SYSTEM_PROGRAM, TOKEN_ACCOUNT_SIZE, rent_exempt

MEMO_PROGRAM = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")
FEE_MINT_SIZE = 278
"""A Token-2022 mint whose one extension is the transfer fee: 165, a byte of kind, and 4 + 108."""
BASIS_POINTS = 10_000
MOST_COMPUTE = 1_000_000


class Code(IntEnum):
    """The first byte of a token instruction."""

    TRANSFER = 3
    APPROVE = 4
    REVOKE = 5
    SET_AUTHORITY = 6
    MINT_TO = 7
    BURN = 8
    CLOSE_ACCOUNT = 9
    TRANSFER_CHECKED = 12
    SYNC_NATIVE = 17
    INITIALIZE_ACCOUNT_3 = 18
    INITIALIZE_MINT_2 = 20
    TRANSFER_FEE = 26
    BATCH = 255


class FeeCode(IntEnum):
    """The second byte of a transfer fee instruction."""

    INITIALIZE = 0
    TRANSFER_CHECKED = 1
    WITHDRAW_FROM_MINT = 2
    WITHDRAW_FROM_ACCOUNTS = 3
    HARVEST = 4


class Authority(IntEnum):
    """Which of a token account's powers changes hands."""

    ACCOUNT_OWNER = 2
    CLOSE_ACCOUNT = 3


def writable(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, is_signer=False, is_writable=True)


def readonly(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, is_signer=False, is_writable=False)


def signer(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, is_signer=True, is_writable=False)


def paying(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, is_signer=True, is_writable=True)


def u64(amount: int) -> bytes:
    return amount.to_bytes(8, "little")


def transfer_plain(program: Pubkey, source: Pubkey, destination: Pubkey, authority: Pubkey, amount: int) -> Instruction:
    """Transfer: names no mint."""
    metas = [writable(source), writable(destination), signer(authority)]
    return Instruction(program, bytes([Code.TRANSFER]) + u64(amount), metas)


def transfer_checked(
    program: Pubkey,
    source: Pubkey,
    mint: Pubkey,
    destination: Pubkey,
    authority: Pubkey,
    *,
    amount: int,
    decimals: int,
) -> Instruction:
    """TransferChecked. A fee, where the mint takes one, is taken all the same."""
    metas = [writable(source), readonly(mint), writable(destination), signer(authority)]
    return Instruction(program, bytes([Code.TRANSFER_CHECKED]) + u64(amount) + bytes([decimals]), metas)


def transfer_checked_with_fee(
    source: Pubkey,
    mint: Pubkey,
    destination: Pubkey,
    authority: Pubkey,
    *,
    amount: int,
    decimals: int,
    fee: int,
) -> Instruction:
    """TransferCheckedWithFee of Token-2022; fails unless the fee is exact."""
    metas = [writable(source), readonly(mint), writable(destination), signer(authority)]
    body = bytes([Code.TRANSFER_FEE, FeeCode.TRANSFER_CHECKED]) + u64(amount) + bytes([decimals]) + u64(fee)
    return Instruction(TOKEN_2022_PROGRAM_ID, body, metas)


def transfer_fee(amount: int, *, basis_points: int, most: int) -> int:
    """What Token-2022 withholds of a transfer: rounded up, never above the most."""
    return min(-(-amount * basis_points // BASIS_POINTS), most)


def approve(program: Pubkey, source: Pubkey, delegate: Pubkey, owner: Pubkey, amount: int) -> Instruction:
    metas = [writable(source), readonly(delegate), signer(owner)]
    return Instruction(program, bytes([Code.APPROVE]) + u64(amount), metas)


def set_owner(program: Pubkey, account: Pubkey, owner: Pubkey, new_owner: Pubkey) -> Instruction:
    """SetAuthority of a token account's owner."""
    body = bytes([Code.SET_AUTHORITY, Authority.ACCOUNT_OWNER, 1]) + bytes(new_owner)
    return Instruction(program, body, [writable(account), signer(owner)])


def mint_to(program: Pubkey, mint: Pubkey, destination: Pubkey, authority: Pubkey, amount: int) -> Instruction:
    metas = [writable(mint), writable(destination), signer(authority)]
    return Instruction(program, bytes([Code.MINT_TO]) + u64(amount), metas)


def burn(program: Pubkey, account: Pubkey, mint: Pubkey, owner: Pubkey, amount: int) -> Instruction:
    metas = [writable(account), writable(mint), signer(owner)]
    return Instruction(program, bytes([Code.BURN]) + u64(amount), metas)


def close_account(program: Pubkey, account: Pubkey, destination: Pubkey, owner: Pubkey) -> Instruction:
    metas = [writable(account), writable(destination), signer(owner)]
    return Instruction(program, bytes([Code.CLOSE_ACCOUNT]), metas)


def sync_native(program: Pubkey, account: Pubkey) -> Instruction:
    """Count the lamports that arrived in an account of wrapped SOL."""
    return Instruction(program, bytes([Code.SYNC_NATIVE]), [writable(account)])


def batch(program: Pubkey, parts: Sequence[Instruction]) -> Instruction:
    """Several token instructions as one, without inner instructions."""
    body, metas = bytes([Code.BATCH]), []
    for part in parts:
        body += bytes([len(part.accounts), len(part.data)]) + bytes(part.data)
        metas += part.accounts
    return Instruction(program, body, metas)


def create_token_account(
    program: Pubkey, payer: Pubkey, account: Pubkey, mint: Pubkey, owner: Pubkey
) -> list[Instruction]:
    """A token account at an address of its own."""
    return [
        create_account(
            CreateAccountParams(
                from_pubkey=payer,
                to_pubkey=account,
                lamports=rent_exempt(TOKEN_ACCOUNT_SIZE),
                space=TOKEN_ACCOUNT_SIZE,
                owner=program,
            )
        ),
        Instruction(program, bytes([Code.INITIALIZE_ACCOUNT_3]) + bytes(owner), [writable(account), readonly(mint)]),
    ]


def create_mint(program: Pubkey, payer: Pubkey, mint: Pubkey, authority: Pubkey, decimals: int) -> list[Instruction]:
    """A mint without extensions or freeze authority."""
    return [_mint_room(program, payer, mint, MINT_SIZE), _initialize_mint(program, mint, authority, decimals)]


def create_fee_mint(
    payer: Pubkey, mint: Pubkey, authority: Pubkey, decimals: int, *, basis_points: int, most: int
) -> list[Instruction]:
    """A mint of Token-2022 that withholds a fee of every transfer."""
    some_authority = b"\1" + bytes(authority)
    fee = Instruction(
        TOKEN_2022_PROGRAM_ID,
        bytes([Code.TRANSFER_FEE, FeeCode.INITIALIZE])
        + some_authority * 2
        + basis_points.to_bytes(2, "little")
        + u64(most),
        [writable(mint)],
    )
    room = _mint_room(TOKEN_2022_PROGRAM_ID, payer, mint, FEE_MINT_SIZE)
    return [room, fee, _initialize_mint(TOKEN_2022_PROGRAM_ID, mint, authority, decimals)]


def harvest_fees(mint: Pubkey, sources: Sequence[Pubkey]) -> Instruction:
    """Move withheld fees from token accounts to their mint; anybody may."""
    metas = [writable(mint), *(writable(source) for source in sources)]
    return Instruction(TOKEN_2022_PROGRAM_ID, bytes([Code.TRANSFER_FEE, FeeCode.HARVEST]), metas)


def withdraw_fees_from_mint(mint: Pubkey, destination: Pubkey, authority: Pubkey) -> Instruction:
    """Pay harvested fees into a token account."""
    metas = [writable(mint), writable(destination), signer(authority)]
    return Instruction(TOKEN_2022_PROGRAM_ID, bytes([Code.TRANSFER_FEE, FeeCode.WITHDRAW_FROM_MINT]), metas)


def withdraw_fees_from_accounts(
    mint: Pubkey, destination: Pubkey, authority: Pubkey, sources: Sequence[Pubkey]
) -> Instruction:
    """Pay withheld fees straight from token accounts into another."""
    metas = [readonly(mint), writable(destination), signer(authority), *(writable(source) for source in sources)]
    body = bytes([Code.TRANSFER_FEE, FeeCode.WITHDRAW_FROM_ACCOUNTS, len(sources)])
    return Instruction(TOKEN_2022_PROGRAM_ID, body, metas)


def ata_address(owner: Pubkey, mint: Pubkey, program: Pubkey) -> Pubkey:
    """The associated token account of an owner."""
    return Pubkey.find_program_address([bytes(owner), bytes(program), bytes(mint)], ASSOCIATED_TOKEN_PROGRAM_ID)[0]


def create_ata(payer: Pubkey, owner: Pubkey, mint: Pubkey, program: Pubkey, *, idempotent: bool = True) -> Instruction:
    """Create an associated token account."""
    metas = [
        paying(payer),
        writable(ata_address(owner, mint, program)),
        readonly(owner),
        readonly(mint),
        readonly(SYSTEM_PROGRAM),
        readonly(program),
    ]
    return Instruction(ASSOCIATED_TOKEN_PROGRAM_ID, bytes([1 if idempotent else 0]), metas)


def recover_nested(wallet: Pubkey, owner_mint: Pubkey, nested_mint: Pubkey, program: Pubkey) -> Instruction:
    """Bring home what was sent to the associated account of a wallet's own associated account: transfers by CPI."""
    holder = ata_address(wallet, owner_mint, program)
    metas = [
        writable(ata_address(holder, nested_mint, program)),
        readonly(nested_mint),
        writable(ata_address(wallet, nested_mint, program)),
        readonly(holder),
        readonly(owner_mint),
        paying(wallet),
        readonly(program),
    ]
    return Instruction(ASSOCIATED_TOKEN_PROGRAM_ID, bytes([2]), metas)


def memo(text: str) -> Instruction:
    """A note."""
    return Instruction(MEMO_PROGRAM, text.encode(), [])


def pay(sender: Pubkey, receiver: Pubkey, lamports: int) -> Instruction:
    """A transfer of lamports."""
    return transfer(TransferParams(from_pubkey=sender, to_pubkey=receiver, lamports=lamports))


def distinct(number: int) -> Instruction:
    """An instruction that changes nothing but the signature: a compute limit nobody reaches."""
    return set_compute_unit_limit(MOST_COMPUTE + number % 400_000)


def _mint_room(program: Pubkey, payer: Pubkey, mint: Pubkey, size: int) -> Instruction:
    return create_account(
        CreateAccountParams(from_pubkey=payer, to_pubkey=mint, lamports=rent_exempt(size), space=size, owner=program)
    )


def _initialize_mint(program: Pubkey, mint: Pubkey, authority: Pubkey, decimals: int) -> Instruction:
    body = bytes([Code.INITIALIZE_MINT_2, decimals]) + bytes(authority) + b"\0"
    return Instruction(program, body, [writable(mint)])
