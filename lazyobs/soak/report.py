# SPDX-License-Identifier: MIT
"""``lazyobs report``: one word on one or more recordings, each judged by itself, and what it rests on."""

from __future__ import annotations

from lazyobs.kernel.slab import CACHES
from lazyobs.soak import benefit, correctness, cost, gate, leak, orphans
from lazyobs.soak.climb import since_probes
from lazyobs.soak.groups import refuse_overlaps
from lazyobs.soak.series import Series
from lazyobs.soak.thresholds import Thresholds
from lazyobs.soak.verdict import FAIL, INCONCLUSIVE, PASS, Finding, ResultTable, Verdict

_NEEDED_TO_COUNT = {"clock"}
_NO_TRUST = "not trusted, because the recording is not valid: "


def report(recordings: list[Series], thresholds: Thresholds) -> Verdict:
    """UsageError where two of them are of the same time of one boot."""
    refuse_overlaps(recordings)
    watched = [since_probes(series) for series in recordings]
    found: list[Finding] = []
    tables: list[ResultTable | None] = []
    failed: dict[str, dict[str, str]] = {}
    for whole, series in zip(recordings, watched):
        steady = not any(orphans.known(series, cache) for cache in CACHES)
        checks = gate.findings(series, thresholds, 60 * thresholds.gate["minutes"], steady=steady)
        failed[series.name] = {check.name: check.outcome for check in checks if check.outcome != PASS}
        found += checks
        found += correctness.findings(whole)
    found += [_trusted(one, failed[one.recording]) for one in leak.findings(watched, thresholds)]
    for series in watched:
        found += benefit.findings(series, thresholds)
        found += cost.findings(series)
        found += cost.overhead(series)
        tables += [benefit.table(series, thresholds), cost.table(series)]
    return Verdict(word(found), found, [table for table in tables if table], _identity(recordings))


def _trusted(finding: Finding, failed: dict[str, str]) -> Finding:
    """A leak test as far as the conditions that do not hold leave it; ``failed``: their outcomes, by name. Orphans are
    counted, not estimated: those that are there need no length and no steady load, and only that there are none needs
    the whole recording. Nor do VMAs need it, each of which is one object."""
    names = set(failed)
    if finding.numbers.get("source") == orphans.SOURCE:
        names = names & _NEEDED_TO_COUNT if finding.outcome == FAIL else names - {gate.WORKLOAD}
    elif finding.name.startswith("vm_area_struct") and not failed.get(gate.WORKLOAD, INCONCLUSIVE):
        names.remove(gate.WORKLOAD)
    return distrust(finding) if names else finding


def distrust(finding: Finding) -> Finding:
    """What statistics say of data that is not valid is no verdict."""
    if finding.outcome not in (PASS, FAIL):
        return finding
    return Finding(
        finding.part, finding.name, INCONCLUSIVE, _NO_TRUST + finding.text, finding.recording, finding.numbers
    )


def word(found: list[Finding]) -> str:
    """FAIL where anything failed, else INCONCLUSIVE where anything is open. A broken kernel needs no valid statistics."""
    outcomes = {finding.outcome for finding in found}
    return FAIL if FAIL in outcomes else INCONCLUSIVE if INCONCLUSIVE in outcomes else PASS


def _identity(recordings: list[Series]) -> dict[str, object]:
    return {series.name: dict(series.identity) for series in recordings}
