# SPDX-License-Identifier: MIT
"""The page of probe points: tier, runs, cost, misses; then problems, invariants, and what is unknown here and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lazyobs import text
from lazyobs.bpf.points import POINTS
from lazyobs.bpf.programs import ProgramRuns
from lazyobs.model import INVARIANTS
from lazyobs.screen import summary
from lazyobs.screen.pages.events import latest_events
from lazyobs.screen.pages.page import Page

_MOST_VIOLATIONS = 12
_ABOUT = {point.name: point.about for point in POINTS}


def draw(page: Page) -> None:
    counted = any(program.runs for program in page.screen_state.extras.programs or ())
    runs = [("RUNS", 10), ("NS/RUN", 7)] if counted else []
    page.heading([("PROBE POINT", -14), ("TIER", -11), *runs, ("MISSED", 7), ("", -1)])
    for point, tier in page.screen_state.sample.tiers.items():
        _point_row(page, point, tier, counted)
    page.blank()
    _all_programs(page)
    page.blank()
    _problems(page)
    page.blank()
    _invariants(page)
    page.blank()
    _unknown(page)


class _Runs(NamedTuple):
    """Sums over the programs of a probe point; None where the kernel does not count them."""

    runs: int | None = None
    nanoseconds: int | None = None
    missed: int | None = None


def _runs(programs: Sequence[ProgramRuns]) -> _Runs:
    if not programs:
        return _Runs()
    runs = sum(program.runs for program in programs)
    missed = sum(program.missed for program in programs)
    return _Runs(runs, sum(program.nanoseconds for program in programs), missed) if runs else _Runs(missed=missed)


def _point_row(page: Page, point: str, tier: str | None, counted: bool) -> None:
    """``counted``: the kernel counts the runs of programs."""
    palette = page.palette
    programs = page.screen_state.extras.programs or []
    runs, nanoseconds, missed = _runs([program for program in programs if program.point == point])
    ns_per_run = round(nanoseconds / runs) if runs and nanoseconds is not None else None
    page.row(
        [
            (text.printable(point), -14, palette.strong if tier else palette.dim),
            (text.printable(tier or "none"), -11, palette.good if tier else palette.dim),
            *(((text.number(runs), 10, palette.text), (text.number(ns_per_run), 7, palette.text)) if counted else ()),
            (text.number(missed), 7, palette.text),
            (_ABOUT.get(point, ""), -max(0, page.width - (55 if counted else 36)), palette.dim),
        ]
    )


def _all_programs(page: Page) -> None:
    health, extras = page.screen_state.sample.health, page.screen_state.extras
    page.paragraph(f"{'bpf runs':12} {text.number(health.get('bpf_runs'))} (all programs)")
    page.paragraph(f"{'bpf seconds':12} {text.seconds(health.get('bpf_seconds'))} (all programs)")
    if extras.programs is None and "programs" in extras.why_not:
        page.paragraph(f"- programs: {extras.why_not['programs']}", page.palette.dim)
    elif extras.programs and not any(program.runs for program in extras.programs):
        page.paragraph("- runs and their cost: kernel.bpf_stats_enabled is 0 (sysctl kernel.bpf_stats_enabled=1 counts them)", page.palette.dim)  # fmt: skip


def _problems(page: Page) -> None:
    problems = summary.problems(page.screen_state.sample)
    page.paragraph("Problems: " + ("; ".join(problems) or "none seen"), page.palette.bad if problems else None)


def _invariants(page: Page) -> None:
    """How often each invariant was broken, and the latest violations."""
    palette = page.palette
    counts = page.screen_state.sample.totals.get("violations_by_invariant") or {}
    page.heading([("INVARIANT", -16), ("BROKEN", 8)])
    for invariant in INVARIANTS:
        count = counts.get(invariant)
        page.row(
            [
                (invariant, -16, palette.strong if count else palette.dim),
                (text.number(count), 8, palette.bad if count else palette.dim),
            ]
        )
    if any(event.kind == "violation" for event in page.screen_state.trace_events):
        latest_events(page, "Violations, latest first", lambda event: event.kind == "violation", _MOST_VIOLATIONS)


def _unknown(page: Page) -> None:
    reasons = page.screen_state.sample.null_reasons
    page.paragraph("Unknown here, and why:", page.palette.strong)
    for name, reason in reasons.items():
        page.paragraph(f"  {text.printable(name):34} {text.printable(reason)}")
    if not reasons:
        page.paragraph("  nothing", page.palette.dim)
