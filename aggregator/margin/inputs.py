"""Everything that an answer about one margin account rests on, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aggregator.margin.liabilities import Liabilities
from aggregator.margin.member import Membership, open_questions
from aggregator.margin.policy import Policy
from aggregator.margin.risk import NO_RISK, RiskInputs
from aggregator.margin.stamp import UNNAMED, PolicyStamp
from aggregator.oracle.mark import Observation
from chains.model import Block, FeedSpec, Finality, Reason, Side, UnitPosition, UnitSnapshot, VenueSnapshot

METHODOLOGY_VERSION = "9"
"""Changes whenever the same inputs give another answer; `docs/methodology.md` describes this one."""


class OtherMethodology(ValueError):
    """Inputs of another version of the methodology; only that version can compute its answer again."""

    def __init__(self, version: object) -> None:
        super().__init__(f"these inputs are of methodology {version}, this program has {METHODOLOGY_VERSION}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The block of a chain that an answer is as of, and how settled it was.

    `until`: of the past, the Unix time that was asked about, up to which ages count: final blocks in which nothing happened are not
    stored, so that the block can be long before, and of a chain whose feeds alone matter no later one may be known yet.
    """

    block: Block
    finality: Finality
    until: int | None = None

    @property
    def now(self) -> int:
        """The Unix time up to which ages count."""
        return self.block.time if self.until is None else max(self.until, self.block.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """An asset as configured: CAIP-19 `id`, policy class, and `same_as`, its price identity across chains.

    Without a `symbol` the token's own is shown; without `same_as` the asset is only itself. `bridge`: by which way it came to its
    chain, `issuer`: who owes what it stands for, both in the operator's own words; `None`: nobody said.
    """

    id: str
    symbol: str | None
    asset_class: str
    same_as: str | None
    bridge: str | None = None
    issuer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginAccount:
    """A margin account: its own id and its CAIP-10 members.

    `membership`: of a configured account, by what each wallet is a member, or not any more; those that are not are no `members`.
    """

    id: str
    members: tuple[str, ...]
    membership: tuple[Membership, ...] = ()

    @property
    def gaps(self) -> tuple[Reason, ...]:
        """What is not known of whose account it is."""
        return tuple(open_questions(self.id, self.membership))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """A token of which a venue was seen, at `block`, to hold and be owed `there`, less than the `claims` on it (raw units).

    `market`: whose claims they are, empty for all markets of the token.
    """

    venue_id: str
    market: bytes
    asset: bytes
    there: int
    claims: int
    block: int

    def concerns(self, venue_id: str, position: UnitPosition) -> bool:
        """Whether a position of a venue is a claim on what is missing."""
        here = venue_id == self.venue_id and position.asset == self.asset and position.side is Side.SUPPLY
        return here and self.market in (b"", position.market)


@dataclass(frozen=True, slots=True, kw_only=True)
class InFlight:
    """What left one chain and was not seen to arrive: `asset` (CAIP-19) as it will arrive, `sender` and `recipient` CAIP-10.

    `message`: the bridge and its id of it; `proven`: whether, by that word, its sending was proven to where it goes. `sent_at` (RFC 3339),
    `source_tx`: when and by which transaction it left; `source`: who said so. `evidence`: how sure it is by the message itself, B where who
    signed or accepted it was checked, or D; `checked`: why no surer.
    """

    message: str
    asset: str
    amount_raw: int
    decimals: int
    sender: str
    recipient: str
    proven: bool
    sent_at: str | None = None
    source_tx: str | None = None
    source: str | None = None
    evidence: str = "D"
    checked: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueInputs:
    """A venue at its block, with those of its units that belong to the account; none where it just knows what shares are.

    `liabilities`: unit → the newest that was said of it up to the block, however old, `None`: nothing ever; of a venue that
    imports liabilities, and empty for any other.
    """

    snapshot: VenueSnapshot
    units: tuple[UnitSnapshot, ...]
    liabilities: Mapping[bytes, Liabilities | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthInputs:
    """All that decides a health document; two equal inputs give equal documents.

    `consulted`: ids of all venues that were looked at, also those where the account has nothing.
    `stale_chains`: chains (the `subject`) whose newest block is too old, as the follower saw it.
    `gaps`: what is known to be missing from the account's data (a chain not indexed, a venue with holes).
    `feeds`: the configured feeds; `observations`: what the USD feeds of the account's assets say.
    `shortfalls`: what its venues lack of the tokens that it has there. `policy_stamp`: what the policy is called.
    `risk`: estimates of how its assets move, and what was said of them. `in_flight`: what is on its way to its members.
    """

    methodology_version: str
    account: MarginAccount
    as_of: Mapping[str, Cut]
    stale_chains: tuple[Reason, ...]
    gaps: tuple[Reason, ...]
    consulted: tuple[str, ...]
    venues: tuple[VenueInputs, ...]
    assets: tuple[Asset, ...]
    feeds: tuple[FeedSpec, ...]
    observations: tuple[Observation, ...]
    policy: Policy
    shortfalls: tuple[Shortfall, ...] = ()
    risk: RiskInputs = NO_RISK
    in_flight: tuple[InFlight, ...] = ()
    policy_stamp: PolicyStamp = UNNAMED
