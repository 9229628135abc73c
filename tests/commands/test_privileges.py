# SPDX-License-Identifier: MIT
"""What the long-lived process may still do once its descriptors are there: very little."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.harness import ROOT, skip

pytestmark = pytest.mark.usefixtures("root")

# Runs inside a process that has opened a live source as every command does, and says what it can do.
INSIDE = """
import ctypes, json, os, sys
from lazyobs.sources.open import open_live
from lazyobs.bpf import abi
opened = open_live()
first = opened.source.read()
def attempt(action):
    try:
        action()
        return "done"
    except OSError as error:
        return error.strerror
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
session = opened.source.session
print(json.dumps({
    "uid": os.getresuid(), "gid": os.getresgid(), "groups": os.getgroups(),
    "caps": [status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
    "no_new_privs": status["NoNewPrivs"],
    "bcc_loaded": "bcc" in sys.modules or "libbcc" in open("/proc/self/maps").read(),
    "become_root": attempt(lambda: os.setuid(0)),
    "others_smaps": attempt(lambda: open("/proc/%d/smaps" % os.getppid()).read()),
    "slabinfo": attempt(lambda: open("/proc/slabinfo")),
    "shadow": attempt(lambda: open("/etc/shadow")),
    "new_map": attempt(lambda: abi.map_create(1, 4, 8, 1, 0, "x")),
    "load": "done" if abi.prog_load(abi.PROG_TYPE_RAW_TRACEPOINT, bytes.fromhex("b7000000000000009500000000000000"), "x")[0] >= 0 else "refused",
    "write_totals": attempt(lambda: abi.map_update(session.maps["totals"], bytes(4), bytes(1 << 16))),
    "processes": len(opened.source.read().processes),
    "slabs": [slab.objects for slab in opened.source.read().slabs],
}))
"""


@pytest.fixture(scope="module")
def inside(bpf_state):
    if bpf_state:
        skip("bpf", bpf_state)
    answer = subprocess.run([sys.executable, "-c", INSIDE], capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def test_it_is_nobody_without_capabilities(bpf, inside):
    assert inside["uid"] == [65534] * 3 and inside["gid"] == [65534] * 3 and inside["groups"] == []
    assert [int(caps, 16) for caps in inside["caps"]] == [0] * 5
    assert inside["no_new_privs"].strip() == "1"
    assert not inside["bcc_loaded"]


@pytest.mark.parametrize(
    "action", ["become_root", "others_smaps", "slabinfo", "shadow", "new_map", "load", "write_totals"]
)
def test_it_cannot(bpf, inside, action):
    assert inside[action] != "done"


def test_it_still_reads_everything(bpf, inside):
    assert inside["processes"] > 0
    assert all(objects is not None for objects in inside["slabs"])
