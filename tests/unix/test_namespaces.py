# SPDX-License-Identifier: MIT
"""Which namespaces this process is in, and how a time namespace shifts its clocks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lazyobs.unix import namespaces
from tests.confined import NAMED, need
from tests.harness import ROOT, skip

KINDS = sorted(namespaces.INITIAL)


def inside(room: Path, place: str, program: str) -> str:
    """What the program prints there; it has lazyobs.unix.namespaces as ``namespaces``."""
    need(NAMED[place], room)
    text = f"from lazyobs.unix import clock, namespaces; {program}"
    return subprocess.run(
        [*NAMED[place].prefix, sys.executable, "-c", text], capture_output=True, text=True, cwd=ROOT, check=True
    ).stdout.strip()


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_kernel_calls_initial_is(kind: str) -> None:
    """Process 2, kthreadd, is in the initial ones; a container does not show it."""
    try:
        first = os.stat(f"/proc/2/ns/{kind}").st_ino
    except OSError:
        skip("host", "kthreadd cannot be seen from here, so the tests run in a container")
    assert namespaces.is_initial(kind) == (os.stat(f"/proc/self/ns/{kind}").st_ino == first)


@pytest.mark.parametrize(
    ("place", "other"),
    [
        ("pid namespace", "pid"),
        ("time namespace", "time"),
        ("cgroup namespace", "cgroup"),
        ("user namespace of one user", "user"),
    ],
)
def test_another_is_not_initial(tmp_path: Path, place: str, other: str) -> None:
    found = inside(tmp_path, place, f"print(*(kind for kind in {KINDS} if not namespaces.is_initial(kind)))")
    assert found.split() == [other]


def test_a_kernel_without_namespaces_has_the_initial_ones(tmp_path: Path) -> None:
    assert all(namespaces.is_initial(kind, str(tmp_path)) for kind in KINDS)


def test_no_shift_in_the_initial_time_namespace(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/timens_offsets").write_text("monotonic 5 0\nboottime 7 0\n")  # those of children to come
    assert namespaces.boottime_shift(str(tmp_path)) == 0


def test_the_clock_is_the_kernels_in_a_time_namespace(tmp_path: Path) -> None:
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    found, shift = map(
        int, inside(tmp_path, "time namespace", "print(clock.boottime_ns(), namespaces.boottime_shift())").split()
    )
    assert shift == 864_000_000_000_000
    assert before <= found <= time.clock_gettime_ns(time.CLOCK_BOOTTIME)
