# SPDX-License-Identifier: MIT
"""The loaded BPF programs by name: which probe point one belongs to, and what it has cost."""

from __future__ import annotations

import re
from typing import NamedTuple

from lazyobs.bpf.points import POINTS

_FIXED = {fixed.program: point.name for point in POINTS for fixed in point.fixed}
# Compiled when they are needed: most commands load this module for its type alone.
_BODIES = [
    (rf"(fentry|fexit|kprobe|kretprobe)_{call.body}(_|$)", point.name) for point in POINTS for call in point.calls
]


class ProgramRuns(NamedTuple):
    """One BPF program of a probe point. ``nanoseconds`` and ``runs`` stay 0 while kernel.bpf_stats_enabled is 0;
    ``missed`` are the runs that the kernel skipped because the program was already running."""

    point: str
    program: str
    runs: int
    nanoseconds: int
    missed: int


def point_of(program: str) -> str:
    """The probe point of a program, by the name it was loaded under: program:target (bpf/wrappers.py). "" if none."""
    program = program.partition(":")[0]
    if program in _FIXED:
        return _FIXED[program]
    return next((point for pattern, point in _BODIES if re.match(pattern, program)), "")
