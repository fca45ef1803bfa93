"""`doctor`: what each configured node can do, measured, and whether it is good enough."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from chains import registry
from chains.identifiers import namespace_of
from crossmargin.cli import figures
from crossmargin.cli.context import Context
from crossmargin.cli.indexing import chosen_chains
from crossmargin.cli.output import add_rows, emit, table, words
from crossmargin.documents import Document, moment
from crossmargin.exits import ExitCode
from crossmargin.mirror.survey import surveyed
from crossmargin.settings import ChainSettings, Settings
from crossmargin.starts import told
from crossmargin.verdicts import RECENT, Case, Verdict, best_head, judge

STANDING = ("node", "latency", "head", "behind", "age")
EVM = ("state", "logs", "range", "batch")
SOLANA = ("history", "accounts", "program accounts", "batch")
PYTH = ("prices", "signatures checked")
COLUMNS = {"eip155": EVM, "solana": SOLANA, "pyth": PYTH}
ALSO = ("confirmed", "safe", "finalized", "signatures", "receipts", "proofs", "gzip", "websocket")
ROOMY = 160
"""Letters in a line from which on a verdict is said whole in its column."""

STYLES = {"good": "green", "works": "yellow", "doubtful": "bold yellow", "unusable": "bold red"}


def doctor(context: Context, *, chains: tuple[str, ...]) -> None:
    """Measure the nodes of the chains and print what each is good for; exits 1 or 3 where not all are."""
    settings = told(context.settings())
    asked = chosen_chains(settings, chains)
    if not context.quiet:
        count = sum(len(settings.chain(chain_id).spec.rpc) or 1 for chain_id in asked)
        context.stderr().print(f"measuring {count} node{'s' if count > 1 else ''} …", soft_wrap=True)
    document = scrubbed(context, asyncio.run(_measured(settings, asked)))
    emit(context, document, lambda console: _show(console, document))
    if code := exit_code(document):
        raise typer.Exit(code)


async def _measured(settings: Settings, asked: Sequence[str]) -> Document:
    chains = [settings.chain(chain_id) for chain_id in asked]
    return {"chains": await asyncio.gather(*(_chain(settings, chain) for chain in chains))}


async def _chain(settings: Settings, chain: ChainSettings) -> dict[str, Any]:
    if chain.indexer is not None:
        found = await surveyed(chain, chain.indexer)
        usable = found["problem"] is None
        return {"chain": chain.spec.id, "name": chain.spec.name, "usable": usable, "nodes": [], "indexer": found}
    venues, feeds = settings.venues_of(chain.spec.id), settings.feeds_of(chain.spec.id)
    surveys = await registry.survey(chain.spec, venues, feeds)
    best = best_head(surveys)
    start = max(chain.spec.start_block, min((venue.start_block for venue in venues), default=0))
    cases = [Case(chain=chain, survey=each, best=best, start=start, asks=bool(venues or feeds)) for each in surveys]
    nodes = [node(case, judge(case)) for case in cases]
    usable = any(each["verdict"] != "unusable" for each in nodes)
    return {"chain": chain.spec.id, "name": chain.spec.name, "usable": usable, "nodes": nodes}


def node(case: Case, verdict: Verdict) -> dict[str, Any]:
    """Everything about one node, without its address."""
    survey = case.survey
    return {
        "node": survey.label,
        "verdict": verdict.word,
        "sentence": verdict.sentence,
        "remarks": [asdict(remark) for remark in verdict.remarks],
        "problem": survey.problem,
        "served": survey.served,
        "client": survey.client,
        "latency_ms": None if survey.latency_s is None else round(survey.latency_s * 1000, 1),
        "head": _head(case),
        "abilities": {name: asdict(ability) for name, ability in survey.abilities.items()},
        "requests": survey.requests,
        "calls": survey.calls,
        "rate_limited": survey.limited,
    }


def _head(case: Case) -> dict[str, Any] | None:
    head = case.survey.head
    if head is None:
        return None
    return {
        "block": head.number,
        "time": moment(head.time),
        "age_s": round(head.age_s, 1),
        "behind": case.best - head.number,
        "clock_skew_s": None if head.skew_s is None else round(head.skew_s, 1),
    }


def exit_code(document: Document) -> ExitCode:
    """1 where a chain has no node that can be used, 3 where one of its nodes cannot be used or may not be believed."""
    if not all(chain["usable"] for chain in document["chains"]):
        return ExitCode.FAILED
    if any(chain["indexer"]["doubt"] for chain in document["chains"] if "indexer" in chain):
        return ExitCode.UNKNOWN
    verdicts = {each["verdict"] for chain in document["chains"] for each in chain["nodes"]}
    return ExitCode.UNKNOWN if verdicts & {"doubtful", "unusable"} else ExitCode.OK


def scrubbed(context: Context, document: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Take secrets out of every text: nodes may repeat their own address."""
    match document:
        case str():
            return context.redactor.scrub(document)
        case dict():
            return {key: scrubbed(context, value) for key, value in document.items()}
        case list() | tuple():
            return [scrubbed(context, value) for value in document]
        case _:
            return document


def _show(console: Console, document: Document) -> None:
    for chain in document["chains"]:
        console.print(words(f"{chain['name']}  {chain['chain']}", "bold"))
        if "indexer" in chain:
            _show_indexer(console, chain["indexer"])
            continue
        roomy = console.width >= ROOMY
        console.print(_table(chain, roomy=roomy))
        for each in chain["nodes"]:
            if not roomy and each["remarks"]:
                console.print(words(f"{each['node']}: {each['sentence']}", STYLES[each["verdict"]]), soft_wrap=True)
            if each["abilities"]:
                console.print(words(f"{each['node']}: {_more(each)}"), soft_wrap=True)
        if not chain["usable"]:
            console.print(words("no node of this chain can be used", "bold red"))


def _show_indexer(console: Console, found: Document) -> None:
    """One line: it follows the chain, or why it cannot be used."""
    if found["problem"] is not None:
        console.print(words(found["problem"], "bold red"), soft_wrap=True)
        return
    head = "no head yet" if found["head"] is None else f"head {found['head']['block']:,}"
    heard = "" if found["heard_s"] is None else f", a node told it {found['heard_s']} s ago"
    told = f"comes from the indexer at {found['indexer']}: {head}{heard}, {found['latency_ms']} ms"
    doubt = found["doubt"]
    console.print(
        words(told if doubt is None else f"{told}; {doubt}", "green" if doubt is None else "bold yellow"),
        soft_wrap=True,
    )


def _table(chain: Document, *, roomy: bool) -> Table:
    """One row a node; where there is no room, the verdict is a word, and its sentence follows below."""
    family = namespace_of(chain["chain"])
    columns = (*STANDING, *COLUMNS[family], "verdict")
    made = table(*columns, right=(*STANDING[1:], "batch"))
    for column in made.columns[1:-1]:
        column.no_wrap = True
    return add_rows(
        made, [[*_standing(each), *_reach(each, family), _verdict(each, roomy=roomy)] for each in chain["nodes"]]
    )


def _standing(each: Document) -> list[str]:
    head = each["head"]
    if head is None:
        return [each["node"], *[figures.NONE] * 4]
    latency = figures.NONE if each["latency_ms"] is None else f"{each['latency_ms']:,.0f} ms"
    return [each["node"], latency, f"{head['block']:,}", f"{head['behind']:,}", figures.age(round(head["age_s"]))]


def _reach(each: Document, family: str) -> list[str]:
    found = each["abilities"]
    if not found:
        return [figures.NONE] * len(COLUMNS[family])
    if COLUMNS[family] is PYTH:
        return [limit(found[name]) for name in PYTH]
    if COLUMNS[family] is EVM:
        depths = [depth(found[name], each["head"]["block"]) for name in ("state", "logs")]
        return [*depths, limit(found["range"]), limit(found["batch"])]
    history = depth(found["history"], each["head"]["block"])
    return [history, limit(found["accounts"]), limit(found["program accounts"]), limit(found["batch"])]


def depth(found: Document, head: int) -> str:
    """How far back something is kept."""
    if found["value"] is None or found["value"] is False:
        return limit(found)
    if found["whole"]:
        return "full archive"
    blocks = head - found["value"] + 1
    return f"last ~{blocks:,} blocks" if blocks <= RECENT else f"from ~{found['value']:,}"


def limit(found: Document) -> str:
    """How much of something is taken, or whether it can be done at all."""
    match found["value"]:
        case None:
            return "not known"
        case bool(value):
            return "yes" if value else "refused"
        case number:
            return f"{'≥ ' if found['whole'] else ''}{number:,}"


def _more(each: Document) -> str:
    """What is no column: the client, and what else the node can and cannot do."""
    found = each["abilities"]
    told = {name: found[name]["value"] for name in ALSO if name in found}
    can = ", ".join(name for name, value in told.items() if value not in {None, False})
    cannot = ", ".join(name for name, value in told.items() if value is False)
    return f"{each['client'] or 'a client without a name'}; {can or 'nothing else'}" + (
        f"; no {cannot}" if cannot else ""
    )


def _verdict(each: Document, *, roomy: bool) -> Text:
    return words(each["sentence"] if roomy else each["verdict"], STYLES[each["verdict"]])
