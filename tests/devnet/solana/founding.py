"""The first blocks: mints, the vault's accounts, lookup tables, and people with something in their pockets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import (
    CreateLookupTableParams,
    ExtendLookupTableParams,
    create_lookup_table,
    extend_lookup_table,
)
from spl.token.constants import TOKEN_PROGRAM_ID, WRAPPED_SOL_MINT

from tests.devnet.solana import tokens
from tests.devnet.solana.accounts import MINT_SIZE, SYSTEM_PROGRAM
from tests.devnet.solana.blocks import Landed
from tests.devnet.solana.keys import keypair
from tests.devnet.solana.ledger import Ledger
from tests.devnet.solana.scene import Scene, Staff, Step
from tests.devnet.solana.vault import FEE, FEE_BASIS_POINTS, FEE_MOST, JSOL, USDC, WSOL, Token, User, Vault
from tests.devnet.solana.vault import tokens as listed

RICH_LAMPORTS = 10**13
POCKET_LAMPORTS = 10**12
POCKET_TOKENS = 1_000_000
FUNDED_PER_BLOCK = 8
TABLE_PART = 20
USERS_IN_TABLE = 40


class Failed(Exception):
    """A transaction that had to succeed did not."""


def found(ledger: Ledger, *, seed: int, users: int, wrapped_sol: bool) -> Scene:
    """A vault and its people on a chain of one block."""
    names = {symbol: keypair(seed, f"mint/{symbol}") for symbol in (USDC, JSOL, FEE)}
    known = listed(names, wrapped_sol=wrapped_sol)
    staff = Staff(**{name: keypair(seed, name) for name in ("admin", "sponsor", "delegate")})
    scene = Scene(
        seed=seed,
        ledger=ledger,
        rng=Random(f"{seed}/population"),
        tokens=known,
        vault=vault_of(seed, known),
        users=tuple(user_of(seed, number, known) for number in range(users)),
        staff=staff,
    )
    enrich(scene)
    for instructions, signer in mint_instructions(scene):
        do(scene, Step(instructions=instructions, payer=staff.admin, signers=[signer]))
    ledger.seal()
    open_accounts(scene)
    fund(scene)
    scene.tables = lookup_tables(scene)
    return scene


def do(scene: Scene, step: Step) -> Landed:
    """Execute a transaction that must succeed. Raises Failed."""
    landed = scene.ledger.execute(scene.signed(step))
    if landed.error is not None:
        raise Failed(f"{landed.error}: {landed.logs}")
    return landed


def vault_of(seed: int, known: dict[str, Token]) -> Vault:
    """The vault's addresses: an associated account of each token, and one more of the first."""
    key = keypair(seed, "vault")
    extra = {USDC: (keypair(seed, "vault/extra").pubkey(),)}
    authority = key.pubkey()
    accounts = {symbol: (token.ata(authority), *extra.get(symbol, ())) for symbol, token in known.items()}
    return Vault(key=key, authority=authority, accounts=accounts)


def user_of(seed: int, number: int, known: dict[str, Token]) -> User:
    """A numbered user."""
    key = keypair(seed, f"user/{number}")
    owner = key.pubkey()
    accounts = {symbol: token.ata(owner) for symbol, token in known.items()}
    return User(name=f"u{number}", key=key, owner=owner, address=str(owner), accounts=accounts)


def enrich(scene: Scene) -> None:
    """Lamports for everybody, and the mint of wrapped SOL, which real chains are born with."""
    staff = scene.staff
    rich = (staff.admin, staff.sponsor, staff.delegate, scene.vault.key)
    for key in rich:
        scene.ledger.set_account(key.pubkey(), owner=SYSTEM_PROGRAM, lamports=RICH_LAMPORTS)
    for user in scene.users:
        scene.ledger.set_account(user.owner, owner=SYSTEM_PROGRAM, lamports=POCKET_LAMPORTS)
    if WSOL in scene.tokens:
        scene.ledger.set_account(WRAPPED_SOL_MINT, owner=TOKEN_PROGRAM_ID, data=native_mint())
    scene.ledger.seal()


def native_mint() -> bytes:
    """A mint without authority or supply, of nine decimals."""
    body = bytearray(MINT_SIZE)
    body[44], body[45] = 9, 1
    return bytes(body)


def mint_instructions(scene: Scene) -> Iterator[tuple[Sequence[Instruction], Keypair]]:
    """How each mint comes about, with the key that signs for its address."""
    admin = scene.staff.admin.pubkey()
    for symbol in (USDC, JSOL):
        token = scene.tokens[symbol]
        made = tokens.create_mint(token.program, admin, token.mint, admin, token.decimals)
        yield made, keypair(scene.seed, f"mint/{symbol}")
    fee = scene.tokens[FEE]
    made = tokens.create_fee_mint(admin, fee.mint, admin, fee.decimals, basis_points=FEE_BASIS_POINTS, most=FEE_MOST)
    yield made, keypair(scene.seed, f"mint/{FEE}")


def open_accounts(scene: Scene) -> None:
    """The vault's token accounts."""
    admin, vault = scene.staff.admin, scene.vault
    for token in scene.tokens.values():
        made = tokens.create_ata(admin.pubkey(), vault.authority, token.mint, token.program)
        do(scene, Step(instructions=[made], payer=admin))
    usdc, extra = scene.tokens[USDC], keypair(scene.seed, "vault/extra")
    room = tokens.create_token_account(usdc.program, admin.pubkey(), extra.pubkey(), usdc.mint, vault.authority)
    do(scene, Step(instructions=room, payer=admin, signers=[extra]))
    scene.ledger.seal()


def fund(scene: Scene) -> None:
    """Token accounts with a million of each for every user."""
    for place, user in enumerate(scene.users, start=1):
        do(scene, Step(instructions=pocket_of(scene, user), payer=scene.staff.admin))
        if place % FUNDED_PER_BLOCK == 0 or place == len(scene.users):
            scene.ledger.seal()


def pocket_of(scene: Scene, user: User) -> list[Instruction]:
    """What fills a pocket."""
    admin = scene.staff.admin.pubkey()
    made = []
    for symbol, token in scene.tokens.items():
        made.append(tokens.create_ata(admin, user.owner, token.mint, token.program))
        if symbol != WSOL:
            amount = POCKET_TOKENS * 10**token.decimals
            made.append(tokens.mint_to(token.program, token.mint, user.accounts[symbol], admin, amount))
    return made


def lookup_tables(scene: Scene) -> tuple[AddressLookupTableAccount, ...]:
    """One table with the vault's accounts and the mints, one with the accounts of every other user."""
    vault = [*scene.vault.all_accounts, *(token.mint for token in scene.tokens.values())]
    people = [account for user in scene.users[:USERS_IN_TABLE:2] for account in user.accounts.values()]
    tables = tuple(lookup_table(scene, addresses) for addresses in (vault, people))
    scene.ledger.seal()
    return tables


def lookup_table(scene: Scene, addresses: list[Pubkey]) -> AddressLookupTableAccount:
    """A table on the chain."""
    admin, slot = scene.staff.admin, scene.ledger.tip.slot
    owner = admin.pubkey()
    made, key = create_lookup_table(
        CreateLookupTableParams(authority_address=owner, payer_address=owner, recent_slot=slot)
    )
    do(scene, Step(instructions=[made], payer=admin))
    for first in range(0, len(addresses), TABLE_PART):
        part = ExtendLookupTableParams(
            payer_address=owner,
            lookup_table_address=key,
            authority_address=owner,
            new_addresses=addresses[first : first + TABLE_PART],
        )
        do(scene, Step(instructions=[extend_lookup_table(part)], payer=admin))
    scene.ledger.seal()
    return AddressLookupTableAccount(key, addresses)
