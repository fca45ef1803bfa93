"""What several routes are asked in the same words."""

from __future__ import annotations

from pydantic import Field

from crossmargin.server.route import Asked

LONGEST_NAME = 160
LONGEST_AT = 4096

ACCOUNT = "A margin account of the configuration, a CAIP-10 account, or a bare address: that key on every chain that writes it so."
AT = (
    "As of a block where one chain is asked about (20100000), a block of each chain (eip155:1=20100000,eip155:10=1200), or a time: "
    "2026-01-31T00:00:00Z, @1769817600, or any bare number from 1000000000 on; behind blocks, a time for all other chains. "
    "Without it: the newest that is stored."
)


class AccountPath(Asked):
    """Which account."""

    id: str = Field(min_length=1, max_length=LONGEST_NAME, description=ACCOUNT)


class AtQuery(Asked):
    """As of when."""

    at: str | None = Field(default=None, min_length=1, max_length=LONGEST_AT, description=AT)


class PageQuery(Asked):
    """How much of a list, and from where on."""

    limit: int = Field(default=1000, ge=1, le=1000, description="How many at most.")
    cursor: str | None = Field(
        default=None,
        min_length=1,
        max_length=LONGEST_AT,
        description="The `next` of the answer before, for what follows it.",
    )
