# SPDX-License-Identifier: MIT
"""``--html``: a verdict as one page that needs nothing else and may reach nothing else.

plotly.js is in it, and a policy that allows these two scripts by their hashes and no connection. Names of processes,
recordings and lines of the kernel's log are text, whatever they hold.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from lazyobs.errors import NotSupported
from lazyobs.soak.cause import NAME as WHO
from lazyobs.soak.html_report_data import drawn
from lazyobs.soak.series import Series
from lazyobs.soak.verdict import FAIL, IDENTITY, INCONCLUSIVE, PASS, Finding, ResultTable, Verdict, in_one_line
from lazyobs.text import NULL, printable
from lazyobs.unix import output_file

if TYPE_CHECKING:
    from collections.abc import Iterable

PARTS = {
    "correctness": "Correctness",
    "leak": "Leaks",
    "cost": "Cost",
    "benefit": "Benefit",
}
FOLDED = {
    "validity": "Conditions that the data have to meet",
    "overhead": "What lazyobs itself took",
}
MOST_NAMED = 6  # recordings in the title


def write(verdict: Verdict, recordings: list[Series], file: str) -> None:
    """Writes the page of ``verdict`` on ``recordings``. NotSupported where plotly is missing, OSError where
    ``file`` cannot be written."""
    scripts = _plotly(), _ours("page.js")
    data = drawn(verdict, recordings)
    # Nothing in a script element of JSON is HTML but its end.
    packed = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    with output_file.create(file) as page:
        page.write(_head(verdict, recordings, scripts))
        page.writelines(_body(verdict, recordings, data))
        page.write(f'<script type="application/json" id="data">{packed}</script>\n')
        page.writelines(f"<script>{script}</script>\n" for script in scripts)
        page.write("</body>\n</html>\n")


def _plotly() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise NotSupported("--html", "needs plotly", "pip install plotly") from None
    script: str = get_plotlyjs()
    return script


def _ours(name: str) -> str:
    return (files("lazyobs.soak") / name).read_text(encoding="utf-8")


def _head(verdict: Verdict, recordings: list[Series], scripts: tuple[str, ...]) -> str:
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts
    )
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(verdict.word)}: {_text(_subject(verdict, recordings))}</title>\n"
        f"<style>{_ours('page.css')}</style>\n</head>\n<body>\n"
    )


def _arms(verdict: Verdict) -> dict[str, dict[str, Any]]:
    """{"base": {recording: identity}, "new": ...} of a comparison, {} of a report."""
    return verdict.identity if set(verdict.identity) == {"base", "new"} else {}


def _subject(verdict: Verdict, recordings: list[Series]) -> str:
    if arms := _arms(verdict):
        return " and ".join(f"{_releases(list(block.values()))} ({arm}, {len(block)})" for arm, block in arms.items())
    named = ", ".join(series.name for series in recordings[:MOST_NAMED])
    more = len(recordings) - MOST_NAMED
    return f"{named} and {more} more" if more > 0 else named


def _releases(identities: list[dict[str, Any]]) -> str:
    return ", ".join(sorted({str(identity.get("release")) for identity in identities}))


def _body(verdict: Verdict, recordings: list[Series], data: dict[str, Any]) -> Iterable[str]:
    yield f'<header><span class="word {_text(verdict.word)}">{_text(verdict.word)}</span>'
    yield f"<h1>lazyobs: {_text(_subject(verdict, recordings))}</h1></header>\n"
    yield f'<p class="soft">{_text(_summary(verdict, recordings))}</p>\n'
    reasons = in_one_line(verdict.reasons())
    reasons += [one for one in verdict.findings if one.name == WHO and one not in reasons]
    if reasons:
        yield f'<ul class="reasons {_text(verdict.word)}">'
        yield from (f"<li><span><b>{_text(_called(one))}</b>: {_text(one.text)}</span></li>\n" for one in reasons)
        yield "</ul>\n"
    for block in data["intervals"]:
        yield f'<h2>{_text(block["title"])}</h2>\n<p class="soft">{_text(block["about"])}</p>\n'
        yield f'<div class="plot" id="{block["id"]}"></div>\n'
    aside = [table for table in verdict.tables if table.title.startswith(IDENTITY)]
    for table in verdict.tables:
        if table not in aside:
            title, _, more = table.title.partition("; ")
            yield (
                f"<h2>{_text(title)}</h2>\n" + (f'<p class="soft">{_text(more)}</p>\n' if more else "") + _table(table)
            )
    if data["recordings"]:
        yield (
            "<h2>Over time</h2>\n"
            + _select("recording", "recording", _views(verdict, recordings))
            + '<div class="plot" id="series"></div>\n'
        )
    if data["distributions"]:
        names = [(name, name.replace("_", " ")) for name in data["distributions"]]
        yield (
            "<h2>Distributions</h2>\n"
            + _select("duration", "of", names)
            + '<div class="plot" id="distribution"></div>\n'
        )
    for part, title in PARTS.items():
        if found := [finding for finding in verdict.findings if finding.part == part]:
            yield f"<h2>{title}</h2>\n{_findings(found)}"
    yield "<h2>Details</h2>\n"
    for part, title in FOLDED.items():
        if found := [finding for finding in verdict.findings if finding.part == part]:
            yield f"<details><summary>{title}: {_text(_count(found))}</summary>\n{_findings(found)}</details>\n"
    yield from (f"<details><summary>{_text(table.title)}</summary>\n{_table(table)}</details>\n" for table in aside)
    yield from (_identity(series) for series in recordings)


def _count(found: list[Finding]) -> str:
    """``20 hold, 3 do not``; of what judges nothing, what it is."""
    met, unmet = (sum(one.outcome == word for one in found) for word in (PASS, INCONCLUSIVE))
    if not met and not unmet:
        return found[0].text
    return f"{met} hold" + (f", {unmet} do not" if unmet else "")


def _views(verdict: Verdict, recordings: list[Series]) -> list[tuple[str, str]]:
    """The first is shown first: of a comparison all recordings, of a report one."""
    each = [(str(place), series.name) for place, series in enumerate(recordings)]
    if len(recordings) == 1:
        return each
    every = [("all", f"all {len(recordings)}, one over the other")]
    return [*every, *each] if _arms(verdict) else [*each, *every]


def _select(name: str, label: str, options: list[tuple[str, str]]) -> str:
    inside = "".join(f'<option value="{_text(value)}">{_text(shown)}</option>' for value, shown in options)
    return f'<label>{label} <select id="{name}">{inside}</select></label>\n'


def _summary(verdict: Verdict, recordings: list[Series]) -> str:
    counts = {word: sum(one.outcome == word for one in verdict.findings) for word in (PASS, FAIL, INCONCLUSIVE)}
    minutes = sum(float(series.samples["time"][-1] - series.samples["time"][0]) for series in recordings) / 60
    length = f"{minutes:.1f} minutes" if minutes < 120 else f"{minutes / 60:.1f} hours"
    plural = "" if len(recordings) == 1 else "s"
    return (
        f"{len(recordings)} recording{plural}, {length}; "
        f"{counts[PASS]} checks passed, {counts[FAIL]} failed, {counts[INCONCLUSIVE]} open"
    )


def _called(finding: Finding) -> str:
    return f"{finding.recording}, {finding.name}" if finding.recording else finding.name


def _findings(found: list[Finding]) -> str:
    """What passed is folded away: of a hundred recordings that is a thousand rows."""
    passed = [finding for finding in found if finding.outcome == PASS]
    rest = [finding for finding in found if finding.outcome != PASS]
    several = any(finding.recording for finding in found)
    shown = _finding_rows(rest, several) if rest else ""
    if passed:
        shown += f"<details><summary>{len(passed)} passed</summary>{_finding_rows(passed, several)}</details>\n"
    return shown


def _finding_rows(found: list[Finding], several: bool) -> str:
    rows = "".join(
        f'<tr><td class="outcome {_text(one.outcome)}">{_text(one.outcome) or "&middot;"}</td>'
        + (f"<td>{_text(one.recording)}</td>" if several else "")
        + f"<td>{_text(one.name)}</td><td>{_text(one.text)}</td></tr>\n"
        for one in found
    )
    return f'<table class="findings">{rows}</table>\n'


def _table(table: ResultTable) -> str:
    numbers = [
        all(row[place] is None or isinstance(row[place], int | float) for row in table.rows)
        for place in range(len(table.headings))
    ]
    head = "".join(_cell("th", heading, number) for heading, number in zip(table.headings, numbers))
    rows = "".join(
        f"<tr>{''.join(_cell('td', value, number) for value, number in zip(row, numbers))}</tr>\n" for row in table.rows
    )
    return f'<div class="wide"><table><tr>{head}</tr>\n{rows}</table></div>\n'


def _cell(tag: str, value: object, number: bool) -> str:
    kind = ' class="number"' if number else f' class="outcome {value}"' if value in (PASS, FAIL, INCONCLUSIVE) else ""
    return f"<{tag}{kind}>{NULL if value is None else _text(value)}</{tag}>"


def _identity(series: Series) -> str:
    rows = "".join(
        f"<tr><td>{_text(key)}</td><td><code>{_text(value if isinstance(value, str) else json.dumps(value))}</code></td></tr>\n"
        for key, value in series.identity.items()
    )
    return f'<details><summary>Identity of {_text(series.name)}</summary><table class="findings">{rows}</table></details>\n'


def _text(value: object) -> str:
    return html.escape(printable(str(value)))
