# SPDX-License-Identifier: MIT
"""The verdict as a letter for a mailing list: 72 columns of ASCII, the word first."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lazyobs.judge import claims, measure, more_findings
from lazyobs.judge.asked import BASE, FLAVOURS
from lazyobs.judge.inside import STEPS
from lazyobs.judge.vma_tests import STEP
from lazyobs.soak.letter_lines import COLUMNS, in_ascii, set_rows, wrapped
from lazyobs.soak.verdict import FAIL, INCONCLUSIVE, PASS
from lazyobs.text import NULL, plural

_MOST_LISTED = 16
_WORDS = {PASS: "pass", FAIL: "FAIL", INCONCLUSIVE: "open", "": ""}
_METHOD = (
    "How: every boot of the workload is one value; boots of the arms alternate. Costs are instructions of the guest "
    "(QEMU's -icount), so that caches, contention and the load of the host do not show. PASS means that a change of the "
    "margin was ruled out, FAIL that there is one and that of the margin is not ruled out; p-values allow for the number "
    "of metrics and of looks. Memory is of live objects in slab caches that are not merged, after a grace period and a shrink."
)


def letter(document: Mapping[str, Any]) -> str:
    """The letter; no line is longer than COLUMNS."""
    return "".join(f"{line}\n" for line in _lines(document))


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    arms = document["arms"]
    yield f"lazyobs judge: {document['word']}"
    for arm in arms:
        name = f"{arm['arm']}: {arm['word']}, " if len(arms) > 1 else ""
        yield from _wrapped(f"{name}{arm['said']}", "  ")
    yield ""
    base, run = document["base"], document["run"]
    yield from _wrapped(f"Base:   {base['name']} {base['version']}" + (f" ({base['why']})" if base["why"] else "") + (f"; with {', '.join(base['options'])}" if base.get("options") else ""), "", "        ")  # fmt: skip
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(run["began"]))
    yield from _wrapped(f"Judged: {when}, by lazyobs {run['lazyobs']}, {run['host']}", "", "        ")
    if workload := run.get("workload"):
        yield from _wrapped(f"Given:  workload {workload['name']}, {workload['bytes']} bytes, sha256 {workload['sha256']}", "", "        ")  # fmt: skip
    for arm in arms:
        yield from _arm(arm, len(arms) > 1)
    yield ""
    yield from _wrapped(_METHOD)
    yield ""
    yield from _wrapped(f"Built by {run['builder']}." + (f" Open to it: {'; '.join(run['open_still'])}." if run["open_still"] else ""))  # fmt: skip
    yield from _built(document)
    yield "To run it again:"
    yield from _command(run["again"])
    yield from _repeated(arms, run)


def _arm(arm: Mapping[str, Any], several: bool) -> Iterator[str]:
    series = arm["series"]
    yield ""
    if several:
        yield from _wrapped(f"== {arm['arm']} " + "=" * (COLUMNS - 4 - len(arm["arm"])))
    yield from _wrapped(f"Series: {series['subject']}", "", "        ")
    size = f"{len(series['patches'])} {plural(len(series['patches']), 'patch', 'patches')}, +{series['added']} -{series['removed']} lines in {series['files']} {plural(series['files'], 'file')}"  # fmt: skip
    options = f"; with {', '.join(series['options'])}" if series["options"] else ""
    yield from _wrapped(size + options, "        ")
    yield from _listed("", [f"note: {note}" for note in series["notes"]])
    findings = arm["findings"]
    for outcome, heading in ((FAIL, "Failed:"), (INCONCLUSIVE, "Open:")):
        yield from _listed(heading, [_said(one) for one in findings if one["outcome"] == outcome])
    passed = [one for one in findings if one["outcome"] == PASS and one["part"] != "cost"]
    yield from _listed("Passed:", [_said(one) for one in passed])
    yield from _claims(arm["claims"])
    if arm["card"]:
        yield from _listed("What it changes:", of_card(arm["card"]))
    for table in arm["tables"]:
        yield ""
        yield from _wrapped(f"{table['title']}:")
        yield from _table(table["headings"], table["rows"])
    yield from _listed("Seen besides:", [_said(one) for one in findings if not one["outcome"]])


def _said(one: Mapping[str, Any]) -> str:
    return f"{one['name']}: {one['text']}"


def _claims(rows: Sequence[Mapping[str, str]]) -> Iterator[str]:
    if not rows:
        return
    yield ""
    yield "What the cover letter says, and what was found:"
    said = ""
    for row in rows:
        if row["said"] != said:  # one sentence may claim several things
            said = row["said"]
            yield from _wrapped(f'"{said}"', "* ", "  ")
        found = row["outcome"].upper() if row["outcome"] == claims.BROKEN else row["outcome"]
        about = f"{row['expected']}: " if row["expected"] else ""
        yield from _wrapped(f"-> {found}: {about}{row['found']}", "  ", "     ")


def of_card(card: Mapping[str, Any]) -> list[str]:
    """What the series changes, a line for each kind of thing."""
    lines = []
    for row in (row for row in card["structs"] or [] if row["own"]):
        if row["before"] is None or row["after"] is None:
            sizes = f"{'new' if row['before'] is None else 'gone'}, {row['after'] or row['before']} bytes"
        elif row["before"] == row["after"]:
            sizes = f"{row['after']} bytes as before"
        else:
            sizes = f"{row['before']} -> {row['after']} bytes"
        fields = [f"{one['field']} {one['what']}" for one in row["fields"]]
        lines.append(f"struct {row['struct']}: {sizes}" + (f" ({', '.join(fields[:8])})" if fields else ""))
    grown = [f"{row['struct']} {row['before']} -> {row['after']}" for row in card["structs"] or [] if not row["own"]]
    if grown:
        lines.append(f"structs that hold one of these: {', '.join(grown[:12])}")
    functions = card["functions"]
    for key, words in (("new_inlined", "new, and inlined"), ("gone", "gone"), ("inlined_away", "now inlined")):
        if functions[key]:
            lines.append(f"functions {words}: {', '.join(functions[key][:16])}")
    if functions["new"]:
        names = [one["function"] + (" (static)" if one["static"] else "") for one in functions["new"]]
        lines.insert(0, f"functions new: {', '.join(names[:16])}")
    lines += [f"renamed: {one['before']} -> {one['after']}" for one in functions["renamed"][:8]]
    lines += [f"prototype: {one['before']} -> {one['after']}" for one in (card["prototypes"] or [])[:8]]
    lines += list(_probes(card["probes"]))
    if card["why_not"]:
        lines.append(card["why_not"])
    lines += card["notes"]
    return lines or ["nothing in structs, functions and probes"]


def _probes(probes: Mapping[str, Any] | None) -> Iterator[str]:
    if probes is None:
        return
    profile = probes["profile"]
    if profile["base"] != profile["new"]:
        yield f"lazyobs' profile of it: {profile['new']} (base: {profile['base']})"
    if probes["lost"]:
        yield f"probe points of lazyobs that are lost: {', '.join(probes['lost'])}"
    gained = [row["point"] for row in probes["points"] if row["after"] and not row["before"]]
    if gained:
        yield f"probe points that it adds: {', '.join(gained)}"
    if probes["design"].get("draft"):
        yield "no profile describes its design; a draft, with what a person has to decide, is in verdict.json"


def _built(document: Mapping[str, Any]) -> Iterator[str]:
    builds = document["builds"]
    done = [f"{name} {one['image'].rpartition('/')[2]} in {one['seconds']:.0f} s" for name, one in builds.items() if not one["why"]]  # fmt: skip
    if done:
        yield from _wrapped(f"Images: {', '.join(done)}.")
    boots = document["boots"].values()
    if boots:
        took = sum(one["seconds"] or 0 for one in boots)
        yield from _wrapped(f"Boots: {len(boots)}, {took / 60:.0f} minutes of this machine.")


def _repeated(arms: Sequence[Mapping[str, Any]], run: Mapping[str, Any]) -> Iterator[str]:
    """How to see a failure again: the boot alone with that step, the boots that were compared, or the build."""
    failed = [(arm["arm"], one) for arm in arms for one in arm["findings"] if one["outcome"] == FAIL]
    lines = [line for arm, one in failed for line in _again(arm, one, run)]
    if run.get("version", 1) >= 2:
        lines = list(dict.fromkeys(lines))
    if lines:
        yield "To see a failure again, DIR being the folder of this letter:"
        for line in lines[:_MOST_LISTED]:
            yield from _command(f"lazyobs judge --resume DIR{line}")


def _again(arm: str, one: Mapping[str, Any], run: Mapping[str, Any]) -> list[str]:
    name, _, flavour = one["name"].partition(", ")
    if name in STEPS and flavour in FLAVOURS:
        return [f" --repeat {arm}-{flavour}-{name}"]
    if run.get("version", 1) < 2:  # an older lazyobs had no others
        return []
    if name == STEP:
        return [f" --repeat {arm}-plain-{STEP}"]
    if name == more_findings.CONTENDED:
        return [f" --repeat {arm}-plain-waits"]
    if name == "build" or one["name"] == "each patch builds":
        return [""]
    if one["part"] == "cost":
        return [f" --repeat {which}-plain-workload" for which in (BASE, arm)]
    return [f" --repeat {arm}-plain-workload"] if name in ("workload", measure.GIVEN) else []


def _command(command: str) -> Iterator[str]:
    """Not wrapped inside of a word; a line that goes on ends with a backslash."""
    lines = textwrap.wrap(in_ascii(command), COLUMNS - 6, break_long_words=False, break_on_hyphens=False)
    for number, line in enumerate(lines):
        yield ("  " if not number else "    ") + line + (" \\" if number < len(lines) - 1 else "")


def _wrapped(line: str, first: str = "", rest: str | None = None) -> list[str]:
    return wrapped(in_ascii(line), first, rest)


def _listed(heading: str, lines: Sequence[str]) -> Iterator[str]:
    if not lines:
        return
    yield ""
    if heading:
        yield heading
    for line in lines[:_MOST_LISTED]:
        yield from _wrapped(line, "* ", "  ")
    if len(lines) > _MOST_LISTED:
        yield f"* and {len(lines) - _MOST_LISTED} more in verdict.json"


def _table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """Words of the first columns are wrapped until it fits."""
    cells = [[in_ascii(heading) for heading in headings], *([_cell(value) for value in row] for row in rows)]
    above = ""
    for row in cells[1:]:  # what a row has in common with the one above is said once
        row[0], above = "" if row[0] == above else row[0], row[0]
    widths = [max(len(row[place]) for row in cells) for place in range(len(headings))]
    while sum(widths) + 2 * (len(widths) - 1) > COLUMNS:
        widest = max(range(len(widths)), key=lambda place: widths[place])
        widths[widest] -= 1
    right = [all(_is_number(row[place]) for row in cells[1:]) for place in range(len(headings))]
    yield from set_rows(cells, widths, right, 2)


def _cell(value: object) -> str:
    return (
        NULL
        if value is None
        else _WORDS.get(str(value), in_ascii(value))
        if isinstance(value, str)
        else in_ascii(value)
    )


def _is_number(cell: str) -> bool:
    return cell[:1] in "+-0123456789" and " " not in cell
