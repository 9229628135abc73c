# SPDX-License-Identifier: MIT
"""``lazyobs compare``: whether a new kernel is worse than a base, by boots of both.

A metric passes when it cannot be worse by the margin or more, fails when it is worse beyond chance and could be by the
margin, and is open otherwise: "no regression" is a claim that was tested, not the absence of a finding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lazyobs import text
from lazyobs.kernel.slab import CACHES
from lazyobs.soak import correctness, gate, hodges_lehmann, two_arms
from lazyobs.soak.benefit import kilobytes
from lazyobs.soak.calibrate import calibration
from lazyobs.soak.climb import since_probes
from lazyobs.soak.counts import BARRIER
from lazyobs.soak.groups import boots, differences, refuse_mixture, refuse_overlaps
from lazyobs.soak.holm import holm
from lazyobs.soak.metrics import BENEFIT, JUDGED, RATIO, SHARE, WORKLOAD, Metric, Missing, metrics
from lazyobs.soak.report import word
from lazyobs.soak.series import Series
from lazyobs.soak.thresholds import Thresholds
from lazyobs.soak.verdict import FAIL, INCONCLUSIVE, PASS, Finding, ResultTable, Verdict

_HEADINGS = ("metric", "base", "new", "change", "interval", "p", "could show", "outcome")

_BY = {BARRIER: "by barrier samples", "census": "by the census"}


@dataclass(frozen=True)
class Judgement:
    """Of one metric, on its own scale (logarithm of the ratio, difference of shares); more is worse.

    ``low`` and ``high`` at the confidence shown, ``most`` and ``least`` at that of the equivalence test.
    """

    metric: Metric
    shift: float
    low: float
    high: float
    least: float
    most: float
    p: float
    smallest: float
    margin: float
    outcome: str

    @property
    def equivalent(self) -> bool:
        """Neither worse nor better by the margin."""
        return self.least > -self.margin and self.most < self.margin


def compare(base: list[Series], new: list[Series], thresholds: Thresholds, calibrate: bool = False) -> Verdict:
    """UsageError where the recordings of an arm do not belong together, or two are of the same time."""
    refuse_mixture("base", base)
    refuse_mixture("new", new)
    refuse_overlaps([*base, *new])
    watched = [since_probes(series) for series in base], [since_probes(series) for series in new]
    arms = boots(watched[0]), boots(watched[1])
    found, invalid = _validity(*watched, thresholds)
    found += _correctness(base, new)
    found += _replication(arms[0], arms[1], thresholds)
    measured, missing = metrics(*arms, thresholds)
    judged = judge([metric for metric in measured if metric.part == JUDGED], thresholds)
    enough = not invalid and min(map(len, arms)) >= thresholds.compare["boots"]
    found += [_finding(one, thresholds, enough) for one in judged]
    found += _not_compared(missing)
    found += _order(measured)
    found += _workload(measured, thresholds)
    found += _benefit(measured, thresholds)
    if not judged:
        found.append(Finding("cost", "metrics", INCONCLUSIVE, "no metric is known of every boot of both arms"))
    if calibrate:
        found.append(
            calibration(
                [one.metric for one in judged if not one.metric.unknown],
                lambda dealt: {one.outcome for one in judge(dealt, thresholds)},
                thresholds.compare["alpha"],
            )
        )
    tables = [*_table(judged, found, thresholds), *_series_table(measured, thresholds), *_identity_table(base, new)]
    return Verdict(word(found), found, tables, {"base": _blocks(base), "new": _blocks(new)})


def judge(compared: list[Metric], thresholds: Thresholds) -> list[Judgement]:
    """All metrics together: their p-values are corrected for each other."""
    rules = thresholds.compare
    adjusted = two_arms.p_worse([metric.on_scale() for metric in compared], int(rules["resamples"]))
    undrifted = [_undrifted(metric) for metric in compared]
    by_line = holm([1.0 if one is None else one.p() for one in undrifted])
    adjusted = [p if one is None else max(p, line) for p, one, line in zip(adjusted, undrifted, by_line)]
    return [_judgement(metric, p, len(compared), thresholds) for metric, p in zip(compared, adjusted)]


def _judgement(metric: Metric, p: float, count: int, thresholds: Thresholds) -> Judgement:
    rules = thresholds.compare
    base, new = metric.on_scale()
    margin = math.log1p(rules["margin"]) if metric.scale == RATIO else rules["share_margin"]
    low, high = _interval(metric, 1 - rules["confidence"])
    least, most = _interval(metric, 2 * rules["alpha"])
    if most < margin:
        outcome = PASS
    elif p < rules["alpha"]:
        outcome = FAIL
    else:
        outcome = INCONCLUSIVE
    smallest = hodges_lehmann.least_effect(base, new, rules["alpha"], count)
    return Judgement(metric, hodges_lehmann.shift(base, new), low, high, least, most, p, smallest, margin, outcome)


def _interval(metric: Metric, alpha: float) -> tuple[float, float]:
    """As wide as that of the ranks, that of unequal variances and, of arms that ran one after the other, that beside a
    drift together."""
    base, new = metric.on_scale()
    ends = [hodges_lehmann.interval(base, new, alpha), two_arms.interval(base, new, alpha)]
    line = _undrifted(metric)
    if line is not None:
        ends.append(line.bounds(alpha))
    return min(low for low, _ in ends), max(high for _, high in ends)


def _undrifted(metric: Metric) -> two_arms.Undrifted | None:
    """None where the arms were interleaved, or their order is not known."""
    if not two_arms.apart(metric.base_times, metric.new_times):
        return None
    return two_arms.undrifted(*metric.on_scale(), metric.base_times, metric.new_times)


def _not_compared(missing: list[Missing]) -> list[Finding]:
    """What boots of one arm have and those of the other lack can hide a regression."""
    found = [
        Finding(one.part, one.name, INCONCLUSIVE, f"cannot be compared: {one.why}")
        for one in missing
        if one.known and one.part == JUDGED
    ]
    for why in dict.fromkeys(one.why for one in missing if not (one.known and one.part == JUDGED)):
        names = [one.name for one in missing if one.why == why and not (one.known and one.part == JUDGED)]
        found.append(Finding("cost", "not compared", "", f"{', '.join(names)}: {why}"))
    return found


def _order(measured: list[Metric]) -> list[Finding]:
    """Arms that ran one after the other differ by what changed meanwhile, too."""
    whole = next((metric for metric in measured if not metric.unknown), None)
    if whole is None or len({*whole.base_times.tolist(), *whole.new_times.tolist()}) < 2:
        return []
    if not two_arms.apart(whole.base_times, whole.new_times):
        return [Finding("validity", "order of boots", PASS, "the boots of the arms are interleaved")]
    first, second = ("base", "new") if whole.base_times.mean() < whole.new_times.mean() else ("new", "base")
    line = f"all boots of {second} ran after those of {first}; a steady drift in time is allowed for, interleaved boots show more"
    return [Finding("validity", "order of boots", "", line)]


def _validity(base: list[Series], new: list[Series], thresholds: Thresholds) -> tuple[list[Finding], bool]:
    found = []
    for series in [*base, *new]:
        found += gate.findings(series, thresholds, thresholds.gate["compare_seconds"], barriers=False)
    invalid = any(one.outcome != PASS for one in found)
    for difference in differences(base, new):
        outcome = "" if difference.expected else INCONCLUSIVE
        why = "" if difference.expected else "more than the kernel differs: "
        found.append(Finding("validity", f"identity {difference.key}", outcome, f"{why}base {difference.base}, new {difference.new}"))  # fmt: skip
    return found, invalid


def _correctness(base: list[Series], new: list[Series]) -> list[Finding]:
    found = [one for series in new for one in correctness.findings(series)]
    for series in base:
        for one in correctness.findings(series):
            if one.outcome == FAIL:  # the new kernel is not to blame, but nothing can be compared with a broken one
                found.append(Finding(one.part, f"base: {one.name}", INCONCLUSIVE, one.text, one.recording, one.numbers))
    return found


def _replication(base: dict[str, list[Series]], new: dict[str, list[Series]], thresholds: Thresholds) -> list[Finding]:
    need = int(thresholds.compare["boots"])
    have = {"base": len(base), "new": len(new)}
    enough = min(have.values()) >= need
    numbers = {**have, "needed": need}
    counts = f"{have['base']} of base, {have['new']} of new; {need} of each are needed: samples of one boot are no replicates"
    found = [Finding("validity", "boots", PASS if enough else INCONCLUSIVE, counts, "", numbers)]
    for arm in (base, new):
        for recordings in arm.values():
            if len(recordings) > 1:
                names = ", ".join(series.name for series in recordings)
                found.append(Finding("validity", "one boot", "", f"{names} are of one boot and count as one"))
    both = set(base) & set(new)
    if both:
        names = ", ".join(series.name for boot in both for series in (*base[boot], *new[boot]))
        found.append(Finding("validity", "shared boots", "", f"{names}: both arms have recordings of one boot"))
    return found


def _finding(one: Judgement, thresholds: Thresholds, valid: bool) -> Finding:
    metric, outcome = one.metric, one.outcome
    said = _claim(one)
    if outcome == PASS and metric.unknown:
        outcome, said = INCONCLUSIVE, f"{said}, but only {metric.unknown}"
    if not valid and outcome in (PASS, FAIL):
        outcome, said = INCONCLUSIVE, f"{said}, but the comparison is not valid"
    line = _few(metric, thresholds) if math.isinf(one.most) else f"{said}: {_change_line(one, thresholds)}"
    numbers = {
        "estimate": _as_shown(metric, one.shift), "low": min(_ends(metric, one.low, one.high)), "high": max(_ends(metric, one.low, one.high)),
        "p": one.p, "margin": _as_shown(metric, one.margin), "smallest": _as_shown(metric, one.smallest), "equivalent": one.equivalent,
        "base": metric.base.tolist(), "new": metric.new.tolist(), "scale": metric.scale, "unit": metric.unit,
    }  # fmt: skip
    return Finding("cost", metric.name, outcome, line, "", {key: finite(value) for key, value in numbers.items()})


def _few(metric: Metric, thresholds: Thresholds) -> str:
    need = int(thresholds.compare["boots"])
    return f"too few boots to tell: {len(metric.base)} of base and {len(metric.new)} of new, {need} of each are needed"


def _claim(one: Judgement) -> str:
    if one.outcome == PASS:
        return "no difference that matters" if one.equivalent else "not worse"
    return "a regression" if one.outcome == FAIL else "neither a regression nor its absence is shown"


def _change_line(one: Judgement, thresholds: Thresholds) -> str:
    """``2.1% better (95% interval 4.0% better to 0.3% worse, limit 5.0%); these boots could have shown 3.3%``."""
    metric = one.metric
    least = _amount(metric, one.smallest)
    able = f"; these boots could have shown {least}" if least else ""
    seen = _direction(metric, one.shift).replace("no change", "none seen")
    return (
        f"{seen} ({thresholds.compare['confidence']:.0%} interval "
        f"{_directions(metric, one.low, one.high)}, limit {_amount(metric, one.margin)}){able}"
    )


def _amount(metric: Metric, amount: float) -> str:
    """A difference on the metric's scale without its sign; "" where it is 0, as far as is shown, or has no bound."""
    shown = change(metric, amount) if math.isfinite(amount) else ""
    return shown.lstrip("+-").replace("pp", " points") if shown.strip("+-0.%p") else ""


def _direction(metric: Metric, amount: float) -> str:
    """``2.1% better``, ``0.45 points worse``, ``no change``."""
    shown = _amount(metric, amount)
    return f"{shown} {'worse' if amount > 0 else 'better'}" if shown else "no change"


def _directions(metric: Metric, low: float, high: float) -> str:
    """``4.0% better to 0.3% worse``, ``7.0% to 13.0% worse``."""
    ends = [_direction(metric, low), _direction(metric, high)]
    words = [end.rpartition(" ")[2] for end in ends]
    if words[0] == words[1] and "no change" not in ends:
        ends[0] = ends[0].removesuffix(f" {words[0]}").removesuffix(" points")
    return " to ".join(ends)


def finite(value: object) -> object:
    """JSON has no infinity: what is unbounded is null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _as_shown(metric: Metric, amount: float) -> float:
    """A ratio less one, or a difference of shares as people say it: less is worse."""
    if metric.scale == RATIO:
        return math.expm1(amount) if amount < 700 else math.inf
    return -amount if metric.scale == SHARE else amount


def _ends(metric: Metric, low: float, high: float) -> tuple[float, float]:
    return _as_shown(metric, low), _as_shown(metric, high)


def change(metric: Metric, amount: float) -> str:
    """A difference on the metric's scale, for people."""
    shown = round(_as_shown(metric, amount), 9) + 0.0  # no negative zero
    if not math.isfinite(shown):
        return text.NULL
    if metric.scale == RATIO:
        return text.percent(shown)
    if metric.scale == SHARE:
        return f"{round(100 * shown, 2) + 0.0:+.2f}pp"
    return ("+" if shown > 0 else "") + text.size(shown)


def _between(metric: Metric, low: float, high: float) -> str | None:
    if math.isinf(low) or math.isinf(high):
        return None
    first, second = (low, high) if metric.scale != SHARE else (high, low)
    return f"{change(metric, first)} to {change(metric, second)}"


def _workload(measured: list[Metric], thresholds: Thresholds) -> list[Finding]:
    margin = thresholds.compare["workload_margin"]
    found = []
    for metric in measured:
        if metric.part != WORKLOAD:
            continue
        ratio = math.expm1(hodges_lehmann.shift(*metric.on_scale()))
        outcome = PASS if abs(ratio) <= margin else INCONCLUSIVE
        note = "" if outcome == PASS else "the arms did not do the same work: "
        line = f"{note}base {np.median(metric.base):.4g}, new {np.median(metric.new):.4g} ({text.percent(ratio)}, limit {margin:.0%} either way)"
        found.append(Finding("validity", f"same {metric.name}", outcome, line, "", {"estimate": ratio}))
    return found


def _benefit(measured: list[Metric], thresholds: Thresholds) -> list[Finding]:
    found = []
    for metric in measured:
        if metric.part != BENEFIT:
            continue
        amount = hodges_lehmann.shift(metric.base, metric.new)
        low, high = hodges_lehmann.interval(metric.base, metric.new, 1 - thresholds.compare["confidence"])
        line = f"{_bytes(amount, low, high, thresholds.compare['confidence'])}, {_BY.get(metric.source, metric.source)}"
        numbers = {
            "estimate": amount,
            "low": finite(low),
            "high": finite(high),
            "unit": "bytes",
            "source": metric.source,
        }
        found.append(Finding("benefit", metric.name, "", line, "", numbers))
    return found


def _bytes(amount: float, low: float, high: float, confidence: float) -> str:
    """A difference of memory, new less base, and its interval, in one unit."""
    if not math.isfinite(low) or not math.isfinite(high):
        return f"{_less_or_more(amount, text.size(abs(amount)))} (no interval: too few boots)"
    shown, least, most = _signed(amount, low, high)
    return f"{_less_or_more(amount, shown.lstrip('+-'))} ({confidence:.0%} interval {least} to {most})"


def _less_or_more(amount: float, shown: str) -> str:
    unit = " bytes" if shown.isdecimal() else ""
    return f"{shown}{unit} {'less' if amount < 0 else 'more'}" if amount else "no change"


def _signed(*amounts: float) -> list[str]:
    return [("+" if amount > 0 else "") + shown for amount, shown in zip(amounts, text.sizes(*amounts))]


def _levels(metric: Metric) -> list[str]:
    """Medians of base and new, in one unit."""
    middles = float(np.median(metric.base)), float(np.median(metric.new))
    if metric.unit == "s":
        return [text.seconds(middle) for middle in middles]
    return [f"{middle:.2%}" for middle in middles] if metric.scale == SHARE else text.sizes(*middles)


def _table(judged: list[Judgement], found: list[Finding], thresholds: Thresholds) -> list[ResultTable]:
    outcomes = {finding.name: finding.outcome for finding in found if finding.part == JUDGED}
    rows = tuple(
        (
            one.metric.name, *_levels(one.metric),
            change(one.metric, one.shift), _between(one.metric, one.low, one.high), f"{one.p:.3f}",
            change(one.metric, one.smallest) if math.isfinite(one.smallest) else None, outcomes[one.metric.name],
        )
        for one in judged
    )  # fmt: skip
    return [ResultTable(_cost_title(thresholds), _HEADINGS, rows)] if rows else []


def _cost_title(thresholds: Thresholds) -> str:
    rules = thresholds.compare
    return (
        f"cost, medians over boots; less is better, of successes more; limit {rules['margin']:.0%} worse, "
        f"{100 * rules['share_margin']:g} points of successes"
    )


def _series_table(measured: list[Metric], thresholds: Thresholds) -> list[ResultTable]:
    """The table of the kernel series: live slab memory, before and after. Without levels, no table."""
    rows: list[tuple[object, ...]] = []
    known: set[str] = set()
    for metric in measured:
        cache = metric.name.removesuffix(" memory")
        if cache not in CACHES:
            continue
        known.add(cache)
        before, after = float(np.median(metric.base)), float(np.median(metric.new))
        amount = hodges_lehmann.shift(metric.base, metric.new)
        low, high = hodges_lehmann.interval(metric.base, metric.new, 1 - thresholds.compare["confidence"])
        share = text.percent((after - before) / before) if before > 0 else None
        between = None if math.isinf(low) else f"{kilobytes(low)} to {kilobytes(high)}"
        rows.append((cache, kilobytes(before), kilobytes(after), share, kilobytes(amount), between, "barrier samples"))
    if rows:
        why = "level not known: no slabinfo row of its own, or no barrier samples"
        rows += [(cache, None, None, None, None, None, why) for cache in CACHES if cache not in known]
    headings = ("cache", "before", "after", "change", "difference", "interval", "source")
    return [ResultTable("slab KB, medians over boots", headings, tuple(rows))] if rows else []


def _identity_table(base: list[Series], new: list[Series]) -> list[ResultTable]:
    rows = tuple((one.key, one.base, one.new, "yes" if one.expected else "NO") for one in differences(base, new))
    return [ResultTable("identity: what differs", ("key", "base", "new", "expected"), rows)] if rows else []


def _blocks(arm: list[Series]) -> dict[str, object]:
    return {series.name: dict(series.identity) for series in arm}
