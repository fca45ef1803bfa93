"""What engines made of the very set of a lake that a reader holds: documents, and rows of public views.

What is of another set, or rests on anything else than the reader's own answers do, counts as not there; so does what is not as it
was written, and so do all where two say different things: then nobody knows which is right.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from aggregator.engines.dialects import ANSWER
from aggregator.engines.partitions import SAID
from aggregator.engines.revaluing import REVALUATION, REVALUATIONS
from aggregator.engines.sameness import alike
from crossmargin.documents import Document, moment
from crossmargin.revaluations import AT_RISK, DOCUMENTS, STRESS, Premise, kept_of
from crossmargin.risk_runs import COLUMNS, curve_rows, left_out_of, scenario_rows, table_of
from crossmargin.stress_documents import Wanted
from indexer.lake import Lake, LakeFile
from indexer.lake.sets import LakeBroken
from indexer.store import LakeRevaluationRow, LakeSetRow
from indexer.store.risk_runs import CURVE, SCENARIO

RUN = 1
"""The number of the only run that a reader's views of risk have."""

NAMED = {"scenario": "scenario_id", "identity": "identity_id"}
"""What columns of the tables of risk are called in public views."""

VIEWS = (ANSWER, "fct_risk_run", "fct_stress", "fct_at_risk")
"""The public views of which revaluations are rows; those of risk where scenarios and prices were asked for as they are by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revalued:
    """What made the rows, or why there are none, and the rows by public view: none of those that nobody made."""

    by: LakeRevaluationRow
    rows: Mapping[str, pa.Table]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A revaluation of a cut-off, by what it says of itself; `digest`: SHA-256 of that."""

    name: str
    said: Mapping[str, Any]
    digest: str


def document_of(lake: Lake, made: LakeSetRow, premise: Premise, table: str, wanted: Wanted | None) -> Document | None:
    """Return the document that an engine made of a set, and which one, where it is what would be computed here."""
    found = list(_documents(lake, made, premise, table, kept_of(wanted)))
    if not found or any(document != found[0][0] for document, _ in found):
        return None
    document, by = found[0]
    return {**document, "served_from": by}


def rows_of(lake: Lake, made: LakeSetRow, premise: Premise, columns: Mapping[str, pa.Schema]) -> Revalued:
    """Return the rows that engines made of a set, in the `columns` that views have, or why there are none; raises `LakeBroken`."""
    fitting, why = list[tuple[Candidate, pa.Table]](), list[str]()
    for each in _candidates(lake, made):
        try:
            if (wrong := _misfit(each, premise)) is not None:
                why.append(f"{each.name} {wrong}")
                continue
            fitting.append((each, _accounts(lake, each, columns[ANSWER])))
        except (LakeBroken, ValueError, KeyError, TypeError, pa.ArrowException):
            why.append(f"{each.name} is not as it was written")
    if not fitting:
        return Revalued(by=_none(made, premise, why), rows={})
    best, accounts = fitting[0]
    if strange := [each.name for each, rows in fitting[1:] if not alike(accounts, rows, key="account_id")]:
        why = [f"{best.name} and {strange[0]} say different things of it"]
        return Revalued(by=_none(made, premise, why), rows={})
    return Revalued(by=_by(made, premise, best), rows={ANSWER: accounts} | _of_risk(lake, made, premise, columns))


def _candidates(lake: Lake, made: LakeSetRow) -> Iterator[Candidate]:
    for name in revaluations_of(lake, made.cut_at):
        try:
            text = lake.says(f"{REVALUATIONS}/{name}/{REVALUATION}") or b""
            yield Candidate(name=name, said=dict(json.loads(text)), digest=hashlib.sha256(text).hexdigest())
        except (LakeBroken, ValueError, TypeError):
            yield Candidate(name=name, said={}, digest="")


def revaluations_of(lake: Lake, cut_at: int) -> list[str]:
    """The names of all revaluations of a cut-off, of whatever set; raises `LakeBroken`."""
    return [name for name in lake.names(REVALUATIONS) if name.startswith(f"{cut_at:012d}-")]


def _misfit(each: Candidate, premise: Premise) -> str | None:
    """Why a revaluation is none of what a reader answers from."""
    said = each.said
    if not said:
        return "is not as it was written"
    if said.get("lake_set") != premise.lake_set:
        return f"is of {said.get('lake_set') or 'a snapshot'}"
    if said.get("methodology") != premise.methodology:
        return f"is of methodology {said.get('methodology')}, and this is {premise.methodology}"
    if said.get("policy") != premise.policy:
        return f"is of policy {said.get('policy')}, and {premise.policy} is in force"
    if said.get("premise") != premise.digest:
        return "rests on other assets, feeds, accounts, estimates, another condition of chains or another program"
    return None


def _accounts(lake: Lake, each: Candidate, columns: pa.Schema) -> pa.Table:
    parts = [
        _as_columns(lake.rows(_file(each.name, file)), columns)
        for file in each.said["files"]
        if "/" not in file["path"]
    ]
    rows = pa.concat_tables(parts)
    names = rows["account_id"]
    if not len(rows) == len(names.unique()) == sum(int(f["rows"]) for f in each.said["files"] if "/" not in f["path"]):
        raise LakeBroken(f"{lake.name}: {each.name} has an account twice, or lacks some")
    return rows.sort_by("account_id")


def _as_columns(rows: pa.Table, columns: pa.Schema) -> pa.Table:
    """Rows as a view has them: engines spell texts and times of UTC in ways of their own."""
    if sorted(rows.column_names) != sorted(columns.names):
        raise ValueError(rows.column_names)
    return rows.select(columns.names).cast(columns)


def _of_risk(lake: Lake, made: LakeSetRow, premise: Premise, columns: Mapping[str, pa.Schema]) -> dict[str, pa.Table]:
    """The rows of the views of risk, all of them or none; of what no revaluation says, such as paths, nothing is said."""
    stress = document_of(lake, made, premise, STRESS, Wanted())
    risk = document_of(lake, made, premise, AT_RISK, None)
    if stress is None or risk is None:
        return {}
    run = {
        "run_id": RUN,
        "as_of": json.dumps(stress["as_of"]),
        "library_version": stress["library"],
        "methodology_version": premise.methodology,
        "policy_version": premise.policy,
        "accounts": stress["accounts"],
        "units": stress["units"],
        "left_out": left_out_of(stress),
    }
    found = {
        "fct_risk_run": pa.Table.from_pylist([run]),
        "fct_stress": _numbered(table_of(COLUMNS[SCENARIO], list(scenario_rows(stress)))),
        "fct_at_risk": _numbered(table_of(COLUMNS[CURVE], list(curve_rows(risk)))),
    }
    return {view: _in_columns(rows, columns[view]) for view, rows in found.items()}


def _numbered(rows: pa.Table) -> pa.Table:
    named = rows.rename_columns([NAMED.get(name, name) for name in rows.column_names])
    return named.append_column("run_id", pa.array([RUN] * len(rows), pa.int64()))


def _in_columns(rows: pa.Table, columns: pa.Schema) -> pa.Table:
    """Rows in the columns of a view, those that they lack unknown; raises `ValueError` for columns that the view lacks."""
    if strange := set(rows.column_names) - set(columns.names):
        raise ValueError(strange)
    found = [
        rows[name] if name in rows.column_names else pa.nulls(len(rows), columns.field(name).type)
        for name in columns.names
    ]
    return pa.table(found, names=columns.names)


def _none(made: LakeSetRow, premise: Premise, why: Sequence[str]) -> LakeRevaluationRow:
    """Say that nobody revalued a set; at most three reasons, of which the rest is like."""
    said = "; ".join(why[:3]) or f"nobody revalued the cut-off {moment(made.cut_at)}"
    return LakeRevaluationRow(
        made.set_id,
        policy=premise.policy,
        methodology=premise.methodology,
        reason=f"no revaluation is of this set as it is answered here: {said}; run `crossmargin revalue --set`",
    )


def _by(made: LakeSetRow, premise: Premise, best: Candidate) -> LakeRevaluationRow:
    book, engine, version, sql = (str(best.said[name]) for name in ("book", "engine", "version", "sql"))
    return LakeRevaluationRow(
        made.set_id,
        revaluation=best.name,
        book=book,
        engine=engine,
        version=version,
        sql=sql,
        policy=premise.policy,
        methodology=premise.methodology,
        digest=best.digest,
    )


def _documents(
    lake: Lake, made: LakeSetRow, premise: Premise, table: str, wanted: Document | None
) -> Iterator[tuple[Document, Document]]:
    for each in _candidates(lake, made):
        try:
            if _misfit(each, premise) is not None:
                continue
            (file,) = [found for found in each.said["files"] if found["path"].startswith(f"{DOCUMENTS[table]}/")]
            kept = json.loads(str(lake.rows(_file(each.name, file))[SAID][0]))
        except (LakeBroken, ValueError, KeyError, TypeError):
            continue
        if kept["wanted"] == wanted:
            yield kept["document"], {"revaluation": each.name, "engine": each.said["engine"], "digest": file["sha256"]}


def _file(name: str, said: Mapping[str, Any]) -> LakeFile:
    path = f"{REVALUATIONS}/{name}/{said['path']}"
    numbers = {key: int(said[key]) for key in ("rows", "bytes")}
    return LakeFile(path=path, chain_id="", first=0, last=0, sha256=str(said["sha256"]), **numbers)
