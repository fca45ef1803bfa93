"""`--known-at`: what was answered about an account at a moment, beside what is known of the same blocks now, and why both differ."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from crossmargin.cut import time_of
from crossmargin.desk import Desk
from crossmargin.documents import Document, moment
from crossmargin.errors import DeskError, NotStored

COMPARED = ("status", "health_factor", "min_unit_health_factor", "score", "collateral", "debt", "headroom")

POSITIONS = ("account", "members", "as_of", "status", "venues", "completeness", "reasons")
"""What of a health document `positions` shows."""

ANSWERED = """
SELECT CAST(epoch(served_at) AS BIGINT), document FROM public.fct_health_answer
WHERE account_id = '{account}' AND served_at <= make_timestamp(CAST({until} AS BIGINT) * 1000000)
ORDER BY served_at DESC LIMIT 1
"""
RESTATED = """
SELECT chain_id, interest, from_block, cause FROM public.restatement
WHERE changed AND restated_at >= make_timestamp(CAST({since} AS BIGINT) * 1000000) ORDER BY restated_at, interest
"""


def in_short(document: Document) -> Mapping[str, Any]:
    """Return the numbers of an answer that are compared."""
    return {field: document.get(field) for field in COMPARED}


def holdings(document: Document) -> Mapping[str, Any]:
    """Return the raw amount of each position in an answer, by venue, unit, side and asset."""
    return {
        f"{venue['venue']} {unit['unit_id']} {position['side']} {position['asset']}": position["amount_raw"]
        for venue in document["venues"]
        for unit in venue["units"]
        for position in unit["positions"]
    }


def recalled_positions(desk: Desk, account: str, known_at: str) -> Document:
    """Return what was answered of an account's positions up to a moment, likewise."""
    found = recalled(desk, account, known_at, of=holdings)
    return {**found, "document": {key: found["document"][key] for key in POSITIONS}}


def recalled(
    desk: Desk, account: str, known_at: str, *, of: Callable[[Document], Mapping[str, Any]] = in_short
) -> Document:
    """Return the last answer up to a moment as it was sent, the same question asked now, and causes of what differs.

    `of`: what of both is compared. Raises `UsageError` for a moment that is none, `NoSuchThing` for an account, and `NotStored` where no
    answer is kept.
    """
    until = time_of(known_at)
    name = str(desk.account(account)["account"])
    found = desk.sql(ANSWERED.format(account=name.replace("'", "''"), until=until))["rows"]
    if not found:
        raise NotStored(
            f"no answer about {name} up to {moment(until)} is kept; answers at the tip are kept from when they are first given, "
            "the newest 20,000 of them: `crossmargin health --at` says what is known now of that time"
        )
    ((served_at, text),) = found
    then: Document = json.loads(text)
    now, why_not = _asked_again(desk, name, then)
    before, after = of(then), {} if now is None else of(now)
    fields = list(dict.fromkeys([*before, *after]))
    differing = [] if now is None else [field for field in fields if before.get(field) != after.get(field)]
    return {
        "account": name,
        "known_at": moment(until),
        "served_at": moment(int(served_at)),
        "document": then,
        "then": dict(before),
        "now": None if now is None else dict(after),
        "differing": differing,
        "causes": list(_causes(desk, then, now, int(served_at), why_not)) if differing or now is None else [],
    }


def _asked_again(desk: Desk, account: str, then: Document) -> tuple[Document | None, str]:
    """Ask what is known now of the blocks that an answer was of; `None`, and why, where nothing can be said of them."""
    try:
        return desk.health(account, _cuts(then["as_of"])), ""
    except DeskError as error:
        return None, str(error)


def _cuts(as_of: Mapping[str, Any]) -> str | None:
    """Name the blocks of an answer, and for chains that had no part in it, where a member was before or came since, its moment."""
    if not as_of:
        return None
    moment_of_it = max(place["time"] for place in as_of.values())
    return ",".join([*(f"{chain}={place['block']}" for chain, place in as_of.items()), moment_of_it])


def _causes(desk: Desk, then: Document, now: Document | None, since: int, why_not: str) -> Iterator[dict[str, Any]]:
    cuts = then["as_of"]
    for chain, interest, first, why in desk.sql(RESTATED.format(since=since))["rows"]:
        if chain in cuts and int(first) <= cuts[chain]["block"]:
            yield _cause("restatement", chain, f"{interest} from block {first} on: {why}")
    if now is None:
        yield _cause("not_stored", None, why_not)
        return
    known = list(_told(then, now))
    yield from known
    if not known and then["input_digest"] != now["input_digest"]:
        detail = (
            "the inputs are others: marks, doubts of that moment (a chain that was silent), or what came in late for it"
        )
        yield _cause("other_inputs", None, detail)


def _told(then: Document, now: Document) -> Iterator[dict[str, Any]]:
    """Name what both documents say of themselves that differs."""
    for chain, place in then["as_of"].items():
        found = now["as_of"].get(chain)
        if found is not None and found["hash"] != place["hash"]:
            yield _cause("reorg", chain, f"block {place['block']} was {place['hash']} and is {found['hash']}")
    if then["methodology_version"] != now["methodology_version"]:
        yield _cause("new_method", None, f"{then['methodology_version']} → {now['methodology_version']}")
    elif then["input_digest"] == now["input_digest"]:
        yield _cause("new_method", None, "equal inputs came to another answer: the program is another one")
    if then.get("policy") != now.get("policy"):
        yield _cause("new_policy", None, f"{_policy(then)} → {_policy(now)}")
    if then["members"] != now["members"]:
        yield _cause("membership", None, f"{', '.join(then['members'])} → {', '.join(now['members'])}")


def _policy(document: Document) -> str:
    policy = document.get("policy") or {}
    return str(policy.get("version") or policy.get("digest") or "none")


def _cause(code: str, subject: str | None, detail: str) -> dict[str, Any]:
    return {"code": code, "subject": subject, "detail": detail}
