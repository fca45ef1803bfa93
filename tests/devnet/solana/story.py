"""The Solana side of the story that the recorded EVM chains tell: a vault, the same crash, a margin call, calm.

Every block has the time of a block of an EVM recording, so that all chains can be seen at the same moments.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from random import Random

from solders.pubkey import Pubkey

from crossmargin.demo.recording import Recording
from tests.devnet.solana.founding import found
from tests.devnet.solana.keys import genesis_hash
from tests.devnet.solana.ledger import SLOT_MS, Ledger
from tests.devnet.solana.people import came, fullest, went
from tests.devnet.solana.population import Population
from tests.devnet.solana.pyth import CONFIDENCE_SHARE, EXPONENT, FEED_IDS, RECEIVER, PriceUpdate
from tests.devnet.solana.scene import Scene, Step, checked
from tests.devnet.solana.vault import FEE, JSOL, USDC, User

SEED = 7
FIRST_SLOT = 311_000_000
"""About the slot that the main cluster had reached when the story begins."""

DEPOSITORS = 40
OPENS_AFTER_SECONDS = 86_400
MARGIN_CALL_SECONDS = 36
"""How long after the bottom the margin call is answered."""

EVENTS = ("before_crash_block", "crash_first_block", "crash_block", "after_liquidations_block", "last_block")
LATEST_ANSWER = "0x50d25bcd"
FEED_UNIT = 10**8

USD_AT_FIRST: Mapping[str, float] = {JSOL: 168.0, FEE: 0.42}
BETA: Mapping[str, float] = {JSOL: 1.15, FEE: 1.6}
"""How much more than ether a token falls and rises."""
FEED_NOISE = 0.0004

CROWD_KINDS: Mapping[str, int] = {
    "deposit": 8,
    "withdraw": 5,
    "two_deposits": 2,
    "two_fee_deposits": 2,
    "deposit_and_withdraw": 1,
    "deposit_with_memo": 1,
    "deposit_by_delegate": 2,
    "deposit_through_passing_account": 1,
    "deposit_in_batch": 2,
    "deposit_routed": 3,
    "withdraw_routed": 2,
    "open_second": 1,
    "hand_over_amid_deposits": 1,
    "fail_after_good_deposit": 1,
}
"""What the crowd does after its first deposits, by weight."""
FIRST_TOKENS: Mapping[str, int] = {USDC: 5, JSOL: 4, FEE: 1}
"""What somebody deposits first, by weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A block of an EVM chain: its number, its time, and what its feeds said in dollars."""

    block: int
    time: int
    eth: float
    usdc: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What a character does: a deposit of whole tokens, or below zero a withdrawal."""

    who: str
    symbol: str
    tokens: int


OPENING = (
    Deed(who="hedged", symbol=USDC, tokens=25_000),
    Deed(who="liquidated", symbol=JSOL, tokens=400),
    Deed(who="stretched", symbol=JSOL, tokens=120),
)
MARGIN_CALL = (Deed(who="stretched", symbol=USDC, tokens=90_000),)
CALM = (
    Deed(who="hedged", symbol=USDC, tokens=-10_000),
    Deed(who="stretched", symbol=USDC, tokens=-30_000),
)
CHARACTERS = tuple(deed.who for deed in OPENING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A cluster and what happens on it. `opened`: the slot from which deposits may come; `events`: slots and wallets worth showing."""

    label: str
    scene: Scene
    population: Population
    cast: Mapping[str, User]
    rng: Random
    ether_at_first: float
    opened: int
    events: dict[str, int | str] = field(default_factory=dict)

    @property
    def ledger(self) -> Ledger:
        """The chain."""
        return self.scene.ledger

    def mark(self, event: str) -> None:
        """Remember the newest block's slot by a name."""
        self.events[event] = self.ledger.tip.slot


def tell(recording: Recording, *, label: str, seed: int = SEED, depositors: int = DEPOSITORS) -> Story:
    """The story of a recorded EVM chain once more: its times, its events, its characters with wallets of their own."""
    blocks = {event: int(recording.story[event]) for event in EVENTS}
    moments = list(moments_of(recording))
    began = time_of(recording, min(recording.blocks))
    ledger = Ledger(genesis_hash=genesis_hash(seed), first_slot=FIRST_SLOT, genesis_time=began)
    scene = found(ledger, seed=seed, users=depositors, wrapped_sol=False)
    cast = dict(zip(CHARACTERS, scene.users, strict=False))
    scene.users = scene.users[len(cast) :]
    story = Story(
        label=label,
        scene=scene,
        population=Population(scene, skips=False),
        cast=cast,
        rng=Random(f"{seed}/story"),
        ether_at_first=moments[0].eth,
        opened=ledger.open_slot,
    )
    story.events.update({name: user.address for name, user in cast.items()})
    before, crash = blocks["before_crash_block"], blocks["after_liquidations_block"]
    open_deposits(story, thinned([moment for moment in moments if moment.block <= before]))
    fall(story, [moment for moment in moments if before < moment.block <= crash], blocks)
    calm_down(story, thinned([moment for moment in moments if moment.block > crash]))
    return story


def moments_of(recording: Recording) -> Iterator[Moment]:
    """Every block from a day after the first on, with what the feeds of ether and of the dollar said."""
    opening = time_of(recording, min(recording.blocks)) + OPENS_AFTER_SECONDS
    feeds = {reserve["symbol"]: reserve["feed"]["proxy"] for reserve in recording.market["reserves"]}
    for block in sorted(recording.blocks):
        time = time_of(recording, block)
        if time >= opening:
            eth, usdc = (dollars(recording.answer(feeds[symbol], LATEST_ANSWER, block)) for symbol in ("WETH", "USDC"))
            yield Moment(block=block, time=time, eth=eth, usdc=usdc)


def time_of(recording: Recording, block: int) -> int:
    """Seconds since 1970 of an EVM block."""
    return int(recording.blocks[block]["timestamp"], 16)


def dollars(answer: object) -> float:
    """A feed's answer."""
    return int(str(answer), 16) / FEED_UNIT


def thinned(moments: Sequence[Moment]) -> list[Moment]:
    """Every other moment, and the last."""
    return list(moments[::-2])[::-1]


def open_deposits(story: Story, moments: Sequence[Moment]) -> None:
    """One newcomer after the other until the eve of the crash; those who have something come again."""
    newcomers = iter(story.scene.users)
    for place, moment in enumerate(moments):
        steps = [first_deposit(story, user, moment) for user in islice(newcomers, 1)]
        if place == len(moments) // 3:
            steps += [step_of(story, deed) for deed in OPENING]
        live(story, moment, steps, 1 + place % 3)
    story.mark("before_crash_block")


def fall(story: Story, moments: Sequence[Moment], blocks: Mapping[str, int]) -> None:
    """Prices fall; at the bottom a margin call is made, and answered with a deposit."""
    bottom = next(moment.time for moment in moments if moment.block == blocks["crash_block"])
    for moment in moments:
        called = moment.time == bottom + MARGIN_CALL_SECONDS
        live(story, moment, [step_of(story, deed) for deed in MARGIN_CALL if called], story.rng.randrange(2))
        if called:
            story.mark("margin_call_block")
        for event in ("crash_first_block", "crash_block", "after_liquidations_block"):
            if moment.block == blocks[event]:
                story.mark(event)


def calm_down(story: Story, moments: Sequence[Moment]) -> None:
    """Two quiet days; some take out what they brought."""
    for place, moment in enumerate(moments):
        steps = [step_of(story, deed) for deed in CALM if place == len(moments) // 2]
        live(story, moment, steps, story.rng.randrange(3))
    story.mark("last_block")


def live(story: Story, moment: Moment, steps: Iterable[Step], others: int) -> None:
    """The block of a moment: every price anew, these steps, and so many deeds of the crowd."""
    ledger = story.ledger
    ledger.skip(slot_of(ledger, moment.time) - ledger.open_slot)
    for symbol, usd in prices_at(story, moment).items():
        price_update(story, symbol, usd, moment.time).post(ledger)
    for step in steps:
        story.population.perform(step)
    story.population.do(*story.rng.choices(list(CROWD_KINDS), list(CROWD_KINDS.values()), k=others))


def slot_of(ledger: Ledger, time: int) -> int:
    """The first slot of a second."""
    return ledger.first_slot + -((ledger.genesis_time - time) * 1_000 // SLOT_MS)


def prices_at(story: Story, moment: Moment) -> dict[str, float]:
    """What the price accounts say in dollars: they follow the EVM chain's feeds."""
    moved = moment.eth / story.ether_at_first
    usd = {symbol: first * moved ** BETA[symbol] for symbol, first in USD_AT_FIRST.items()} | {USDC: moment.usdc}
    return {symbol: price * (1 + story.rng.uniform(-FEED_NOISE, FEED_NOISE)) for symbol, price in usd.items()}


def price_update(story: Story, symbol: str, usd: float, time: int) -> PriceUpdate:
    """A price, verified in full."""
    price = round(usd * 10**-EXPONENT)
    confidence = round(price * CONFIDENCE_SHARE)
    return PriceUpdate(
        account=price_account_of(symbol),
        feed_id=feed_id_of(symbol),
        price=price,
        confidence=confidence,
        exponent=EXPONENT,
        publish_time=time,
        previous_publish_time=time - 1,
        ema_price=price,
        ema_confidence=confidence,
        posted_slot=story.ledger.open_slot,
    )


def feed_id_of(symbol: str) -> bytes:
    """A feed's own id where the token is a real one, a made-up one elsewhere."""
    name = f"{symbol}/USD"
    return FEED_IDS.get(name) or sha256(f"crossmargin solana devnet/feed/{name}".encode()).digest()


def price_account_of(symbol: str) -> Pubkey:
    """The account of a feed's newest price."""
    return Pubkey.find_program_address([bytes(2), feed_id_of(symbol)], RECEIVER)[0]


def first_deposit(story: Story, user: User, moment: Moment) -> Step:
    """What somebody begins with: most is little, some is much."""
    symbol = story.rng.choices(list(FIRST_TOKENS), list(FIRST_TOKENS.values()))[0]
    usd = min(200_000.0, max(400.0, float(10 ** story.rng.gauss(4.1, 0.6))))
    token = story.scene.tokens[symbol]
    return deposit(story, user, symbol, int(usd / prices_at(story, moment)[symbol] * 10**token.decimals))


def step_of(story: Story, deed: Deed) -> Step:
    """A character's deed as a transaction."""
    user, token = story.cast[deed.who], story.scene.tokens[deed.symbol]
    amount = deed.tokens * 10**token.decimals
    return deposit(story, user, deed.symbol, amount) if amount > 0 else withdrawal(story, user, deed.symbol, -amount)


def deposit(story: Story, user: User, symbol: str, amount: int) -> Step:
    """From the user's account into the vault's."""
    token, vault = story.scene.tokens[symbol], story.scene.vault
    send = checked(token, user.accounts[symbol], vault.accounts[symbol][0], user.owner, amount)
    return Step(instructions=[send], payer=user.key, moves=[came(user, token, amount)])


def withdrawal(story: Story, user: User, symbol: str, amount: int) -> Step:
    """From the vault to the user, who pays for it."""
    token, vault = story.scene.tokens[symbol], story.scene.vault
    send = checked(token, fullest(story.scene, token), user.accounts[symbol], vault.authority, amount)
    return Step(instructions=[send], payer=user.key, signers=[vault.key], moves=[went(user, token, amount)])
