# SPDX-License-Identifier: MIT
"""Whether the kernel complained, or broke a rule that laziness has to keep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lazyobs.kernel.taint import TAINTS
from lazyobs.soak.columns import known
from lazyobs.soak.series import Series
from lazyobs.soak.verdict import FAIL, INCONCLUSIVE, PASS, Finding
from lazyobs.text import plural

_SHOWN = 80  # letters of a line of the kernel's log


def findings(series: Series) -> list[Finding]:
    """Splats, taint, violations of invariants, failed promotions."""
    return [_splats(series), _taint(series), *_violations(series), *_promotions(series)]


def _finding(series: Series, name: str, outcome: str, text: str, **numbers: object) -> Finding:
    return Finding("correctness", name, outcome, text, series.name, dict(numbers))


def _splats(series: Series) -> Finding:
    if series.splats:
        kinds = Counter(splat.kind for splat in series.splats)
        listed = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        first = series.splats[0].text[:_SHOWN]
        return _finding(series, "kernel log", FAIL, f"{listed}; first: {first}", **dict(kinds))
    why = (series.identity.get("not_recorded") or {}).get("kernel_log")
    if why:
        return _finding(series, "kernel log", INCONCLUSIVE, f"was not recorded: {why}")
    return _finding(series, "kernel log", PASS, "no warning, bug or stall")


def _taint(series: Series) -> Finding:
    masks = known(series.system, "kernel_tainted")
    begin = series.identity.get("tainted")
    if begin is None:
        begin = int(masks[0]) if len(masks) else None
    if begin is None or not len(masks):
        return _finding(series, "taint", "", "the kernel's taint flags are not in this recording")
    now = 0
    for mask in masks:
        now |= int(mask)
    new = [name for name, bit in TAINTS.items() if (now & ~begin) >> bit & 1]
    others = (now & ~begin) & ~sum(1 << bit for bit in TAINTS.values())
    before = [name for name, bit in TAINTS.items() if begin >> bit & 1]
    if new:
        return _finding(series, "taint", FAIL, f"the kernel became tainted: {', '.join(new)}", before=begin, after=now)
    if before:
        text = f"tainted before the recording began: {', '.join(before)}"
        return _finding(series, "taint", INCONCLUSIVE, text, before=begin, after=now)
    note = f"; other flags came (mask {others:#x}), which mean no fault" if others else ""
    return _finding(series, "taint", PASS, f"no flag of a fault{note}", before=begin, after=now)


def _violations(series: Series) -> Iterator[Finding]:
    counts = (series.last.get("totals") or {}).get("violations_by_invariant")
    reasons = series.last.get("null_reasons") or {}
    if not isinstance(counts, dict):
        why = reasons.get("totals.violations", "this recording has no such counters")
        yield _finding(series, "invariants", "", f"could not be checked: {why}")
        return
    for name, count in counts.items():
        if count is None:
            why = reasons.get(
                f"totals.violations_by_invariant.{name}", reasons.get("totals.violations", "not known here")
            )
            yield _finding(series, f"invariant {name}", "", f"could not be checked: {why}")
        elif count:
            yield _finding(series, f"invariant {name}", FAIL, f"violated {count} {plural(count, 'time')}", count=count)
        else:
            yield _finding(series, f"invariant {name}", PASS, "held", count=0)


def _promotions(series: Series) -> Iterator[Finding]:
    failed, made = known(series.samples, "promotions_failed"), known(series.samples, "promotions")
    if len(failed) and len(made):
        # Failing for want of memory is allowed; that it happened belongs in the report.
        text = f"{failed[-1]:.0f} of {made[-1] + failed[-1]:.0f} failed"
        yield _finding(series, "promotions", "", text, failed=failed[-1], made=made[-1])
