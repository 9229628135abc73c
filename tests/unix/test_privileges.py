# SPDX-License-Identifier: MIT
"""What is left of root after it was given up, by what there was to give up."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.confined import NAMED, need, with_only
from tests.harness import ROOT, need_open_checkout, need_programs

pytestmark = pytest.mark.usefixtures("root")

# Gives up root, and prints what is left.
PROGRAM = """
import json, os, sys
from lazyobs.unix import privileges
why = privileges.why_not_nobody()
kept = privileges.give_up_root(frozenset(map(int, sys.argv[1:])))
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
names = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs")
try:
    os.setuid(0)
    again = "root again"
except OSError:
    again = ""
print(json.dumps({"why": why, "kept": sorted(kept), "again": again, **{name: status[name].split() for name in names}}))
"""
NONE = ["0" * 16]


def left(prefix: tuple[str, ...], *keep: int) -> dict[str, Any]:
    done = subprocess.run(
        [*prefix, sys.executable, "-c", PROGRAM, *map(str, keep)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["NoNewPrivs"] == ["1"]
    return found


def holds_only(found: dict[str, Any], *capabilities: int) -> None:
    mask = [f"{sum(1 << one for one in capabilities):016x}"]
    assert (found["CapPrm"], found["CapEff"], found["CapAmb"]) == (mask, mask, NONE)
    assert found["kept"] == sorted(capabilities)


def test_root_becomes_nobody() -> None:
    found = left(())
    holds_only(found)
    assert (found["Uid"], found["Gid"], found["Groups"]) == (["65534"] * 4, ["65534"] * 4, [])
    assert (found["CapBnd"], found["why"], found["again"]) == (NONE, "", "")


def test_what_is_to_be_kept_is_kept() -> None:
    found = left((), 19, 2)
    holds_only(found, 2, 19)
    assert found["Uid"] == ["65534"] * 4


def test_without_cap_setuid_it_stays_root_without_capabilities() -> None:
    need_programs("setpriv")
    found = left(with_only("bpf", "perfmon", "syslog"))
    holds_only(found)
    assert (found["Uid"], found["why"]) == (["0"] * 4, "CAP_SETUID is missing")


def test_without_cap_setgid_it_becomes_nobody_and_keeps_its_groups() -> None:
    need_programs("setpriv")
    found = left(with_only("bpf", "setuid"))
    holds_only(found)
    assert (found["Uid"], found["Gid"], found["again"]) == (["65534"] * 4, ["0"] * 4, "")


def test_another_user_keeps_nothing_either() -> None:
    need_open_checkout()
    found = left(with_only("bpf", "perfmon", "syslog", "sys_ptrace", user=65534), 19)
    holds_only(found, 19)
    assert found["Uid"] == ["65534"] * 4


@pytest.mark.parametrize(
    ("place", "user", "why"),
    [
        ("user namespace of one user", "0", "this user namespace has no user 65534"),
        ("user namespace of many users", "65534", ""),
    ],
)
def test_in_a_user_namespace(tmp_path: Path, place: str, user: str, why: str) -> None:
    need(NAMED[place], tmp_path)
    found = left(NAMED[place].prefix)
    holds_only(found)
    assert (found["Uid"], found["why"]) == ([user] * 4, why)
