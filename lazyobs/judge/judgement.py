# SPDX-License-Identifier: MIT
"""What is said of a folder's data: for each arm a word, findings, claims and tables. Nothing else goes in, so that the
same data give the same answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lazyobs.judge import checks, claims, inside, measure, more_findings, vma_tests
from lazyobs.judge.asked import BASE, FLAVOURS, PLAIN
from lazyobs.judge.series import Series
from lazyobs.judge.state import GUEST, Folder
from lazyobs.kernel.slab import CACHES
from lazyobs.soak import compare, hodges_lehmann
from lazyobs.soak.report import word
from lazyobs.soak.thresholds import Thresholds
from lazyobs.soak.verdict import FAIL, INCONCLUSIVE, PASS, Finding, ResultTable
from lazyobs.text import percent, plural, size

_NOISY = 0.5  # of the margin: two boots of one kernel must not differ by more


@dataclass
class Judged:
    """Of one arm. ``said``: the word in words, such as "no difference"; ``first``: the reason for it."""

    arm: str
    word: str
    said: str
    findings: list[Finding] = field(default_factory=list)
    claims: list[claims.Claim] = field(default_factory=list)
    tables: list[ResultTable] = field(default_factory=list)

    @property
    def reasons(self) -> list[Finding]:
        """What made the word: of FAIL in the order in which it was found, the gravest kind first."""
        return [one for one in self.findings if one.outcome == self.word]


def judge(folder: Folder, arm: str, series: Series, thresholds: Thresholds) -> Judged:
    boots = folder.boots()
    builds = folder.builds()
    base, new = _values(boots, BASE), _values(boots, arm)
    judgements = measure.judged(base, new, thresholds)
    flavours = tuple(folder.settings()["run"]["flavours"])
    found = [
        *_of_builds(builds, arm, flavours),
        *more_findings.of_vma_tests(folder.read(vma_tests.RESULTS), arm),
        *_of_checks(boots, arm, flavours),
        *_paths(boots, arm, folder.card(arm)),
    ]
    found += _of_measuring(boots, arm, builds)
    found += more_findings.of_script(boots, arm)
    found += more_findings.of_waits(boots, arm)
    found += more_findings.of_guest(folder.read(GUEST), arm)
    enough = min(len(base), len(new)) >= measure.looks()[0]
    found += [_cost(one, thresholds, enough) for one in judgements]
    found += list(_validity(base, new, judgements, thresholds))
    memory = _memory(base, new)
    answer = word(found)
    return Judged(
        arm, answer, _said(answer, found, judgements, memory), found,
        claims.claims(series.cover, claims.Evidence(series, folder.card(arm), memory)),
        [
            *_memory_table(base, new, thresholds),
            *_cost_table(judgements, found, thresholds),
            *more_findings.success_table(base, new, boots, arm, thresholds),
        ],
    )  # fmt: skip


def _values(boots: Mapping[str, Mapping[str, Any]], arm: str) -> list[measure.Values]:
    rows = [one for one in boots.values() if one["arm"] == arm and one["kind"] == "measure"]
    rows.sort(key=lambda one: int(one["number"]))
    return [found for one in rows if (found := measure.values(one)) is not None]


def _of_builds(builds: Mapping[str, Any], arm: str, flavours: Sequence[str]) -> Iterator[Finding]:
    for flavour in FLAVOURS:
        if flavour not in flavours:
            yield Finding(
                "validity", f"kernel, {flavour}", "", "was not asked for: what it would have found is not known", arm
            )
            continue
        made = builds.get(f"{arm}-{flavour}")
        if made is None:
            yield Finding("correctness", f"build, {flavour}", INCONCLUSIVE, "was not built", arm)
        elif made["why"]:
            yield Finding("correctness", f"build, {flavour}", FAIL, made["why"], arm)
    for name, made in builds.items():
        if name.startswith(f"{arm}.") and made["why"]:
            yield Finding("correctness", "each patch builds", FAIL, made["why"], arm)


def _of_checks(boots: Mapping[str, Mapping[str, Any]], arm: str, flavours: Sequence[str]) -> Iterator[Finding]:
    for flavour in flavours:
        own, other = boots.get(f"{arm}-{flavour}-checks"), boots.get(f"{BASE}-{flavour}-checks")
        if own is None:
            yield Finding("correctness", f"checks, {flavour}", INCONCLUSIVE, "were not run", arm)
            continue
        of_base = {row["step"]: row for row in other["results"]} if other else {}
        for row in own["results"]:
            yield _check(row, of_base.get(row["step"]), flavour, arm)


def _check(row: Mapping[str, Any], of_base: Mapping[str, Any] | None, flavour: str, arm: str) -> Finding:
    name = f"{row['step']}, {flavour}"
    part = "leak" if row["step"] == "leak" else "correctness"
    if row["outcome"] == inside.SKIP:
        return Finding(part, name, INCONCLUSIVE, f"skipped: {row['why']}", arm)
    if row["outcome"] == inside.PASS:
        return Finding(part, name, PASS, _passed(row), arm)
    if of_base is not None and not checks.is_new(row, of_base):
        return Finding(part, name, INCONCLUSIVE, f"{row['why']} -- but the base fails it, too: {of_base['why']}", arm)
    if of_base is not None and of_base["outcome"] == inside.FAIL and (new := checks.new_ones(row, of_base)):
        row = {**row, "why": f"the kernel's own selftest fails, and does not on the base: {', '.join(new[:4])}"}
    return Finding(part, name, FAIL, row["why"], arm)


def _passed(row: Mapping[str, Any]) -> str:
    try:
        return _counted(row["numbers"])
    except (KeyError, TypeError, ValueError):  # the guest runs an unknown kernel, and may say anything
        return "no complaint of the kernel; its numbers cannot be read"


def _counted(numbers: Mapping[str, Any]) -> str:
    counts = numbers.get("counts")
    if counts:
        return f"{counts['pass']} passed, {counts['skip']} skipped"
    if "failed_share" in numbers and numbers["failed_share"] is not None:
        return f"{numbers['failed_share']:.2%} of the moves failed"
    if "checked" in numbers:
        return f"{numbers['checked']:,} pages checked, none wrong"
    if "failed_allocations" in numbers:
        return f"{numbers['failed_allocations']:,} allocations failed, {numbers['refused']:,} operations were refused, no page was wrong"  # fmt: skip
    if "orphans" in numbers:
        return f"no object lost in two times {numbers['forks']:,} forks"
    return "no complaint of the kernel"


def _paths(boots: Mapping[str, Mapping[str, Any]], arm: str, card: Mapping[str, Any] | None) -> Iterator[Finding]:
    """Which of the new functions never ran."""
    done = boots.get(f"{arm}-{PLAIN}-checks")
    if not card or not done:
        return
    hits: dict[str, int] = {}
    for row in done["results"]:
        hits.update(row["hits"])
    new = [row["function"] for row in card["functions"]["new"]]
    if not new:
        return
    ran = [name for name in new if hits.get(name)]
    never = [name for name in new if hits.get(name) == 0]
    unseen = [name for name in new if name not in hits]
    said = f"{len(ran)} of {len(new)} new functions ran"
    said += f"; never: {', '.join(never[:12])}" if never else ""
    said += f"; cannot be watched: {', '.join(unseen[:12])}" if unseen else ""
    yield Finding("correctness", "new functions", "", said, arm, {"ran": len(ran), "new": len(new)})


def _of_measuring(boots: Mapping[str, Mapping[str, Any]], arm: str, builds: Mapping[str, Any]) -> Iterator[Finding]:
    """Boots of the workload that died."""
    for which in (arm, BASE):
        broken = [one for one in boots.values() if one["arm"] == which and one["kind"] == "measure" and one["why"]]
        if broken and which == arm:
            yield Finding("correctness", "workload", FAIL, broken[0]["why"], arm)
        elif broken:
            yield Finding("validity", "workload of the base", INCONCLUSIVE, broken[0]["why"], arm)
    if builds.get(f"{arm}-{PLAIN}", {}).get("why"):
        return
    if not any(one["arm"] == arm and one["kind"] == "measure" for one in boots.values()):
        yield Finding("cost", "workload", INCONCLUSIVE, "was not measured", arm)


def _cost(one: compare.Judgement, thresholds: Thresholds, enough: bool) -> Finding:
    metric, outcome = one.metric, one.outcome if enough else INCONCLUSIVE
    said = {PASS: "no difference of the margin" if one.equivalent else "not worse", FAIL: "worse, and that by the margin is not ruled out"}  # fmt: skip
    shown = said.get(outcome, "not decided" if enough else "too few boots to tell")
    line = f"{compare.change(metric, one.shift)}, margin {compare.change(metric, one.margin)}: {shown}"
    numbers = {
        "estimate": compare.change(metric, one.shift), "p": one.p, "equivalent": one.equivalent, "unit": metric.unit,
        "base": metric.base.tolist(), "new": metric.new.tolist(),
    }  # fmt: skip
    return Finding("cost", metric.name, outcome, line, "", numbers)


def _validity(
    base: Sequence[measure.Values],
    new: Sequence[measure.Values],
    judgements: Sequence[compare.Judgement],
    thresholds: Thresholds,
) -> Iterator[Finding]:
    need = measure.looks()[0]
    counts = f"{len(base)} of base, {len(new)} of the arm; {need} of each are needed"
    yield Finding("validity", "boots", PASS if min(len(base), len(new)) >= need else INCONCLUSIVE, counts)
    apart = measure.same_kernel(base)
    if not apart:
        yield Finding("validity", "A/A", INCONCLUSIVE, "two boots of the base are needed to compare it with itself")
        return
    name, most = max(apart.items(), key=lambda item: item[1])
    limit = thresholds.compare["margin"] * _NOISY
    noisy = [name for name, value in apart.items() if value > limit]
    line = f"{len(base)} boots of the base differ by at most {most:.2%} ({name})"
    if noisy:
        line += f"; by more than half the margin in {', '.join(noisy[:6])}"
    open_still = [one.metric.name for one in judgements if one.outcome not in (PASS, FAIL)]
    yield Finding("validity", "A/A", INCONCLUSIVE if noisy and open_still else PASS, line, "", {"apart": apart})


def _memory(base: Sequence[measure.Values], new: Sequence[measure.Values]) -> dict[str, tuple[float, float]] | None:
    if not base or not new:
        return None
    names = [name for name in base[0].memory if all(name in one.memory for one in (*base, *new))]
    return {name: (_mean(base, name), _mean(new, name)) for name in names}


def _mean(boots: Sequence[measure.Values], name: str) -> float:
    return float(np.mean([one.memory[name] for one in boots]))


def _said(
    answer: str,
    found: Sequence[Finding],
    judgements: Sequence[compare.Judgement],
    memory: Mapping[str, tuple[float, float]] | None,
) -> str:
    if answer == FAIL:
        first = next(one for one in found if one.outcome == FAIL)
        return f"{first.name}: {first.text}"
    saved = 0.0
    if memory:
        totals = [sum(memory.get(f"{held}.{cache}", (0.0, 0.0))[arm] for held in measure.HELD for cache in CACHES) for arm in (0, 1)]  # fmt: skip
        saved = (totals[1] - totals[0]) / totals[0] if totals[0] > 0 else 0.0
    better = [one for one in judgements if one.most < 0 and one.shift < -one.margin]
    if judgements and all(one.equivalent for one in judgements):
        kind = "no difference"
    elif better and all(one.outcome == PASS for one in judgements):
        kind = f"better in {len(better)} of {len(judgements)} numbers, worse in none"
    else:
        kind = "not worse" if answer == PASS else "not decided"
    return kind + (f"; slab memory of the workloads {percent(saved)}" if abs(saved) >= 0.001 else "")


def _memory_table(
    base: Sequence[measure.Values], new: Sequence[measure.Values], thresholds: Thresholds
) -> list[ResultTable]:
    if not base or not new:
        return []
    rows: list[tuple[object, ...]] = []
    for held, words in measure.HELD.items():
        for cache in CACHES:
            name = f"{held}.{cache}"
            arms = [np.array([one.memory[name] for one in arm if name in one.memory]) for arm in (base, new)]
            if not all(map(len, arms)):
                continue
            before, after = (float(np.median(arm)) for arm in arms)
            share = percent((after - before) / before) if before > 0 else None
            low, high = hodges_lehmann.interval(arms[0], arms[1], 1 - thresholds.compare["confidence"])
            between = None if not np.isfinite([low, high]).all() else f"{size(low)} to {size(high)}"
            rows.append((words, cache, size(before), size(after), share, between))
    headings = ("held", "cache", "base", "new", "change", "difference")
    return (
        [ResultTable(f"slab memory, medians of {len(base)} and {len(new)} boots", headings, tuple(rows))]
        if rows
        else []
    )


def _cost_table(
    judgements: Sequence[compare.Judgement], found: Sequence[Finding], thresholds: Thresholds
) -> list[ResultTable]:
    outcomes = {one.name: one.outcome for one in found if one.part == "cost"}
    rows = tuple(
        (
            one.metric.name, _level(one, 0), _level(one, 1), compare.change(one.metric, one.shift),
            outcomes[one.metric.name],
        )
        for one in judgements
        if not one.metric.name.startswith("memory: ")
    )  # fmt: skip
    title = f"cost: instructions of the guest, and shares that succeeded; margin {thresholds.compare['margin']:.0%}"
    return [ResultTable(title, ("operation", "base", "new", "change", "outcome"), rows)] if rows else []


def _level(one: compare.Judgement, arm: int) -> str:
    value = float(np.median((one.metric.base, one.metric.new)[arm]))
    return f"{value:.1%}" if one.metric.unit == "" else f"{value:,.0f}"


def counted(found: Sequence[Finding]) -> str:
    """ "12 checks passed, 1 failed, 2 open"."""
    words = [(PASS, "passed"), (FAIL, "failed"), (INCONCLUSIVE, "open")]
    counts = [(sum(one.outcome == outcome for one in found), said) for outcome, said in words]
    first = f"{counts[0][0]} {plural(counts[0][0], 'check')} {counts[0][1]}"
    return ", ".join([first, *(f"{count} {said}" for count, said in counts[1:] if count)])
