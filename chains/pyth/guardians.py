"""Whether the guardians of Wormhole signed an update, and whether Pyth emitted it.

Sources: Wormhole `ethereum/contracts/Messages.sol` (`verifyVM`: quorum of two thirds and one, ascending indices), Pyth's contracts
(`dataSources`: which emitter is Pyth's).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from chains.model import GuardianSet
from chains.pyth.secp256k1 import signer
from chains.pyth.update import BadUpdate, Update, Vaa, update

EMITTER_CHAIN = 26
"""Pythnet, as Wormhole numbers chains."""

EMITTER = bytes.fromhex("e101faedac5851e32b9b23b5f9411a8c2bac4aae3ed4dd7b811dd1a72ea4aa71")

REMEMBERED = 64
"""Updates that are not checked again when they are folded."""

UNVERIFIED = (
    "unverified: no guardian_sets are configured for this chain, so that nobody looked at the signatures; the price is the word of the"
    " endpoint that served it"
)


def quorum(guardians: int) -> int:
    """Return how many of so many must have signed: more than two thirds."""
    return guardians * 2 // 3 + 1


@lru_cache(maxsize=REMEMBERED)
def verified(body: bytes, sets: tuple[GuardianSet, ...]) -> Update:
    """Take an update apart and check all that it says; raises `BadUpdate`.

    Without any set the signatures are not looked at: whoever uses the prices must say `UNVERIFIED`.
    """
    found = update(body)
    if (found.vaa.emitter_chain, found.vaa.emitter) != (EMITTER_CHAIN, EMITTER):
        emitter = f"{found.vaa.emitter_chain}:{found.vaa.emitter.hex()}"
        raise BadUpdate("wrong_emitter", f"Wormhole emitted it for {emitter}, which is not Pyth")
    if sets:
        check(found.vaa, _set_of(found, sets))
    return found


def check(vaa: Vaa, guardians: GuardianSet) -> None:
    """See that a quorum of a set signed; raises `BadUpdate`."""
    needed = quorum(len(guardians.addresses))
    if len(vaa.signatures) < needed:
        given = f"{len(vaa.signatures)} of {len(guardians.addresses)} guardians signed it"
        raise BadUpdate("no_quorum", f"{given}, {needed} must")
    places = [signature.guardian for signature in vaa.signatures]
    if any(after <= before for before, after in pairwise(places)) or places[-1] >= len(guardians.addresses):
        raise BadUpdate("wrong_signature", "its signatures are not in the order of the guardians, each once")
    for place, r, s, recovery in vaa.signatures:
        if signer(vaa.digest, r, s, recovery) != guardians.addresses[place]:
            raise BadUpdate(
                "wrong_signature", f"signature {place} is not that of guardian {place} of set {guardians.number}"
            )


def _set_of(found: Update, sets: Sequence[GuardianSet]) -> GuardianSet:
    """Return the set that signed; the time that it says it signed at is its own word, so that no price may be of a later one either."""
    vaa, newest = found.vaa, max((price.publish_time for price in found.prices), default=0)
    for known in sets:
        if known.number == vaa.guardian_set:
            if known.until is not None and max(vaa.timestamp, newest) > known.until:
                raise BadUpdate("wrong_guardian_set", f"guardian set {known.number} signs nothing after {known.until}")
            return known
    names = ", ".join(str(known.number) for known in sets)
    raise BadUpdate("wrong_guardian_set", f"guardian set {vaa.guardian_set} signed it, configured is {names}")
