# SPDX-License-Identifier: MIT
"""``lazyobs report``: one word on one or more recordings, each judged by itself, and what it rests on."""

from __future__ import annotations

from lazyobs.soak import benefit, correctness, cost, gate, leak
from lazyobs.soak.groups import refuse_overlaps
from lazyobs.soak.series import Series
from lazyobs.soak.thresholds import Thresholds
from lazyobs.soak.verdict import FAIL, INCONCLUSIVE, PASS, Finding, ResultTable, Verdict

_NO_TRUST = "; not trusted, because the recording is not valid"


def report(recordings: list[Series], thresholds: Thresholds) -> Verdict:
    """UsageError where two of them are of the same time of one boot."""
    refuse_overlaps(recordings)
    found: list[Finding] = []
    tables: list[ResultTable | None] = []
    invalid = set()
    for series in recordings:
        checks = gate.findings(series, thresholds, 60 * thresholds.gate["minutes"])
        if any(check.outcome != PASS for check in checks):
            invalid.add(series.name)
        found += checks
        found += correctness.findings(series)
    found += [distrust(one) if one.recording in invalid else one for one in leak.findings(recordings, thresholds)]
    for series in recordings:
        found += benefit.findings(series, thresholds)
        found += cost.findings(series)
        found += cost.overhead(series)
        tables += [benefit.table(series, thresholds), cost.table(series)]
    return Verdict(word(found), found, [table for table in tables if table], _identity(recordings))


def distrust(finding: Finding) -> Finding:
    """What statistics say of data that is not valid is no verdict."""
    if finding.outcome not in (PASS, FAIL):
        return finding
    return Finding(
        finding.part, finding.name, INCONCLUSIVE, finding.text + _NO_TRUST, finding.recording, finding.numbers
    )


def word(found: list[Finding]) -> str:
    """FAIL where anything failed, else INCONCLUSIVE where anything is open. A broken kernel needs no valid statistics."""
    outcomes = {finding.outcome for finding in found}
    return FAIL if FAIL in outcomes else INCONCLUSIVE if INCONCLUSIVE in outcomes else PASS


def _identity(recordings: list[Series]) -> dict[str, object]:
    return {series.name: dict(series.identity) for series in recordings}
