"""What engines make of a book beside its margin accounts, as rows and as the documents that routes give; and those of a set of a lake."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from aggregator.at_risk import at_risk_of
from aggregator.engines.laying import Laid, laid
from aggregator.engines.partitions import Asked as AskedOfParts
from aggregator.engines.partitions import Task, put_parts, put_risk, put_said
from aggregator.engines.revaluing import More
from aggregator.freezing import inputs_later
from aggregator.margin.inputs import METHODOLOGY_VERSION
from aggregator.risk.scenarios import ScenarioError
from aggregator.risk.series import Series
from aggregator.risk.tallies import Tallies
from aggregator.stressing import stressed_of
from crossmargin.cuts import Scene
from crossmargin.documents import Document
from crossmargin.errors import UsageError
from crossmargin.packaged import program_version
from crossmargin.risk_runs import COLUMNS, curve_rows, scenario_rows, table_of
from crossmargin.stress_documents import (
    Wanted,
    library,
    library_text,
    risk_document,
    scenarios_of,
    stress_document,
)
from indexer.store.risk_runs import CURVE, SCENARIO

STRESS, AT_RISK = "stress", "at-risk"
TABLES = (STRESS, AT_RISK)
DOCUMENTS = {STRESS: "stress_document", AT_RISK: "at_risk_document"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Premise:
    """What a book rests on beside what a lake's set holds: the set, the versions of policy and methodology, and the digest of
    cuts, catalogue, condition, estimates and program.
    """

    lake_set: str
    policy: str | None
    methodology: str
    digest: str


def premise_of(scene: Scene, lake_set: str, policy: str | None) -> Premise:
    """Say what decides every number of the book of a scene that is a set of a lake; `policy`: the version in force there."""
    said = (scene.cuts, scene.catalogue, scene.condition, scene.risk, METHODOLOGY_VERSION, library_text())
    digest = hashlib.sha256(repr((program_version(), *said)).encode()).hexdigest()
    return Premise(lake_set=lake_set, policy=policy, methodology=METHODOLOGY_VERSION, digest=digest)


def more_of(
    book: Laid,
    series: Mapping[str, Series],
    wanted: Wanted,
    tables: Collection[str],
    premise: Premise | None,
) -> More:
    """Ask for tables of a book, `stress` by the scenarios that are wanted; raises `UsageError`."""
    of = {"program": f"{program_version()} methodology {METHODOLOGY_VERSION}"}
    if premise is not None:
        of |= {"lake_set": premise.lake_set, "premise": premise.digest, "methodology": premise.methodology}
        of |= {} if premise.policy is None else {"policy": premise.policy}
    if not tables:
        return More(of=of)
    try:
        scenarios, said = scenarios_of(book, book.held(library().mapping.market), wanted, series)
    except ScenarioError as error:
        raise UsageError(str(error)) from error
    asked = AskedOfParts(
        library=library_text(),
        scenarios=tuple(scenarios) if STRESS in tables else (),
        curves=AT_RISK in tables,
        said={**said, "wanted": asdict(wanted)},
    )
    stressed = laid(inputs_later(book.inputs, wanted.accrue_days)) if wanted.accrue_days else book
    return More(of=of, put=partial(put_risk, stressed, asked), told=told)


def told(task: Task, tallies: Tallies, folder: Path) -> None:
    """Write the tables and documents of a book whose parts came to some tallies below a folder."""
    said = task.asked.said
    if task.asked.scenarios:
        document = stress_document(said, stressed_of(tallies, task.asked.scenarios, task.outline))
        put_parts(folder / STRESS, iter([table_of(COLUMNS[SCENARIO], list(scenario_rows(document)))]))
        _put(document, said["wanted"], folder / DOCUMENTS[STRESS])
    if task.asked.curves:
        document = risk_document(said, at_risk_of(tallies, task.library, task.outline))
        put_parts(folder / AT_RISK, iter([table_of(COLUMNS[CURVE], list(curve_rows(document)))]))
        _put(document, None, folder / DOCUMENTS[AT_RISK])


def _put(document: Document, wanted: Document | None, folder: Path) -> None:
    put_said(json.dumps({"wanted": wanted, "document": document}, sort_keys=True), folder)


def kept_of(wanted: Wanted | None) -> Document | None:
    """Return which scenarios were asked for as a revaluation keeps it."""
    return None if wanted is None else json.loads(json.dumps(asdict(wanted)))


def asked_tables(said: str | None, wanted: Wanted) -> tuple[str, ...]:
    """Read which tables are asked for, as `stress,at-risk`; raises `UsageError` also where they are not what is `wanted` of them."""
    found = tuple(dict.fromkeys(each.strip() for each in (said or "").split(",") if each.strip()))
    if wrong := [each for each in found if each not in TABLES]:
        raise UsageError(f'there is no "{wrong[0]}" to compute; there are: {", ".join(TABLES)}')
    if wanted.fund_usd is not None:
        raise UsageError(
            "--fund asks all units at once, again and again, and engines do each file once; ask `crossmargin stress --fund`"
        )
    if wanted != Wanted() and STRESS not in found:
        raise UsageError("--severity, --scenario, --shock and --accrue say what stress does; add --with stress")
    if wanted.accrue_days and AT_RISK in found:
        raise UsageError("at-risk is of the book without interest to come; ask for it without --accrue")
    return found
