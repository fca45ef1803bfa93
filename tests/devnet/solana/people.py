"""What people do with the vault. A plan yields one transaction at a time and sees what the last one did."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TypeAlias

from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from tests.devnet.solana import tokens
from tests.devnet.solana.accounts import TokenHolding, token_holding
from tests.devnet.solana.book import Move
from tests.devnet.solana.router import routed
from tests.devnet.solana.scene import Scene, Step, checked
from tests.devnet.solana.vault import FEE, JSOL, USDC, Token, User

Plan: TypeAlias = Callable[[Scene], Iterator[Step]]

TOO_MUCH = 10**17
"""More of any token than there is."""


def deposit(scene: Scene) -> Iterator[Step]:
    yield deposit_step(scene, scene.user(), scene.token())


def withdraw(scene: Scene) -> Iterator[Step]:
    """Of what somebody has in the vault; the owner of the receiving account is who withdrew."""
    token = scene.token()
    able = scene.depositor(token)
    if able:
        yield withdraw_step(scene, able[0], token, scene.part(able[1]))


def deposit_and_withdraw(scene: Scene) -> Iterator[Step]:
    """Both in one transaction: balances before and after show only the difference."""
    user, token = scene.user(), scene.token()
    account, target = user.accounts[token.symbol], scene.vault.accounts[token.symbol][0]
    amount = scene.amount(token, scene.balance(account))
    back = amount // 2
    yield Step(
        instructions=[
            scene.transfer(token, account, target, user.owner, amount),
            scene.transfer(token, target, account, scene.vault.authority, min(back, received(token, amount))),
        ],
        payer=user.key,
        signers=[scene.vault.key],
        moves=[came(user, token, amount), went(user, token, min(back, received(token, amount)))],
        shape=scene.shape(),
    )


def two_deposits(scene: Scene) -> Iterator[Step]:
    """Two people's deposits in one transaction."""
    one = scene.user()
    other = scene.other_than(one)
    yield together(scene, [(one, scene.token()), (other, scene.token())])


def two_fee_deposits(scene: Scene) -> Iterator[Step]:
    """Both into one account of a token with a fee: each fee must be computed, for nothing tells it."""
    one, fee = scene.user(), scene.tokens[FEE]
    yield together(scene, [(one, fee), (scene.other_than(one), fee)], send=checked)


def deposit_paid_by_another(scene: Scene) -> Iterator[Step]:
    yield deposit_step(scene, scene.user(), scene.token(), payer=scene.staff.sponsor)


def deposit_with_memo(scene: Scene) -> Iterator[Step]:
    user = scene.user()
    yield deposit_step(scene, user, scene.token(), first=[tokens.memo(f"Einzahlung für {user.name} · {scene.made}")])


def deposit_zero(scene: Scene) -> Iterator[Step]:
    user, token = scene.user(), scene.token()
    source, target = user.accounts[token.symbol], scene.vault_account(token)
    yield Step(instructions=[scene.transfer(token, source, target, user.owner, 0)], payer=user.key, shape=scene.shape())


def deposit_by_delegate(scene: Scene) -> Iterator[Step]:
    """The owner lets a delegate spend; the tokens are the owner's all the same."""
    user, token, delegate = scene.user(), scene.token(), scene.staff.delegate
    source = user.accounts[token.symbol]
    amount = scene.amount(token, scene.balance(source))
    allow = tokens.approve(token.program, source, delegate.pubkey(), user.owner, amount)
    spend = scene.transfer(token, source, scene.vault_account(token), delegate.pubkey(), amount)
    moves = [came(user, token, amount)]
    if scene.rng.random() < 0.5:
        yield Step(instructions=[allow, spend], payer=delegate, signers=[user.key], moves=moves, shape=scene.shape())
        return
    yield Step(instructions=[allow], payer=user.key)
    yield Step(instructions=[spend], payer=delegate, moves=moves, shape=scene.shape())


def withdraw_by_delegate(scene: Scene) -> Iterator[Step]:
    """The vault lets a delegate pay somebody."""
    token, delegate = scene.token(), scene.staff.delegate
    able = scene.depositor(token)
    if able is None:
        return
    user, source = able[0], fullest(scene, token)
    amount = min(scene.part(able[1]), scene.balance(source))
    yield Step(
        instructions=[tokens.approve(token.program, source, delegate.pubkey(), scene.vault.authority, amount)],
        payer=scene.vault.key,
    )
    yield Step(
        instructions=[scene.transfer(token, source, user.accounts[token.symbol], delegate.pubkey(), amount)],
        payer=delegate,
        moves=[went(user, token, amount)],
        shape=scene.shape(),
    )


def open_second(scene: Scene) -> Iterator[Step]:
    """A token account beside the associated one, with something in it."""
    user, token = scene.user(), scene.tokens[USDC]
    room = scene.new_key("second")
    opened = tokens.create_token_account(token.program, user.owner, room.pubkey(), token.mint, user.owner)
    share = scene.balance(user.accounts[USDC]) // 10
    filled = scene.transfer(token, user.accounts[USDC], room.pubkey(), user.owner, share)
    yield Step(instructions=[*opened, filled], payer=user.key, signers=[room])
    scene.seconds.append(room.pubkey())


def deposit_from_second(scene: Scene) -> Iterator[Step]:
    for account, user, held in open_seconds(scene):
        token, amount = scene.tokens[USDC], scene.part(held.amount // 2)
        send = scene.transfer(token, account, scene.vault_account(token), user.owner, amount)
        moves = [came(user, token, amount)]
        yield Step(instructions=[send], payer=user.key, moves=moves, shape=scene.shape())
        return


def close_second(scene: Scene) -> Iterator[Step]:
    """All that is left into the vault, and the account is gone."""
    for account, user, held in open_seconds(scene):
        token = scene.tokens[USDC]
        send = scene.transfer(token, account, scene.vault_account(token), user.owner, held.amount)
        gone = tokens.close_account(token.program, account, user.owner, user.owner)
        moves = [came(user, token, held.amount)]
        yield Step(instructions=[send, gone], payer=user.key, moves=moves, shape=scene.shape())
        return


def hand_over_second(scene: Scene) -> Iterator[Step]:
    """SetAuthority gives the account away; what comes from it then is the new owner's."""
    for account, user, held in open_seconds(scene):
        token, heir = scene.tokens[USDC], scene.other_than(user)
        amount = scene.part(held.amount // 2)
        give = tokens.set_owner(token.program, account, user.owner, heir.owner)
        target = scene.vault_account(token)
        yield Step(instructions=[give], payer=user.key)
        send = scene.transfer(token, account, target, heir.owner, amount)
        yield Step(instructions=[send], payer=heir.key, moves=[came(heir, token, amount)], shape=scene.shape())
        return


def hand_over_amid_deposits(scene: Scene) -> Iterator[Step]:
    """The old owner deposits, gives the account away, and the new owner deposits: all in one transaction."""
    for account, user, held in open_seconds(scene):
        token, heir = scene.tokens[USDC], scene.other_than(user)
        mine, theirs = scene.part(held.amount // 4), scene.part(held.amount // 4)
        target = scene.vault_account(token)
        yield Step(
            instructions=[
                scene.transfer(token, account, target, user.owner, mine),
                tokens.set_owner(token.program, account, user.owner, heir.owner),
                scene.transfer(token, account, target, heir.owner, theirs),
            ],
            payer=user.key,
            signers=[heir.key],
            moves=[came(user, token, mine), came(heir, token, theirs)],
            shape=scene.shape(),
        )
        return


def deposit_through_passing_account(scene: Scene) -> Iterator[Step]:
    """An account made, filled, used and closed within one transaction: no balance before or after knows it."""
    user, token = scene.user(), scene.tokens[scene.rng.choice([USDC, JSOL])]
    room = scene.new_key("passing")
    amount = scene.amount(token, scene.balance(user.accounts[token.symbol]))
    yield Step(
        instructions=[
            *tokens.create_token_account(token.program, user.owner, room.pubkey(), token.mint, user.owner),
            scene.transfer(token, user.accounts[token.symbol], room.pubkey(), user.owner, amount),
            scene.transfer(token, room.pubkey(), scene.vault_account(token), user.owner, amount),
            tokens.close_account(token.program, room.pubkey(), user.owner, user.owner),
        ],
        payer=user.key,
        signers=[room],
        moves=[came(user, token, amount)],
        shape=scene.shape(),
    )


def deposit_in_batch(scene: Scene) -> Iterator[Step]:
    """Two deposits as parts of one instruction of the token program."""
    one, usdc, jsol = scene.user(), scene.tokens[USDC], scene.tokens[JSOL]
    other = scene.other_than(one)
    amounts = [scene.amount(t, scene.balance(u.accounts[t.symbol])) for u, t in ((one, usdc), (other, jsol))]
    parts = [
        scene.transfer(t, u.accounts[t.symbol], scene.vault_account(t), u.owner, amount)
        for (u, t), amount in zip(((one, usdc), (other, jsol)), amounts, strict=True)
    ]
    yield Step(
        instructions=[tokens.batch(usdc.program, parts)],
        payer=one.key,
        signers=[other.key],
        moves=[came(one, usdc, amounts[0]), came(other, jsol, amounts[1])],
        shape=scene.shape(),
    )


def deposit_routed(scene: Scene) -> Iterator[Step]:
    """Through a program that calls the token program, or through one that calls that one."""
    step = deposit_step(scene, scene.user(), scene.token())
    (send,) = step.instructions
    called = routed(send) if scene.rng.random() < 0.6 else routed(routed(send))
    yield replace(step, instructions=[called])


def withdraw_routed(scene: Scene) -> Iterator[Step]:
    token = scene.token()
    able = scene.depositor(token)
    if able:
        step = withdraw_step(scene, able[0], token, scene.part(able[1]))
        yield replace(step, instructions=[routed(send) for send in step.instructions])


def fail_after_routed_deposit(scene: Scene) -> Iterator[Step]:
    """The inner deposit is in the record of a transaction that failed."""
    user, token = scene.user(), scene.token()
    step = deposit_step(scene, user, token)
    source, target = user.accounts[token.symbol], scene.vault_account(token)
    bad = scene.transfer(token, source, target, user.owner, TOO_MUCH)
    yield replace(step, instructions=[*map(routed, step.instructions), routed(bad)], moves=(), fails=True)


def recover_nested_deposit(scene: Scene) -> Iterator[Step]:
    """Tokens sent astray, to the associated account of the vault's own account, come in by CPI.

    They come from an account that the vault's own token account owns, so that address is the depositor.
    """
    user, usdc, jsol = scene.user(), scene.tokens[USDC], scene.tokens[JSOL]
    holder = scene.vault.accounts[USDC][0]
    amount = scene.amount(jsol, scene.balance(user.accounts[JSOL]))
    yield Step(
        instructions=[
            tokens.create_ata(user.owner, holder, jsol.mint, jsol.program),
            scene.transfer(jsol, user.accounts[JSOL], jsol.ata(holder), user.owner, amount),
        ],
        payer=user.key,
    )
    amount = scene.balance(jsol.ata(holder))
    yield Step(
        instructions=[tokens.recover_nested(scene.vault.authority, usdc.mint, jsol.mint, jsol.program)],
        payer=scene.vault.key,
        moves=[Move(owner=str(holder), mint=jsol.address, amount=amount)],
        shape=scene.shape(),
    )


def user_transfer(scene: Scene) -> Iterator[Step]:
    """Between people: nothing for the vault."""
    user, token = scene.user(), scene.token()
    source, target = user.accounts[token.symbol], scene.other_than(user).accounts[token.symbol]
    send = scene.transfer(token, source, target, user.owner, scene.amount(token, scene.balance(source)))
    yield Step(instructions=[send], payer=user.key, shape=scene.shape())


def fail_short_deposit(scene: Scene) -> Iterator[Step]:
    """More than there is."""
    user, token = scene.user(), scene.token()
    send = scene.transfer(token, user.accounts[token.symbol], scene.vault_account(token), user.owner, TOO_MUCH)
    yield Step(instructions=[send], payer=user.key, fails=True, shape=scene.shape())


def fail_after_good_deposit(scene: Scene) -> Iterator[Step]:
    """A good deposit, taken back by a bad second instruction."""
    user, token = scene.user(), scene.token()
    source, target = user.accounts[token.symbol], scene.vault_account(token)
    amount = scene.amount(token, scene.balance(source))
    good = scene.transfer(token, source, target, user.owner, amount)
    bad = scene.transfer(token, source, target, user.owner, TOO_MUCH)
    yield Step(instructions=[good, bad], payer=user.key, fails=True, shape=scene.shape())


def fail_theft(scene: Scene) -> Iterator[Step]:
    """Somebody without the authority takes from the vault."""
    user, token = scene.user(), scene.token()
    take = scene.transfer(token, scene.vault_account(token), user.accounts[token.symbol], user.owner, 1)
    yield Step(instructions=[take], payer=user.key, fails=True, shape=scene.shape())


USER_PLANS: Mapping[str, tuple[Plan, int]] = {
    "deposit": (deposit, 60),
    "withdraw": (withdraw, 22),
    "deposit_and_withdraw": (deposit_and_withdraw, 6),
    "two_deposits": (two_deposits, 8),
    "two_fee_deposits": (two_fee_deposits, 5),
    "deposit_paid_by_another": (deposit_paid_by_another, 6),
    "deposit_with_memo": (deposit_with_memo, 5),
    "deposit_zero": (deposit_zero, 3),
    "deposit_by_delegate": (deposit_by_delegate, 6),
    "withdraw_by_delegate": (withdraw_by_delegate, 4),
    "open_second": (open_second, 5),
    "deposit_from_second": (deposit_from_second, 6),
    "close_second": (close_second, 3),
    "hand_over_second": (hand_over_second, 4),
    "hand_over_amid_deposits": (hand_over_amid_deposits, 4),
    "deposit_through_passing_account": (deposit_through_passing_account, 5),
    "deposit_in_batch": (deposit_in_batch, 4),
    "deposit_routed": (deposit_routed, 8),
    "withdraw_routed": (withdraw_routed, 4),
    "recover_nested_deposit": (recover_nested_deposit, 3),
    "user_transfer": (user_transfer, 6),
    "fail_short_deposit": (fail_short_deposit, 5),
    "fail_after_good_deposit": (fail_after_good_deposit, 5),
    "fail_after_routed_deposit": (fail_after_routed_deposit, 4),
    "fail_theft": (fail_theft, 3),
}


def deposit_step(
    scene: Scene, user: User, token: Token, *, payer: Keypair | None = None, first: list[Instruction] | None = None
) -> Step:
    """One person's deposit from the associated account."""
    source = user.accounts[token.symbol]
    amount = scene.amount(token, scene.balance(source))
    send = scene.transfer(token, source, scene.vault_account(token), user.owner, amount)
    return Step(
        instructions=[*(first or []), send],
        payer=payer or user.key,
        signers=[user.key],
        moves=[came(user, token, amount)],
        shape=scene.shape(),
    )


def withdraw_step(scene: Scene, user: User, token: Token, wanted: int) -> Step:
    """One payment to a person, who pays for the transaction or lets the vault do it."""
    source = fullest(scene, token)
    amount = min(wanted, scene.balance(source))
    send = scene.transfer(token, source, user.accounts[token.symbol], scene.vault.authority, amount)
    return Step(
        instructions=[send],
        payer=scene.rng.choice([user.key, scene.vault.key]),
        signers=[scene.vault.key],
        moves=[went(user, token, amount)],
        shape=scene.shape(),
    )


def together(
    scene: Scene,
    parts: list[tuple[User, Token]],
    send: Callable[[Token, Pubkey, Pubkey, Pubkey, int], Instruction] | None = None,
) -> Step:
    """Deposits of several people in one transaction, each into the vault's associated account."""
    instructions, moves = [], []
    for user, token in parts:
        source = user.accounts[token.symbol]
        amount = scene.amount(token, scene.balance(source) // 2)
        target = scene.vault.accounts[token.symbol][0]
        instructions.append((send or scene.transfer)(token, source, target, user.owner, amount))
        moves.append(came(user, token, amount))
    return Step(
        instructions=instructions,
        payer=parts[0][0].key,
        signers=[user.key for user, _ in parts],
        moves=moves,
        shape=scene.shape(),
    )


def received(token: Token, amount: int) -> int:
    """What arrives of an amount sent."""
    return amount - token.fee(amount)


def came(user: User, token: Token, amount: int) -> Move:
    """A deposit of an amount sent."""
    return Move(owner=user.address, mint=token.address, amount=received(token, amount))


def went(user: User, token: Token, amount: int) -> Move:
    """A withdrawal: the vault is debited what it sent, fee and all."""
    return Move(owner=user.address, mint=token.address, amount=-amount)


def fullest(scene: Scene, token: Token) -> Pubkey:
    """The vault's account with the most of a token."""
    return max(scene.vault.accounts[token.symbol], key=scene.balance)


def open_seconds(scene: Scene) -> Iterator[tuple[Pubkey, User, TokenHolding]]:
    """The second accounts that hold something, in random order, with whoever owns them now."""
    owners = {user.owner: user for user in scene.users}
    for account in scene.rng.sample(scene.seconds, len(scene.seconds)):
        held = token_holding(scene.ledger.read(account))
        if held and held.amount and held.owner in owners:
            yield account, owners[held.owner], held
