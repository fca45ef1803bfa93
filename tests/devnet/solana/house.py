"""What the vault, the mints' authority and passers-by do: what moves balances without any depositor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from solders.pubkey import Pubkey

from tests.devnet.solana import tokens
from tests.devnet.solana.accounts import withheld_fees, withheld_in_mint
from tests.devnet.solana.book import Gift, Move
from tests.devnet.solana.people import Plan, fullest, withdraw_step
from tests.devnet.solana.scene import Scene, Step
from tests.devnet.solana.vault import FEE, USDC, WSOL

HARVESTED = 8
"""How many accounts one transaction harvests."""


def mint_to_vault(scene: Scene) -> Iterator[Step]:
    """Tokens from nowhere."""
    token, admin = scene.token(), scene.staff.admin
    amount, target = scene.amount(token, 10**12), scene.vault_account(token)
    made = tokens.mint_to(token.program, token.mint, target, admin.pubkey(), amount)
    yield Step(instructions=[made], payer=admin, gifts=[Gift(mint=token.address, amount=amount)], shape=scene.shape())


def harvest_to_vault(scene: Scene) -> Iterator[Step]:
    """Withheld fees go to the mint, and from there into the vault."""
    fee, admin = scene.tokens[FEE], scene.staff.admin
    sources = [account for account in holders_of_fees(scene) if withheld_fees(scene.ledger.read(account))]
    if sources:
        yield Step(instructions=[tokens.harvest_fees(fee.mint, sources[:HARVESTED])], payer=scene.staff.sponsor)
    amount = withheld_in_mint(scene.ledger.read(fee.mint))
    yield Step(
        instructions=[tokens.withdraw_fees_from_mint(fee.mint, scene.vault.accounts[FEE][0], admin.pubkey())],
        payer=admin,
        gifts=[Gift(mint=fee.address, amount=amount)],
    )


def withheld_to_vault(scene: Scene) -> Iterator[Step]:
    """Withheld fees go from token accounts straight into the vault, the vault's own among them."""
    fee, admin = scene.tokens[FEE], scene.staff.admin
    sources = holders_of_fees(scene)[:HARVESTED]
    amount = sum(withheld_fees(scene.ledger.read(source)) for source in sources)
    target = scene.vault.accounts[FEE][0]
    yield Step(
        instructions=[tokens.withdraw_fees_from_accounts(fee.mint, target, admin.pubkey(), sources)],
        payer=admin,
        gifts=[Gift(mint=fee.address, amount=amount)],
        shape=scene.shape(),
    )


def move_inside(scene: Scene) -> Iterator[Step]:
    """From one of the vault's accounts to the other."""
    usdc = scene.tokens[USDC]
    source = fullest(scene, usdc)
    (target,) = [account for account in scene.vault.accounts[USDC] if account != source]
    amount = scene.part(scene.balance(source) // 2)
    send = scene.transfer(usdc, source, target, scene.vault.authority, min(amount, scene.balance(source)))
    yield Step(instructions=[send], payer=scene.vault.key, shape=scene.shape())


def transfer_to_self(scene: Scene) -> Iterator[Step]:
    """From an account of the vault to itself."""
    token = scene.token()
    account = fullest(scene, token)
    send = scene.transfer(token, account, account, scene.vault.authority, scene.balance(account) // 2)
    yield Step(instructions=[send], payer=scene.vault.key, shape=scene.shape())


def deposit_wrapped_sol(scene: Scene) -> Iterator[Step]:
    """Lamports are wrapped by SyncNative and deposited, in one transaction."""
    user, wsol = scene.user(), scene.tokens[WSOL]
    amount = scene.amount(wsol, 10**10)
    account, target = user.accounts[WSOL], scene.vault.accounts[WSOL][0]
    yield Step(
        instructions=[
            tokens.pay(user.owner, account, amount),
            tokens.sync_native(wsol.program, account),
            scene.transfer(wsol, account, target, user.owner, amount),
        ],
        payer=user.key,
        moves=[Move(owner=user.address, mint=wsol.address, amount=amount)],
        shape=scene.shape(),
    )


def withdraw_wrapped_sol(scene: Scene) -> Iterator[Step]:
    """The vault pays wrapped SOL; now and then the receiving account is closed at once, which unwraps it."""
    wsol, (source, *_) = scene.tokens[WSOL], scene.vault.accounts[WSOL]
    able = scene.depositor(wsol)
    if able is None:
        return
    user, amount = able[0], scene.part(able[1])
    account = user.accounts[WSOL]
    parts = [
        tokens.create_ata(user.owner, user.owner, wsol.mint, wsol.program),
        scene.transfer(wsol, source, account, scene.vault.authority, amount),
    ]
    if scene.rng.random() < 0.5:
        parts.append(tokens.close_account(wsol.program, account, user.owner, user.owner))
        parts.append(tokens.create_ata(user.owner, user.owner, wsol.mint, wsol.program))
    yield Step(
        instructions=parts,
        payer=user.key,
        signers=[scene.vault.key],
        moves=[Move(owner=user.address, mint=wsol.address, amount=-amount)],
        shape=scene.shape(),
    )


def gift_of_lamports(scene: Scene) -> Iterator[Step]:
    """Lamports sent to the vault's account of wrapped SOL, and counted: tokens that no transfer brought."""
    user, wsol = scene.user(), scene.tokens[WSOL]
    amount, target = scene.amount(wsol, 10**10), scene.vault.accounts[WSOL][0]
    yield Step(
        instructions=[tokens.pay(user.owner, target, amount), tokens.sync_native(wsol.program, target)],
        payer=user.key,
        gifts=[Gift(mint=wsol.address, amount=amount)],
        shape=scene.shape(),
    )


def burn_from_vault(scene: Scene) -> Iterator[Step]:
    """The vault destroys what it holds."""
    token = scene.token()
    account = fullest(scene, token)
    amount = scene.amount(token, scene.balance(account))
    gone = tokens.burn(token.program, account, token.mint, scene.vault.authority, amount)
    yield Step(instructions=[gone], payer=scene.vault.key, gifts=[Gift(mint=token.address, amount=-amount)])


def overpay(scene: Scene) -> Iterator[Step]:
    """The vault pays somebody more than they have in it: what it holds is less than it owes from then on."""
    token = scene.token()
    user, most = scene.user(), scene.balance(fullest(scene, token))
    wanted = max(0, scene.book.net(user.address, token.address)) + scene.amount(token, most)
    yield withdraw_step(scene, user, token, wanted)


HOUSE_PLANS: Mapping[str, tuple[Plan, int]] = {
    "mint_to_vault": (mint_to_vault, 4),
    "harvest_to_vault": (harvest_to_vault, 3),
    "withheld_to_vault": (withheld_to_vault, 3),
    "move_inside": (move_inside, 4),
    "transfer_to_self": (transfer_to_self, 4),
}
WRAPPED_PLANS: Mapping[str, tuple[Plan, int]] = {
    "deposit_wrapped_sol": (deposit_wrapped_sol, 5),
    "withdraw_wrapped_sol": (withdraw_wrapped_sol, 3),
    "gift_of_lamports": (gift_of_lamports, 2),
}
RARE_PLANS: Mapping[str, tuple[Plan, int]] = {
    "burn_from_vault": (burn_from_vault, 2),
    "overpay": (overpay, 2),
}


def holders_of_fees(scene: Scene) -> list[Pubkey]:
    """The vault's account and some people's, which may have fees withheld."""
    some = scene.rng.sample(scene.users, min(HARVESTED, len(scene.users)))
    return [scene.vault.accounts[FEE][0], *(user.accounts[FEE] for user in some)]
