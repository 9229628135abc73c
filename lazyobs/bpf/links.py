# SPDX-License-Identifier: MIT
"""Attaching a loaded program: its link lives as long as the descriptor."""

from __future__ import annotations

import os

from lazyobs.bpf import abi


def attach(kind: str, prog_fd: int, target: str) -> int:
    """The link's fd; ``kind`` as in the rows of points.py. OSError if the kernel refuses it."""
    if kind == "raw_tracepoint":
        return abi.raw_tracepoint_open(prog_fd, target)
    if kind == "iterator":
        return abi.iter_link(prog_fd)
    if kind in ("fentry", "fexit"):
        return abi.raw_tracepoint_open(prog_fd)
    with open("/sys/bus/event_source/devices/kprobe/type", encoding="ascii") as file:
        pmu_type = int(file.read())
    event_fd = abi.perf_probe_open(pmu_type, target, kind == "kretprobe")
    try:
        abi.perf_attach(event_fd, prog_fd)
    except OSError:
        os.close(event_fd)
        raise
    return event_fd
