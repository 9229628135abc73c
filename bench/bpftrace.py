# SPDX-License-Identifier: MIT
"""bpftrace as the peer: its programs attached at the same time as ours."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator

from bench import program_time


@contextlib.contextmanager
def tracefs() -> Iterator[None]:
    """Mounts tracefs for the duration of the context: bpftrace reads the tracepoint's format there."""
    if os.path.exists("/sys/kernel/tracing/events"):
        yield
        return
    subprocess.run(["mount", "-t", "tracefs", "tracefs", "/sys/kernel/tracing"], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "/sys/kernel/tracing"], check=True)


@contextlib.contextmanager
def attached(program: str, programs: int) -> Iterator[list[int]]:
    """The numbers of the ``programs`` tracepoint programs that bpftrace makes of ``program``. RuntimeError where it does
    not attach them. Needs tracefs()."""
    before = set(program_time.tracepoint_programs())
    peer = subprocess.Popen(["bpftrace", "-B", "line", "-e", program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert peer.stdout is not None
    try:
        while line := peer.stdout.readline():
            if b"Attach" in line:  # "Attaching 1 probe...", and from 0.24 on "Attached 1 probe", on standard error
                break
        else:
            raise RuntimeError("bpftrace did not attach")
        time.sleep(1)  # until its trial programs are gone
        theirs = sorted(set(program_time.tracepoint_programs()) - before)
        if len(theirs) != programs:
            raise RuntimeError(f"bpftrace has {len(theirs)} programs, and not {programs}")
        yield theirs
    finally:
        peer.stdout.close()
        peer.terminate()
        peer.wait()
