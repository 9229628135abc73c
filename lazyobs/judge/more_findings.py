# SPDX-License-Identifier: MIT
"""What judgement.py says of that which not every folder has: the tests of mm/vma.c, the kernel's own selftests, a
program of the user's, waits for locks, and how well reclaim went. Of a folder without them nothing is said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lazyobs.judge import measure, vma_tests
from lazyobs.judge.asked import BASE, PLAIN
from lazyobs.soak import hodges_lehmann
from lazyobs.soak.thresholds import Thresholds
from lazyobs.soak.verdict import FAIL, INCONCLUSIVE, PASS, Finding, ResultTable
from lazyobs.text import percent

CONTENDED = "forks at the same time"
Boots = Mapping[str, Mapping[str, Any]]


def of_vma_tests(results: Mapping[str, Any] | None, arm: str) -> Iterator[Finding]:
    """Of the arm; a failure of the base's is no failure of the series, and neither is a build that does not succeed."""
    own, other = (results or {}).get(arm), (results or {}).get(BASE)
    if own is None:
        return
    name = f"{vma_tests.STEP}, {PLAIN}"
    if own["outcome"] == "none":
        yield Finding("correctness", name, "", f"{vma_tests.PLACE}: {own['why']}{_but_base(other)}", arm)
    elif own["outcome"] == "pass":
        yield Finding("correctness", name, PASS, f"{own['passed']} of {own['tests']} of {vma_tests.PLACE} passed", arm)
    elif other is not None and other["outcome"] == "fail":
        yield Finding("correctness", name, INCONCLUSIVE, f"{vma_tests.PLACE}: {own['why']} -- but the base fails it, too: {other['why']}", arm)  # fmt: skip
    else:
        yield Finding("correctness", name, FAIL, f"{vma_tests.PLACE}: {own['why']}", arm)


def _but_base(other: Mapping[str, Any] | None) -> str:
    return f" (the base's passes {other['passed']} of {other['tests']})" if other and other["outcome"] == "pass" else ""


def failed_vma_tests(results: Mapping[str, Any] | None, arm: str) -> bool:
    return any(one.outcome == FAIL for one in of_vma_tests(results, arm))


def of_guest(guest: Mapping[str, Any] | None, arm: str) -> Iterator[Finding]:
    """Why one of the kernel's own selftests was not run."""
    for note in ((guest or {}).get("own", {}).get(arm) or {}).get("notes", []):
        yield Finding("correctness", "the kernel's own selftests", "", note, arm)


def of_script(boots: Boots, arm: str) -> Iterator[Finding]:
    """The exit status of the user's program in the boots that are measured."""
    own, other = (_scripts(boots, which) for which in (arm, BASE))
    if not own:
        return
    bad = [one for one in own if one["status"]]
    if not bad:
        yield Finding("correctness", measure.GIVEN, PASS, f"ended with status 0 in {len(own)} boots", arm)
        return
    said = f"ended with status {bad[0]['status']} in {len(bad)} of {len(own)} boots: {bad[0]['last']}"
    if not other or any(one["status"] for one in other):
        yield Finding("correctness", measure.GIVEN, INCONCLUSIVE, f"{said} -- but on the base it does not succeed either", arm)  # fmt: skip
    else:
        yield Finding("correctness", measure.GIVEN, FAIL, said, arm)


def _scripts(boots: Boots, arm: str) -> list[Mapping[str, Any]]:
    return [one["script"] for one in boots.values() if one["arm"] == arm and one["kind"] == "measure" and one.get("script")]  # fmt: skip


def of_waits(boots: Boots, arm: str) -> Iterator[Finding]:
    """Boots with forks at the same time that died, and why no waits were counted."""
    own, other = (_of_kind(boots, which) for which in (arm, BASE))
    if broken := [one for one in own if one["why"]]:
        outcome = INCONCLUSIVE if any(one["why"] for one in other) else FAIL
        yield Finding("correctness", f"{CONTENDED}, {PLAIN}", outcome, broken[0]["why"], arm)
    elif own:
        yield Finding("correctness", f"{CONTENDED}, {PLAIN}", PASS, f"no complaint of the kernel in {len(own)} boots", arm)  # fmt: skip
    for which, rows in ((arm, own), (BASE, other)):
        unknown = [one["waits"]["why_not"] for one in rows if one["waits"]["forks"] is None and not one["why"]]
        if unknown:
            yield Finding("cost", "waits for locks", "", f"not known in {len(unknown)} of {len(rows)} boots of {which}: {unknown[0]}", arm)  # fmt: skip


def _of_kind(boots: Boots, arm: str) -> list[Mapping[str, Any]]:
    return [one for one in boots.values() if one["arm"] == arm and one["kind"] == "waits"]


def success_table(
    base: Sequence[measure.Values], new: Sequence[measure.Values], boots: Boots, arm: str, thresholds: Thresholds
) -> list[ResultTable]:
    """Numbers that judge nothing: they differ too much between two boots of one kernel."""
    waits = [_waits(boots, which) for which in (BASE, arm)]
    rows = []
    if any(_of_kind(boots, which) for which in (BASE, arm)):
        rows.append(_row("waits for the lock of a root anon_vma, per fork", [[w / f for f, w, _ in one] for one in waits], "{:.4f}", thresholds))  # fmt: skip
        rows.append(_row("nanoseconds that they took, per fork", [[t / f for f, _, t in one] for one in waits], "{:,.0f}", thresholds))  # fmt: skip
    shares = [[one.share[measure.RECLAIMED] for one in which if measure.RECLAIMED in one.share] for which in (base, new)]  # fmt: skip
    if any(shares):
        rows.append(_row("pages of three processes: reclaimed, of those looked at", shares, "{:.1%}", thresholds))
    title = f"waits on two CPUs, by the host's clock, {len(waits[0])} and {len(waits[1])} boots; success of reclaim; not judged"  # fmt: skip
    return [ResultTable(title, ("what", "base", "new", "change", "difference"), tuple(rows))] if rows else []


def _waits(boots: Boots, arm: str) -> list[tuple[int, int, int]]:
    """(forks, waits, nanoseconds waited) of each boot that knows them."""
    rows = [one["waits"] for one in _of_kind(boots, arm)]
    return [(row["forks"], row["waits"], row["waited_ns"]) for row in rows if row["forks"] is not None]


def _row(name: str, arms: Sequence[Sequence[float]], shown: str, thresholds: Thresholds) -> tuple[object, ...]:
    """Medians, and the interval of their difference; null where an arm has no number."""
    first, second = (np.array(one, dtype=float) for one in arms)
    medians = [float(np.median(one)) if len(one) else None for one in (first, second)]
    before, after = medians
    change = None if before is None or after is None or before <= 0 else percent((after - before) / before)
    between = None
    if len(first) and len(second):
        low, high = hodges_lehmann.interval(first, second, 1 - thresholds.compare["confidence"])
        if np.isfinite([low, high]).all():
            between = f"{shown.format(low)} to {shown.format(high)}"
    return (name, *(None if one is None else shown.format(one) for one in medians), change, between)
