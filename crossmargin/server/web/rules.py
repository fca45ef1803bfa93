"""The policy in force, and every one before and after it."""

from __future__ import annotations

from collections.abc import Sequence

from aggregator.audit.report.page import Html, code, figures
from crossmargin.documents import Document
from crossmargin.server.web.frame import Grid, Page, chain_warnings, link, standing_at

POLICY_COLUMNS = ("version", "in force from", "state", "entered", "by", "how", "withdrawn", "digest")
CLASS_COLUMNS = ("class", "haircut", "liquidation threshold", "initial factor", "maintenance factor")


def rules(policy: Document, policies: Document, status: Document) -> Page:
    """The policy in force, every one before and after it."""
    return Page(
        path="/ui/policy",
        title="Policy",
        lead="The house's rules. Venues' on-chain parameters are indexed and never copied in here.",
        as_of=standing_at(status),
        warnings=chain_warnings(status),
        parts=[
            figures(
                [
                    ("In force", policy["version"] or "unnamed"),
                    ("Since", policy["effective_from"] or "the beginning"),
                    ("Haircuts", link("/ui/haircuts", "By asset")),
                ]
            ),
            _classes(policy["rules"]["classes"]),
            _ledger(policies["policies"]),
        ],
    )


def _classes(classes: Document) -> Grid:
    keys = ("haircut", "liquidation_threshold", "initial_factor", "maintenance_factor")
    return Grid(
        name="classes",
        title="Classes",
        columns=CLASS_COLUMNS,
        rows=[
            (
                name,
                *(
                    "the venue's" if key == "liquidation_threshold" and each["venue_threshold"] else each[key]
                    for key in keys
                ),
            )
            for name, each in sorted(classes.items())
        ],
        numbers=frozenset(CLASS_COLUMNS[1:]),
    )


def _ledger(found: Sequence[Document]) -> Grid:
    keys = ("version", "effective_from", "state", "logged_at", "logged_by", "manner")
    return Grid(
        name="policies",
        title="Every policy",
        columns=POLICY_COLUMNS,
        rows=[
            (*(each[key] for key in keys), "yes" if each["withdrawn"] else None, Html(code(each["digest"])))
            for each in found
        ],
        plain=[(*(each[key] for key in keys), bool(each["withdrawn"]), each["digest"]) for each in found],
    )
