"""The validation pack: tables, plots and a page, as files that anybody makes again of the same histories, byte for byte."""

from __future__ import annotations

import csv
import html
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aggregator.margin.numbers import ratio_up, text
from aggregator.risk.announced import Announcing, announced
from aggregator.risk.bars import Bars
from aggregator.risk.history import Floats, History
from aggregator.risk.reliability import Reliability, reliability
from aggregator.risk.series import series_of_bars
from aggregator.risk.validation import JUDGED, Line, Verdict, day_of, validate
from aggregator.told import Told, untold
from crossmargin.documents import Document
from crossmargin.errors import UsageError
from crossmargin.stress_documents import number

WIDTH, HEIGHT, EDGE = 900, 260, 46
PLOTTED = ("fhs", JUDGED)
COLOURS = {"falls": "#8a8f98", "fhs": "#2563eb", JUDGED: "#b45309"}
DAYS = (1, 7)
HELD_TO = ("score", "1d")
"""Chances that must come true for a pack to hold; those of a week are told, whatever they are."""

RAREST = 0.001
"""Where plots of chances begin."""


def validation(histories: Sequence[History], bars: Sequence[Bars], told: Told = untold) -> tuple[Document, list[Line]]:
    """Judge all models on all subjects, and chances of a breach where lows and highs are known; raises `BadHistory`."""
    verdicts, lines = validate(histories, told=told)
    chances = {} if not bars else {"score": reliability(bars, told=told)}
    for days in DAYS if bars else ():
        chances[f"{days}d"] = announced([series_of_bars(each) for each in bars], Announcing(days=days), told)
    judged = [each for each in verdicts if each.test.model == JUDGED]
    document = {
        "histories": [
            {"asset": one.asset, "first": one.first.isoformat(), "last": one.last.isoformat()} for one in histories
        ],
        "judged_model": JUDGED,
        "holds": all(each.holds for each in judged) and all(chances[name].holds for name in HELD_TO if name in chances),
        "verdicts": [_verdict(each) for each in verdicts],
        "reliability": {name: _reliability(found) for name, found in chances.items()},
    }
    return document, lines


def write_pack(folder: Path, document: Document, lines: Sequence[Line]) -> list[str]:
    """Write the pack into a folder that is new or empty, and return its files; raises `UsageError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty; name a new folder for the pack")
        files = _files(document, lines)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise UsageError(f"the pack cannot be written to {folder}: {error.strerror or error}") from error
    return list(files)


def _files(document: Document, lines: Sequence[Line]) -> dict[str, str]:
    subjects = list(dict.fromkeys(line.subject for line in lines))
    plots = {
        f"haircuts-{place:02}.svg": haircuts_plot([line for line in lines if line.subject == subject])
        for place, subject in enumerate(subjects, 1)
    }
    plots |= {
        f"reliability-{name}.svg": reliability_plot(name, found) for name, found in document["reliability"].items()
    }
    return {
        "validation.json": json.dumps(document, indent=1, ensure_ascii=False) + "\n",
        "validation.csv": _csv(document["verdicts"]),
        **plots,
        "index.html": _page(document, list(plots)),
    }


def _verdict(each: Verdict) -> dict[str, Any]:
    test, judged = each.test, each.test.coverage
    return {
        "subject": each.subject,
        "model": test.model,
        "first": test.first.isoformat(),
        "last": test.last.isoformat(),
        "days": judged.days,
        "breaches": judged.breaches,
        **{f"breaches_{one.days}d": one.breaches for one in each.recent},
        "kupiec_p": number(judged.kupiec_p),
        "too_many_p": number(judged.too_many_p),
        "independence_p": number(judged.independence_p),
        "conditional_coverage_p": number(judged.conditional_p),
        "duration_p": None if each.duration_p is None else number(each.duration_p),
        "traffic_light": judged.light.value,
        "acerbi_szekely_z2": None if each.shortfall is None else number(each.shortfall.z2),
        "acerbi_szekely_p": None if each.shortfall is None else number(each.shortfall.p),
        "mean_haircut": text(ratio_up(test.mean_haircut)),
        "largest_haircut": text(ratio_up(test.largest_haircut)),
        "worst_beyond": text(ratio_up(test.worst_beyond)),
        "mean_beyond": text(ratio_up(each.mean_beyond)),
        "largest_rise_5d": text(ratio_up(test.largest_rise)),
        "peak_to_trough": text(ratio_up(each.peak_to_trough)),
        "holds": each.holds,
    }


def _reliability(found: Reliability) -> dict[str, Any]:
    return {
        "first": found.first.isoformat(),
        "last": found.last.isoformat(),
        "cases": found.cases,
        "brier": number(found.brier),
        "climate_brier": number(found.climate),
        "holds": found.holds,
        "classes": [
            {
                "from": number(each.low),
                "to": number(each.high),
                "cases": each.cases,
                "announced": number(each.announced),
                "realised": number(each.realised),
                "telling": each.telling,
                "holds": each.holds,
            }
            for each in found.classes
        ],
    }


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    said = io.StringIO(newline="")
    writer = csv.DictWriter(said, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: "" if value is None else value for key, value in row.items()} for row in rows)
    return said.getvalue()


def haircuts_plot(lines: Sequence[Line]) -> str:
    """Draw falls of one subject, day by day, and haircuts of some models over them."""
    whole = lines[0]
    top = max(float(max(line.haircuts.max(), line.falls.max())) for line in lines if line.model in PLOTTED) * 1.05
    shapes = [_path(whole.falls.clip(min=0.0), top, COLOURS["falls"], 0.6)]
    shapes += [_path(line.haircuts, top, COLOURS[line.model], 1.4) for line in lines if line.model in PLOTTED]
    ticks = [
        f'<text x="{EDGE - 6}" y="{_y(top * part, top):.1f}" text-anchor="end">{100 * top * part:.0f} %</text>'
        for part in (0.0, 0.5, 1.0)
    ]
    ends = [
        f'<text x="{EDGE}" y="{HEIGHT - 8}">{day_of(whole, 0)}</text>',
        f'<text x="{WIDTH - 8}" y="{HEIGHT - 8}" text-anchor="end">{day_of(whole, len(whole.falls) - 1)}</text>',
    ]
    legend = [
        f'<text x="{EDGE + 10 + 120 * place}" y="16" fill="{colour}">{name}</text>'
        for place, (name, colour) in enumerate(COLOURS.items())
    ]
    title = f"{whole.subject}: falls of a day and haircuts"
    return _svg(title, [*shapes, *ticks, *ends, *legend])


def reliability_plot(name: str, found: Mapping[str, Any]) -> str:
    """Draw the share that came true over the chance that was announced, both by factors of ten, from a thousandth (or less) to 1."""
    first, last = (f"{_at(each):.1f} {_up(each):.1f}" for each in (RAREST, 1.0))
    shapes = [f'<path d="M {first} L {last}" stroke="#8a8f98" stroke-dasharray="4 4"/>']
    for each in found["classes"]:
        said, came = float(each["announced"]), float(each["realised"])
        colour = "#15803d" if each["holds"] else "#b91c1c"
        shapes.append(
            f'<circle cx="{_at(max(said, RAREST)):.1f}" cy="{_up(max(came, RAREST)):.1f}" r="5" fill="{colour}">'
            f"<title>announced {100 * said:.2f} %, came true {100 * came:.2f} %, {each['cases']} cases</title></circle>"
        )
    for part in (RAREST, 0.01, 0.1, 1.0):
        shapes.append(f'<text x="{_at(part):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{100 * part:g} %</text>')
        shapes.append(f'<text x="{EDGE - 6}" y="{_up(part) + 4:.1f}" text-anchor="end">{100 * part:g} %</text>')
    return _svg(f"{name}: came true (up) over announced (across)", shapes)


def _at(share: float) -> float:
    return EDGE + (WIDTH - EDGE - 20) * _decades(share)


def _up(share: float) -> float:
    return HEIGHT - 28 - (HEIGHT - 60) * _decades(share)


def _decades(share: float) -> float:
    return (math.log10(share) + 3) / 3


def _y(value: float, top: float) -> float:
    return HEIGHT - 28 - (HEIGHT - 60) * value / top


def _path(values: Floats, top: float, colour: str, width: float) -> str:
    step = (WIDTH - EDGE - 8) / max(len(values) - 1, 1)
    points = " ".join(f"{EDGE + step * place:.1f},{_y(value, top):.1f}" for place, value in enumerate(values.tolist()))
    return f'<polyline fill="none" stroke="{colour}" stroke-width="{width}" points="{points}"/>'


def _svg(title: str, shapes: Sequence[str]) -> str:
    said = html.escape(title)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said}" '
        f'font-family="sans-serif" font-size="12"><title>{said}</title>\n' + "\n".join(shapes) + "\n</svg>\n"
    )


def _page(document: Document, plots: Sequence[str]) -> str:
    rows = document["verdicts"]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in columns)
    body = "\n".join(
        "<tr>" + "".join(f"<td>{html.escape(_said(row.get(name)))}</td>" for name in columns) + "</tr>" for row in rows
    )
    images = "\n".join(f'<p><img src="{name}" alt="{html.escape(name)}" width="{WIDTH}"></p>' for name in plots)
    verdict = "holds" if document["holds"] else "does NOT hold"
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Validation of haircuts and chances</title>
<style>
:root {{ color-scheme: light dark; font-family: sans-serif; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: 0.8rem; }}
th, td {{ border: 1px solid #8a8f98; padding: 0.2rem 0.4rem; text-align: right; white-space: nowrap; }}
img {{ max-width: 100%; height: auto; background: #fff; }}
</style>
<h1>Validation of haircuts and chances</h1>
<p>What accounts are held to ({html.escape(document["judged_model"])}) {verdict}.
Columns are explained in the manual under <i>Validation</i>.</p>
<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>
{body}
</tbody></table></div>
{images}
</html>
"""


def _said(value: object) -> str:
    if value is None:
        return ""
    return ("yes" if value else "NO") if isinstance(value, bool) else str(value)
