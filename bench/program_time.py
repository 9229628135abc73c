# SPDX-License-Identifier: MIT
"""Run times of BPF programs as the kernel counts them (kernel.bpf_stats_enabled), for programs that run together."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from lazyobs.bpf import abi
from lazyobs.bpf.maps import read_iterator
from lazyobs.bpf.points import POINTS, RAW_TRACEPOINT
from lazyobs.kernel.facts import read_btf

_SWITCH = Path("/proc/sys/kernel/bpf_stats_enabled")


@contextlib.contextmanager
def statistics_on() -> Iterator[None]:
    """Enables the statistics for the duration of the context, then restores the setting."""
    before = _SWITCH.read_text()
    _SWITCH.write_text("1")
    try:
        yield
    finally:
        _SWITCH.write_text(before)


@contextlib.contextmanager
def attach_raw(code: bytes, name: str, tracepoint: str) -> Iterator[int]:
    """fd of a program of these instructions, attached to a raw tracepoint."""
    program, why = abi.prog_load(abi.PROG_TYPE_RAW_TRACEPOINT, code, name, log_size=1 << 16)
    if program < 0:
        raise OSError(-program, f"{os.strerror(-program)} {why}")
    link = abi.raw_tracepoint_open(program, tracepoint)
    try:
        yield program
    finally:
        os.close(link)
        os.close(program)


@contextlib.contextmanager
def empty_program(tracepoint: str) -> Iterator[int]:
    """fd of an attached program that does nothing: the cost of the call and of its timing."""
    with attach_raw(abi.RETURN_0, "empty", tracepoint) as program:
        yield program


def _empty_tracing(function: str, attach_type: int) -> int:
    """fd of a program that does nothing, for that function of the kernel; not attached."""
    types, why = read_btf([function])
    prototype = types.function(function) if types is not None else None
    if prototype is None:
        raise RuntimeError(f"no {function} in BTF {why}")
    program, log = abi.prog_load(abi.PROG_TYPE_TRACING, abi.RETURN_0, "empty", attach_type, prototype.type_id)
    if program < 0:
        raise OSError(-program, f"{os.strerror(-program)} {log}")
    return program


@contextlib.contextmanager
def empty_function_programs(function: str) -> Iterator[None]:
    """Empty programs at the entry and the exit of a kernel function: what measuring its time costs any tool at least."""
    with contextlib.ExitStack() as attached:
        for kind in (abi.ATTACH_TRACE_FENTRY, abi.ATTACH_TRACE_FEXIT):
            program = _empty_tracing(function, kind)
            attached.callback(os.close, program)
            attached.callback(os.close, abi.raw_tracepoint_open(program))
        yield


@contextlib.contextmanager
def empty_iterator(iterator: str) -> Iterator[Callable[[], None]]:
    """A function that makes one pass of an iterator whose program does nothing: the least that any pass there costs."""
    with contextlib.ExitStack() as attached:
        program = _empty_tracing(f"bpf_iter_{iterator}", abi.ATTACH_TRACE_ITER)
        attached.callback(os.close, program)
        link = abi.iter_link(program)
        attached.callback(os.close, link)

        def once() -> None:
            read_iterator(link)

        yield once


@contextlib.contextmanager
def empty_programs() -> Iterator[None]:
    """An empty program on each tracepoint that lazyobs attaches to: the minimum cost of any tool there."""
    with contextlib.ExitStack() as attached:
        for point in POINTS:
            for fixed in point.fixed:
                if fixed.kind == RAW_TRACEPOINT:
                    attached.enter_context(empty_program(fixed.target))
        yield


def tracepoint_programs() -> list[int]:
    """Ids of the (raw) tracepoint programs in the kernel."""
    listing = subprocess.run(["bpftool", "-j", "prog", "show"], capture_output=True, check=True)
    return [one["id"] for one in json.loads(listing.stdout) if one["type"] in ("raw_tracepoint", "tracepoint")]


def of_program(number: int) -> tuple[int, int]:
    """(ns, runs) of the program with this id."""
    listing = subprocess.run(["bpftool", "-j", "prog", "show", "id", str(number)], capture_output=True, check=True)
    one = json.loads(listing.stdout)
    return one.get("run_time_ns", 0), one.get("run_cnt", 0)
