# SPDX-License-Identifier: MIT
"""The outcome of one scenario, as KTAP and as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TextIO

from lazyobs.selftest.judge import Check
from lazyobs.selftest.pattern import WrongPage
from lazyobs.text import printable
from lazyobs.views.lines import json_line

EXIT_SKIPPED = 4  # tools/testing/selftests/kselftest.h: KSFT_SKIP
_MOST_PAGES, _MOST_LINES = 8, 60


@dataclass
class Result:
    """``reason``: why the scenario was skipped, or why it failed."""

    name: str
    outcome: str = "pass"  # pass, fail, skip
    reason: str = ""
    seconds: float = 0.0
    pages: int = 0  # compared
    checks: list[Check] = field(default_factory=list)
    wrong: list[WrongPage] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    kernel_log: list[str] = field(default_factory=list)
    last_step: str = "start"  # the last completed step

    def fail(self, reason: str) -> None:
        self.outcome = "fail"
        self.reason = f"{self.reason}; {reason}" if self.reason else reason

    def skip(self, reason: str) -> None:
        self.outcome, self.reason = "skip", reason

    @property
    def has_checked(self) -> bool:
        """Whether the scenario compared any page or any known number."""
        return self.pages > 0 or any(check.is_known for check in self.checks)

    def failed_checks(self) -> list[Check]:
        return [check for check in self.checks if not check.ok]

    def as_json(self) -> dict[str, Any]:
        return {
            "scenario": self.name,
            "outcome": self.outcome,
            "reason": self.reason or None,
            "seconds": round(self.seconds, 3),
            "pages_checked": self.pages,
            "wrong_pages": [page.as_json() for page in self.wrong],
            "checks": [
                {
                    "step": c.step,
                    "what": c.what,
                    "expected": c.expected,
                    "found": c.found,
                    "others": c.others,
                    "ok": c.ok,
                }
                for c in self.checks
            ],
            "notes": self.notes,
            "kernel_log": self.kernel_log,
        }


def exit_code(results: list[Result]) -> int:
    """As kselftest: 1 if any scenario failed, 4 if all were skipped, else 0."""
    if any(result.outcome == "fail" for result in results):
        return 1
    return EXIT_SKIPPED if all(result.outcome == "skip" for result in results) else 0


class Ktap:
    """KTAP version 1 (Documentation/dev-tools/ktap.rst). Each line is written at once."""

    def __init__(self, out: TextIO, verbose: bool) -> None:
        self._out, self._verbose = out, verbose
        self._counts = {"pass": 0, "fail": 0, "skip": 0}
        self._begun = False

    def begin(self, count: int, heading: list[str]) -> None:
        """Writes the plan and the heading."""
        self._begun = True
        self._put("KTAP version 1")
        self._put(f"1..{count}")
        self._say(heading)

    def result(self, result: Result) -> None:
        """Writes the diagnostics, then the result line they belong to."""
        self._counts[result.outcome] += 1
        number = sum(self._counts.values())
        if result.outcome == "skip":
            self._put(f"ok {number} {result.name} # SKIP {_one_line(result.reason)}")
            return
        if result.outcome == "fail":
            self._say(_why(result))
        elif self._verbose:
            self._say([f"{result.name}: {line}" for line in _seen(result)])
        self._put(f"{'ok' if result.outcome == 'pass' else 'not ok'} {number} {result.name}")

    def end(self, remarks: list[str]) -> None:
        self._say(remarks)
        counts = self._counts
        self._say(
            [f"Totals: pass:{counts['pass']} fail:{counts['fail']} xfail:0 xpass:0 skip:{counts['skip']} error:0"]
        )

    def bail_out(self, reason: str) -> None:
        """Writes "Bail out!" if the report has begun."""
        if self._begun:
            self._put(f"Bail out! {_one_line(reason)}")

    def _say(self, lines: list[str]) -> None:
        for line in lines:
            self._put(f"# {_one_line(line)}")

    def _put(self, line: str) -> None:
        self._out.write(line + "\n")
        self._out.flush()


class JsonLines:
    """The same results as JSON lines: one object per scenario, then a summary."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._counts = {"pass": 0, "fail": 0, "skip": 0}

    def begin(self, count: int, heading: list[str]) -> None:
        """Writes nothing: JSON lines have no plan and no heading."""

    def result(self, result: Result) -> None:
        self._counts[result.outcome] += 1
        self._put(result.as_json())

    def end(self, remarks: list[str]) -> None:
        self._put({"summary": self._counts, "remarks": remarks})

    def bail_out(self, reason: str) -> None:
        self._put({"bail_out": reason})

    def _put(self, document: dict[str, Any]) -> None:
        self._out.write(json_line(document) + "\n")
        self._out.flush()


def _one_line(text: str) -> str:
    # On a result line, "#" starts a directive.
    return " ".join(printable(text.replace("\t", " ").replace("\n", " ")).replace("#", "no.").split())


def _why(result: Result) -> list[str]:
    lines = [f"{result.name}: {result.reason}"] if result.reason else []
    for page in result.wrong[:_MOST_PAGES]:
        lines.append(
            f"{result.name}: {page.where}: page {page.page:#x} offset {page.offset:#x} "
            f"expected {page.expected} found {page.found}"
        )
    if len(result.wrong) > _MOST_PAGES:
        lines.append(f"{result.name}: and {len(result.wrong) - _MOST_PAGES} more wrong pages")
    lines += [f"{result.name}: {check}" for check in result.failed_checks()[:_MOST_LINES]]
    lines += [f"{result.name}: events: {line}" for line in _seen(result)]
    lines += [f"{result.name}: {note}" for note in result.notes]
    lines += [f"{result.name}: kernel log: {line}" for line in result.kernel_log[-_MOST_LINES:]]
    return lines


def _seen(result: Result) -> list[str]:
    """Counted events, one line per step, without zeros."""
    steps: dict[str, list[str]] = {}
    unknown: set[str] = set()
    for check in result.checks:
        counts = steps.setdefault(check.step, [])
        if check.found is None:
            unknown.add(check.what)
        elif check.found or check.expected:
            counts.append(f"{check.what}={check.found}")
    lines = [f"{step}: {' '.join(counts) or 'none'}" for step, counts in steps.items()]
    if unknown:
        lines.append(f"not known at this tier: {' '.join(sorted(unknown))}")
    return lines
