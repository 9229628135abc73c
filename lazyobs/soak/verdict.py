# SPDX-License-Identifier: MIT
"""A verdict as data: one word, the findings it rests on, and the tables beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

PASS, FAIL, INCONCLUSIVE = "PASS", "FAIL", "INCONCLUSIVE"
# Claims first, conditions after them: the order in which people are shown findings.
PARTS = ("correctness", "leak", "cost", "benefit", "validity", "overhead")
CONDITIONS = "validity"
IDENTITY = "identity"  # begins the title of the table of what differs between two arms, and the names of such findings
NOTE = "source"  # heading of a column of sentences
CLAIMED = ("leak", "cost", "correctness")  # what PASS claims, what a reader asks first first


@dataclass(frozen=True)
class Finding:
    """One question asked of the data. ``part`` is validity, correctness, leak, benefit, cost or overhead;
    ``outcome`` one of the three words, or "" for a number that judges nothing."""

    part: str
    name: str
    outcome: str
    text: str  # one line, with its numbers and units
    recording: str = ""  # which; "" where it is of all
    numbers: dict[str, Any] = field(default_factory=dict)  # the same for machines: estimate, low, high, p, ...


@dataclass(frozen=True)
class ResultTable:
    """Rows for people; the first column is a name."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass
class Verdict:
    """What ``report`` and ``compare`` answer."""

    word: str
    findings: list[Finding]
    tables: list[ResultTable] = field(default_factory=list)
    identity: dict[str, Any] = field(default_factory=dict)

    def reasons(self) -> list[Finding]:
        """The findings that made the word, claims first, together(): failures, else what stays open, else the claims that
        held: there are a dozen conditions of validity for each recording, which a reader of PASS takes for granted."""
        made = [finding for finding in self.in_order() if finding.outcome == self.word]
        if self.word == PASS:
            claims = [finding for finding in made if finding.part in CLAIMED]
            made = sorted(claims, key=lambda finding: CLAIMED.index(finding.part)) or made
        return together(made)

    def in_order(self) -> list[Finding]:
        """All findings, claims before the conditions they rest on."""
        return sorted(self.findings, key=lambda finding: PARTS.index(finding.part))

    def as_json(self) -> dict[str, Any]:
        """verdict.schema.json; what is not finite is null."""
        return {
            "word": self.word,
            "findings": [json_safe(vars(finding)) for finding in self.findings],
            "tables": [json_safe(vars(table)) for table in self.tables],
            "identity": json_safe(self.identity),
        }


def together(findings: list[Finding]) -> list[Finding]:
    """What is the same in several recordings once, with "and N more" for their names: texts that are equal, and conditions
    of validity, of which the first text stands for all."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for one in findings:
        said = one.outcome if one.part == CONDITIONS else one.text
        groups.setdefault((one.part, one.name, said, "" if one.recording else "all"), []).append(one)
    return [_merged(group) for group in groups.values()]


def in_one_line(findings: list[Finding]) -> list[Finding]:
    """For a list of reasons: findings that follow each other and say the same, as one with all their names."""
    found: list[Finding] = []
    names: list[str] = []
    for one in findings:
        last = found[-1] if found else None
        if last is not None and (last.part, last.outcome, last.text, last.recording) == (
            one.part,
            one.outcome,
            one.text,
            one.recording,
        ):
            names.append(one.name)
            found[-1] = replace(last, name=", ".join(names))
        else:
            found.append(one)
            names = [one.name]
    return found


def is_in_a_table(finding: Finding) -> bool:
    """What differs between two arms, as it may, has a table of its own (compare.py)."""
    return finding.part == CONDITIONS and not finding.outcome and finding.name.startswith(IDENTITY)


def _merged(group: list[Finding]) -> Finding:
    names = list(dict.fromkeys(one.recording for one in group))
    return group[0] if len(names) == 1 else replace(group[0], recording=f"{names[0]} and {len(names) - 1} more")


def json_safe(value: Any) -> Any:
    """For json.dumps: numpy's floats as Python's, None for what is not finite; keys are text, sequences lists."""
    if isinstance(value, dict):
        return {str(key): json_safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value
