# SPDX-License-Identifier: MIT
"""Flags of VMAs by name, compared with what smaps says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from lazyobs.kernel import vm_flags
from lazyobs.model import VMA_STATES
from tests.harness import lazyobs


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        (0x100073, "rd wr mr mw me ac"),
        (0x100173, "rd wr mr mw me gd ac"),
        (0x8000_0000, "mg"),
        (0x0100_0800, "0x1000800"),
        (0x400_0000_0001, "rd 0x40000000000"),
        (0, ""),
    ],
)
def test_names(flags: int, names: str) -> None:
    assert vm_flags.names(flags) == names


def in_smaps(pid: int) -> dict[str, list[str]]:
    """{start: the names we know}."""
    found: dict[str, list[str]] = {}
    start = ""
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if match := re.match(r"([0-9a-f]+)-[0-9a-f]+ ", line):
            start = match[1]
        elif line.startswith("VmFlags:"):
            found[start] = [name for name in line.split()[1:] if name in vm_flags.NAMES.values()]
    return found


def where_is_its_state(row: list[str]) -> int:
    states = {state.name for state in VMA_STATES}
    return next(position for position, word in enumerate(row) if word in states)


def test_they_are_those_of_smaps(bpf: None) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin and process.stdout
        process.stdin.write(b"x")
        assert process.stdout.read(1) == b"x"  # its libraries are mapped, its heap has its size
        smaps = in_smaps(process.pid)
        rows = [line.split() for line in lazyobs("census", "--vmas", "-p", str(process.pid)).stdout.splitlines()[1:]]
        process.kill()
    shown = {row[1]: [word for word in row[3 : where_is_its_state(row)] if not word.startswith("0x")] for row in rows}
    assert len(shown) > 7 and shown == {start: smaps[start] for start in shown}
