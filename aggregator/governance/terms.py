"""A policy file as governance sees it: its numbers, its floors, and what `[policy]` says of the file itself.

[policy]
version = "2026-11-28.1"
effective_from = "2026-12-01T00:00:00Z"
note = "Higher haircuts for long-tail assets"
approved_by = ["risk committee"]
notice = "24h"
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aggregator.margin.floor import ShortfallFloor, parse_floor
from aggregator.margin.policy import GOVERNANCE, Policy, parse_policy
from aggregator.margin.policy_text import PolicyError, refuse_unknown, seconds
from aggregator.margin.stamp import canonical_policy, policy_digest

KEYS = ("version", "effective_from", "note", "approved_by", "notice")
NOTICE_S = 86_400
"""How long before it counts a tightening is published, where the policy in force says nothing of it."""

LONGEST_NOTE = 1_000
LARGEST_FILE = 64 * 1024
LAST_TIME = 2**33
"""The year 2242."""

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What `[policy]` of a file says; `effective_from` in Unix seconds, `notice_s` binds the file that comes after this one."""

    version: str | None = None
    effective_from: int | None = None
    note: str = ""
    approved_by: tuple[str, ...] = ()
    notice_s: int = NOTICE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """A whole policy file, read; `text` is the file itself."""

    head: Head
    policy: Policy
    floor: ShortfallFloor
    text: str

    @property
    def digest(self) -> str:
        """The hash of all that decides numbers."""
        return policy_digest(self.policy)

    @property
    def canonical(self) -> str:
        return canonical_policy(self.policy)

    def governs_like(self, other: Terms) -> bool:
        """Whether two files mean the same: numbers, alarms and notice, whatever else they say of themselves."""
        mine = (self.digest, self.floor, self.head.notice_s)
        return mine == (other.digest, other.floor, other.head.notice_s)


def read_terms(text: str) -> Terms:
    """Read a policy file in TOML; raises `PolicyError`."""
    policy = parse_policy(text)
    return Terms(head=_head(tomllib.loads(text).get(GOVERNANCE, {})), policy=policy, floor=parse_floor(text), text=text)


def _head(table: object) -> Head:
    if not isinstance(table, dict):
        raise PolicyError(f"[{GOVERNANCE}] must be a table")
    refuse_unknown(f"[{GOVERNANCE}]", table, KEYS)
    return Head(
        version=_version(table),
        effective_from=_moment(table),
        note=_note(table),
        approved_by=_approved_by(table),
        notice_s=_notice(table),
    )


def _version(table: Mapping[str, Any]) -> str | None:
    value = table.get("version")
    if value is None or (isinstance(value, str) and _VERSION.fullmatch(value)):
        return value
    raise PolicyError(f'[{GOVERNANCE}] version must be a word such as "2026-11-28.1", not {value!r}')


def _moment(table: Mapping[str, Any]) -> int | None:
    """Read a moment with its time zone, as text or as TOML has it."""
    value = table.get("effective_from")
    if value is None:
        return None
    wanted = f'[{GOVERNANCE}] effective_from must be a moment in UTC such as "2026-12-01T00:00:00Z", not {value!r}'
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise PolicyError(wanted) from error
    if moment.tzinfo is None or moment.microsecond or not 0 < moment.timestamp() < LAST_TIME:
        raise PolicyError(wanted)
    return int(moment.timestamp())


def _note(table: Mapping[str, Any]) -> str:
    value = table.get("note", "")
    if not isinstance(value, str) or len(value) > LONGEST_NOTE:
        raise PolicyError(f"[{GOVERNANCE}] note must be a text of up to {LONGEST_NOTE} characters")
    return value


def _approved_by(table: Mapping[str, Any]) -> tuple[str, ...]:
    value = table.get("approved_by", [])
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(
        isinstance(name, str) and 0 < len(name) <= LONGEST_NOTE for name in names
    ):
        raise PolicyError(f'[{GOVERNANCE}] approved_by must be a name or a list of names such as ["risk committee"]')
    return tuple(names)


def _notice(table: Mapping[str, Any]) -> int:
    if "notice" not in table:
        return NOTICE_S
    try:
        return seconds(table["notice"])
    except ValueError as error:
        raise PolicyError(f"[{GOVERNANCE}] notice {error}") from error
