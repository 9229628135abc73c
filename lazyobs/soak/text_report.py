# SPDX-License-Identifier: MIT
"""``--text``: a verdict for a mailing list: 72 columns of ASCII, the word first.

Names and lines of the kernel's log are printed as text; what is no ASCII becomes "?", because how wide it is
depends on the reader's screen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lazyobs.soak.cause import NAME as WHO
from lazyobs.soak.letter_lines import COLUMNS, in_ascii, set_rows, wrapped
from lazyobs.soak.verdict import (
    FAIL,
    IDENTITY,
    INCONCLUSIVE,
    NOTE,
    PARTS,
    PASS,
    Finding,
    ResultTable,
    Verdict,
    in_one_line,
    is_in_a_table,
    together,
)
from lazyobs.text import NULL

MOST_LISTED = 20  # findings of a paragraph
MOST_VALUES = 3  # of one key of an identity; more are counted
_OPEN = "open"  # INCONCLUSIVE in a table, where there is no room for it
_LEAST_WIDTH = 6  # that a column of words is squeezed to
_IDENTITY = (
    "release", "version", "build_id", "profile", "lazy_enabled", "machine", "cpu", "cpus", "memory_bytes", "swap",
    "thp", "ksm", "tiers", "cmdline", "cmdline_sha256", "lazyobs", "bcc",
)  # fmt: skip
_ELSEWHERE = ("p", "could show", NOTE)
_METHODS = {
    "leak": "Leaks: objects that no VMA holds, where these were counted; otherwise live objects beyond what the workload "
    "explains. FAIL: a rise that goes on to the end at a steady rate. PASS: no loss that matters is possible, whenever it "
    "began. Intervals allow for autocorrelation, p-values for the number of tests.",
    "comparison": "Comparison: one value a boot, because samples of one boot are no replicates. The change is the median of "
    "all differences between boots of the two arms (Hodges-Lehmann). PASS means that a change of the margin was ruled "
    "out, not that none was found; p-values allow for the number of metrics.",
}


def text(verdict: Verdict) -> str:
    """The letter, without the last newline; no line is longer than COLUMNS."""
    return "\n".join(_lines(verdict))


def _lines(verdict: Verdict) -> Iterator[str]:
    arms = verdict.identity if set(verdict.identity) == {"base", "new"} else {}
    yield f"lazyobs {'compare' if arms else 'report'}: {verdict.word}"
    yield ""
    for arm, block in (arms or {"": verdict.identity}).items():
        releases = ", ".join(sorted({str(identity.get("release")) for identity in block.values()}))
        count = f"{len(block)} recording{'' if len(block) == 1 else 's'}"
        yield from _wrapped(f"{arm + ': ' if arm else ''}{releases}, {count}", "  ")
    single = not arms and len(verdict.identity) == 1
    reasons = verdict.reasons()
    whos = [one for one in verdict.findings if one.name == WHO and one not in reasons]
    yield from _listed("Why:", reasons, single)
    yield from _listed("Who:", whos, single)
    if verdict.word == FAIL:
        yield from _listed(
            "Open besides:", together([one for one in verdict.in_order() if one.outcome == INCONCLUSIVE]), single
        )
    for table in verdict.tables:
        if not table.title.startswith(IDENTITY):  # it ends the letter
            yield ""
            yield from _wrapped(f"{table.title}:")
            yield from _table(_narrowed(table))
            yield from _notes(table)
    measured = [one for one in verdict.findings if not one.outcome and one not in whos and not is_in_a_table(one)]
    yield from _listed("Measured, not judged:", together(measured), single)
    yield from _counted(verdict)
    yield ""
    there = {finding.part for finding in verdict.findings} | ({"comparison"} if arms else set())
    for part in (part for part in _METHODS if part in there):
        yield from _wrapped(_METHODS[part])
    yield from _identities({arm: list(block.values()) for arm, block in (arms or {"": verdict.identity}).items()})


def _wrapped(line: str, first: str = "", rest: str | None = None) -> list[str]:
    return wrapped(_plain(line), first, rest)


def _plain(value: object) -> str:
    return in_ascii(" ".join(str(value).split()))


def _listed(heading: str, findings: list[Finding], single: bool) -> Iterator[str]:
    """``single``: there is one recording, which need not be named each time."""
    if not findings:
        return
    yield ""
    yield heading
    findings = in_one_line(findings)
    for finding in findings[:MOST_LISTED]:
        where = f"{finding.recording}, " if finding.recording and not single else ""
        yield from _wrapped(f"{where}{finding.name}: {finding.text}", "* ", "  ")
    if len(findings) > MOST_LISTED:
        yield f"* and {len(findings) - MOST_LISTED} more"


def _counted(verdict: Verdict) -> Iterator[str]:
    counts = {part: sum(one.outcome == PASS and one.part == part for one in verdict.findings) for part in PARTS}
    if passed := [f"{count} of {part}" for part, count in counts.items() if count]:
        yield ""
        yield from _wrapped(f"Checks passed: {', '.join(passed)}.")


def _narrowed(table: ResultTable) -> ResultTable:
    """Without what a letter has no room for: columns that are empty, that -o json has, or that become notes."""
    kept = [
        place
        for place, heading in enumerate(table.headings)
        if not place or (heading not in _ELSEWHERE and any(row[place] is not None for row in table.rows))
    ]
    return ResultTable(
        table.title,
        tuple(table.headings[place] for place in kept),
        tuple(tuple(row[place] for place in kept) for row in table.rows),
    )


def _notes(table: ResultTable) -> Iterator[str]:
    """``anon_vma, vm_area_struct: barrier samples``: what a column of sentences says of which rows."""
    if NOTE not in table.headings:
        return
    place = table.headings.index(NOTE)
    said: dict[str, list[str]] = {}
    for row in table.rows:
        if row[place] is not None:
            said.setdefault(str(row[place]), []).append(str(row[0]))
    for note, names in said.items():
        yield from _wrapped(f"{', '.join(names)}: {note}", "  ", "    ")


def _table(table: ResultTable) -> list[str]:
    """Words are wrapped in their columns until it fits; where it does not, a row becomes a paragraph."""
    cells = [[_cell(value) for value in row] for row in table.rows]
    rows = [[_plain(heading) for heading in table.headings], *cells]
    for gap, breaking in ((2, False), (1, False), (1, True)):
        if widths := _widths(rows, gap, breaking):
            return _set(rows, widths, gap)
    paragraphs = [", ".join(f"{name} {value}" for name, value in zip(rows[0][1:], row[1:])) for row in cells]
    return [line for row, rest in zip(cells, paragraphs) for line in _wrapped(f"{row[0]}: {rest}", "* ", "  ")]


def _cell(value: object) -> str:
    if value is None:
        return NULL
    return _OPEN if value == INCONCLUSIVE else _plain(value)


def _widths(rows: list[list[str]], gap: int, breaking: bool) -> list[int]:
    """Of the columns; [] where the table does not fit. ``breaking``: long words may be cut."""
    columns = [list(column) for column in zip(*rows)]
    widths = [max(1, *map(len, column)) for column in columns]
    least = [max((len(word) for cell in column for word in cell.split()), default=1) for column in columns]
    if breaking:
        least = [
            min(width, _LEAST_WIDTH) if not _numeric(column[1:]) else width for width, column in zip(least, columns)
        ]
    room = COLUMNS - gap * (len(widths) - 1)
    while sum(widths) > room:
        wide = [place for place in range(len(widths)) if widths[place] > least[place]]
        if not wide:
            return []
        widths[max(wide, key=lambda place: widths[place])] -= 1
    return widths


def _numeric(column: list[str]) -> bool:
    return all(cell == NULL or re.fullmatch(r"[-+]?[\d.]+\w{0,2}%?", cell) for cell in column)


def _set(rows: list[list[str]], widths: list[int], gap: int) -> list[str]:
    return set_rows(rows, widths, [_numeric([row[place] for row in rows[1:]]) for place in range(len(widths))], gap)


def _identities(arms: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    """What the recordings are of; of two arms what they have in common once, and then each arm by itself."""
    blocks = {arm: _identity(identities) for arm, identities in arms.items()}
    both: list[tuple[str, str]] = []
    if len(blocks) > 1:
        first, second = blocks.values()
        both = [line for line in first if line in second]
    for title, lines in ((f"Identity of {arm}" if arm else "Identity", block) for arm, block in blocks.items()):
        yield from _block(title, [line for line in lines if line not in both])
    yield from _block("Identity of both", both)


def _block(title: str, lines: list[tuple[str, str]]) -> Iterator[str]:
    if lines:
        yield ""
        yield f"{title}:"
        for key, value in lines:
            yield from _wrapped(f"{key.replace('_', ' ')}: {value}", "  ", "    ")


def _identity(identities: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """(key, what the recordings have in common, or in what they differ); more than a few values are only counted."""
    found = []
    for key in _IDENTITY:
        values = list(dict.fromkeys(_shown(identity.get(key)) for identity in identities))
        if any(identity.get(key) is not None for identity in identities):
            found.append((key, " / ".join(values) if len(values) <= MOST_VALUES else f"{len(values)} different"))
    return found


def _shown(value: object) -> str:
    """Groups of settings as people write them."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(inside)}" for key, inside in value.items())
    if isinstance(value, list):
        return ", ".join(map(_shown, value)) or "none"
    if value is None or isinstance(value, bool):
        return {True: "yes", False: "no", None: "none"}[value]
    return str(value)
