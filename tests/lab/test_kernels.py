# SPDX-License-Identifier: MIT
"""Every kernel CI boots is what its row of the table says; and functions can be probed in it."""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess

import pytest

from lab import build, kernels
from tests.harness import need_programs
from tests.lab.guests import arguments, need

pytestmark = pytest.mark.lab

LOOK = r"""
import json, os
def has(path): return os.path.lexists(path)
def read(path):
    try:
        with open(path) as stream: return stream.read().strip()
    except OSError: return None
try:
    for line in (b"p:lab/try do_exit\n", b"-:lab/try\n"):
        events = os.open("/sys/kernel/tracing/kprobe_events", os.O_WRONLY | os.O_APPEND)
        os.write(events, line)
        os.close(events)
    kprobe = True
except OSError:
    kprobe = False
functions = {line.split()[2] for line in open("/proc/kallsyms") if " anon_vma_fork" in line or "anon_vma_lazy" in line}
print(json.dumps({
    "release": os.uname().release, "btf": has("/sys/kernel/btf/vmlinux"), "kprobe": kprobe,
    "switch": read("/proc/sys/vm/anon_vma_lazy"), "fault": read("/proc/sys/vm/anon_vma_lazy_fault"),
    "lockdown": read("/sys/kernel/security/lockdown"),
    "merged": os.path.islink("/sys/kernel/slab/anon_vma_chain"),
    "lazy": "vma_upgrade_anon_vma_lazy" in functions, "fork": "anon_vma_fork" in functions,
}))
"""


CI = [row for row in kernels.table().values() if row.ci]
# The first row of each image and command line: lab-faulty is lab by another name.
NAMES = list({(build._image_name(row), row.cmdline): row.name for row in CI[::-1]}.values())[::-1]


# A function to be probed there, in the same boot.
PROBED = {
    "debian-6.1": "__anon_vma_prepare",
    "debian-6.12": "__anon_vma_prepare",
    "lab": "vma_prepare_anon_vma_lazy",
}
TRACE = """
kfunc:FUNCTION { @fentry = count(); } kprobe:FUNCTION { @kprobe = count(); }
tracepoint:kmem:kmem_cache_alloc { @tracepoint = count(); }
"""
SCRIPT = '/usr/bin/python3 -c "$0" && if [ "$1" ]; then bpftrace -e "$1" -c "/usr/bin/python3 -c pass"; fi'


@functools.cache
def booted(name: str) -> str:
    """What it prints of itself, and of the function to be probed where it has one and bpftrace is installed."""
    need(name)
    trace = [TRACE.replace("FUNCTION", PROBED[name])] if name in PROBED and shutil.which("bpftrace") else []
    command = arguments(name, "sh", "-c", SCRIPT, LOOK, *trace, options=["--fail-on-splat"])
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("name", NAMES)
def test_a_kernel_is_what_the_table_says(name: str) -> None:
    seen = json.loads(booted(name).splitlines()[0])
    row = kernels.kernel(name)
    built = row.kind == "built"
    assert seen["release"].startswith(row.release)
    assert seen["btf"] == (name != "lab-nobtf")
    assert seen["kprobe"] == (name not in ("lab-nokprobe", "lab-lockdown"))
    assert seen["fork"]
    assert (seen["switch"], seen["lazy"]) == (("1", True) if built else (None, False))
    assert seen["fault"] == (("7" if name == "lab-blind" else "0") if built else None)
    assert ("[confidentiality]" in seen["lockdown"]) == (name == "lab-lockdown")
    if built:
        assert seen["merged"] == (name != "lab-nomerge")


@pytest.mark.parametrize("name", PROBED)
def test_fentry_and_kprobe_fire_alike(name: str) -> None:
    need_programs("bpftrace")
    counts = {key: int(value) for key, value in re.findall(r"@(\w+): (\d+)", booted(name))}
    assert counts["fentry"] == counts["kprobe"] > 0
    assert counts["tracepoint"] > counts["fentry"]
