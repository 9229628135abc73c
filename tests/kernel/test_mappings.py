# SPDX-License-Identifier: MIT
"""Names of mappings: as /proc/PID/maps writes them, and beside the VMAs of a process."""

from __future__ import annotations

import json
import os

import pytest

from lazyobs.kernel.mappings import Mappings, parse
from tests.harness import lazyobs

MAPS = b"""\
55d0c0400000-55d0c0421000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000001000 r--p 00000000 08:01 7                          /lib/a b.so (deleted)
7f0000001000-7f0000002000 rw-p 00000000 00:00 0 \n7f0000003000-7f0000004000 rw-p 00000000 00:00 0                          [anon:glibc: malloc]
"""


def test_names_are_those_of_maps():
    assert parse(MAPS) == {
        0x55D0C0400000: "[heap]",
        0x7F0000000000: "/lib/a b.so (deleted)",
        0x7F0000001000: "",
        0x7F0000003000: "[anon:glibc: malloc]",
    }


def test_what_cannot_be_opened_has_no_names(tmp_path):
    found = Mappings((7,), str(tmp_path))
    assert found.names(7) is None
    found.close()


@pytest.mark.parametrize("form", ["json", "table"])
def test_the_vmas_of_a_process_have_them(bpf, islands, form):
    """root's maps are read by a process that is nobody by then."""
    pid = str(islands(23).pid)
    done = lazyobs("census", "-p", pid, "--vmas", "-o", form)
    assert done.returncode == 0, done.stderr
    with open(f"/proc/{pid}/maps", "rb") as file:
        expected = parse(file.read())
    if form == "json":
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        assert {row["start"]: row["name"] for row in rows} == {
            start: name for start, name in expected.items() if name != "[vsyscall]"
        }
        assert all((row["chains"] == 0) == (row["state"] == "plain") for row in rows)
    else:
        assert os.path.basename(next(name for name in expected.values() if "islands" in name)) in done.stdout
