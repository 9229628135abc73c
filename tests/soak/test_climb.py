# SPDX-License-Identifier: MIT
"""A recording whose probes came late is judged from then on, and a machine that was busy at boot is no broken one."""

from __future__ import annotations

import numpy as np

from lazyobs.model import COUNTER_NAMES
from lazyobs.soak.climb import since_probes
from lazyobs.soak.report import report
from lazyobs.soak.series import Mark, Series
from lazyobs.soak.thresholds import load
from lazyobs.soak.verdict import FAIL, INCONCLUSIVE, PASS, Finding
from tests.soak.simulate import series

RULES = load()
PROBES = {"slab": "tracepoint", "process": "tracepoint", "census": "iter"}


def climbed(minutes: float = 300, late: float = 600, leak: float = 0.0) -> Series:
    """Without probes for ``late`` seconds: no counters, and the census of /proc, which sees half of the VMAs."""
    found = series(1, minutes, leak=leak)
    times = found.samples["time"]
    before = times < times[0] + late
    for name in COUNTER_NAMES:
        found.samples[name][before] = np.nan
    for name in ("vmas", "vmas_anon"):
        found.samples[name][before] /= 2
    found.first["tiers"] = {**dict.fromkeys(PROBES), "census": "procfs"}
    found.last["tiers"] = PROBES
    found.marks.insert(0, Mark(float(times[0]) + late - 1, "tier", None, "probes attached 600 s after the start"))
    return found


def finding(recording: Series, name: str) -> Finding:
    return [one for one in report([recording], RULES).findings if one.name == name][-1]


def test_it_is_judged_from_then_on() -> None:
    recording = climbed()
    kept = finding(recording, "probes kept")
    assert kept.outcome == PASS and "after the recording began, which is judged from then on" in kept.text
    assert report([recording], RULES).word == PASS
    assert finding(climbed(leak=1.0), "anon_vma objects").outcome == FAIL


def test_what_is_left_has_to_be_long_enough() -> None:
    assert finding(climbed(40, 1800), "enough data").outcome == INCONCLUSIVE


def test_taint_and_splats_from_before_count() -> None:
    recording = climbed()
    recording.splats.append(Mark(float(recording.samples["time"][0]), "WARN", None, "WARNING: at mm/rmap.c:1"))
    assert finding(recording, "kernel log").outcome == FAIL
    recording.splats.clear()
    recording.system["kernel_tainted"] = np.zeros(len(recording.system["time"]))
    recording.system["kernel_tainted"][1] = 1 << 9
    recording.identity = {**recording.identity, "tainted": 0}
    assert finding(recording, "taint").outcome == FAIL


def test_a_probe_that_goes_or_changes_is_no_climb() -> None:
    for first, last in (
        (PROBES, {**PROBES, "slab": None}),
        (PROBES, {**PROBES, "slab": "fentry"}),
        (PROBES, {"census": "procfs"}),
    ):
        recording = climbed()
        recording.first["tiers"], recording.last["tiers"] = first, last
        assert since_probes(recording) is recording
        assert finding(recording, "probes kept").outcome == INCONCLUSIVE


def test_without_a_mark_nothing_is_left_out() -> None:
    recording = climbed()
    del recording.marks[0]
    assert since_probes(recording) is recording
