"""The name of a policy in what was computed with it: its version, since when it stands, and the hash of all that decides numbers."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass

import rfc8785

from aggregator.margin.once import Once
from aggregator.margin.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyStamp:
    """What a policy is called, if anything; `effective_from` in Unix seconds, `None`: from the beginning."""

    version: str | None = None
    effective_from: int | None = None


UNNAMED = PolicyStamp()


def canonical_policy(policy: Policy) -> str:
    """Write all that a policy decides numbers by as canonical JSON (RFC 8785)."""
    return rfc8785.dumps(asdict(policy)).decode("utf-8")


def policy_digest(policy: Policy) -> str:
    """Return `sha256:` and the hash of the canonical form; what a file says besides, such as who approved it, is no part of it."""
    return _DIGEST(policy)


def _digest(policy: Policy) -> str:
    return f"sha256:{hashlib.sha256(canonical_policy(policy).encode('utf-8')).hexdigest()}"


_DIGEST = Once(_digest, most=16)
