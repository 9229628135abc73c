# SPDX-License-Identifier: MIT
"""Threads and cgroups whose names are not UTF-8: found by their bytes and by what is shown."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import LAZYOBS, ROOT, lazyobs, skip

COMM = b"na\xffme"
_PR_SET_NAME = 15
FORKS = 23


def fork_under_that_name() -> None:
    """A child with the name forks FORKS times."""
    pid = os.fork()
    if not pid:
        ctypes.CDLL(None).prctl(_PR_SET_NAME, COMM, 0, 0, 0)
        for _ in range(FORKS):
            child = os.fork()
            if not child:
                os._exit(0)
            os.waitpid(child, 0)
        os._exit(0)
    os.waitpid(pid, 0)


@pytest.mark.slow
@pytest.mark.parametrize("comm", ["na\ufffdme", "na\udcffme", "na?me"], ids=["shown", "bytes", "ascii"])
def test_trace_finds_the_thread(bpf: None, comm: str) -> None:
    command = [*LAZYOBS, "trace", "-o", "json", "-e", "fork", "--comm", comm, "-n", str(FORKS)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    time.sleep(2)
    fork_under_that_name()
    fork_under_that_name()  # if the first came before the probes
    out, _ = process.communicate(timeout=60)
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["comm"] for event in events] == ["na\ufffdme"] * FORKS


@pytest.mark.slow
def test_record_finds_the_thread(bpf: None, tmp_path: Path) -> None:
    into = tmp_path / "r"
    command = [*LAZYOBS, "record", "-o", str(into), "-e", "fork", "--comm", "na\ufffdme", "--progress", "none"]
    process = subprocess.Popen(command, cwd=ROOT)
    while not list(into.glob("samples*")):
        time.sleep(0.05)
    time.sleep(1)
    fork_under_that_name()
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    done = lazyobs("trace", "-o", "json", "--replay", str(into))
    assert [json.loads(line)["comm"] for line in done.stdout.splitlines()] == ["na\ufffdme"] * FORKS


@pytest.fixture
def cgroup() -> Iterator[bytes]:
    """A process in a cgroup with a name that is no UTF-8. Yields its path."""
    mounts = [line.split(b" ") for line in Path("/proc/self/mounts").read_bytes().splitlines()]
    # Where the memory controller has a hierarchy of its own, that is the one whose cgroups are shown.
    roots = [row[1] for row in mounts if row[2] == b"cgroup" and b"memory" in row[3].split(b",")]
    roots += [row[1] for row in mounts if row[2] == b"cgroup2"]
    if not roots or os.getuid():
        skip("host", "no root, or no cgroups are mounted")
    name = b"lazyobs-\xff-%d" % os.getpid()
    folder = roots[0] + b"/" + name
    try:
        os.mkdir(folder)
    except OSError as error:
        skip("host", f"no cgroup can be made here: {error.strerror}")
    with subprocess.Popen(["sleep", "60"]) as process:
        Path(os.fsdecode(folder), "cgroup.procs").write_text(str(process.pid))
        yield b"/" + name
        process.kill()
    os.rmdir(folder)


@pytest.mark.parametrize("shown", [False, True])
def test_top_finds_the_cgroup(bpf: None, cgroup: bytes, shown: bool) -> None:
    given = cgroup.decode("utf-8", "replace" if shown else "surrogateescape")
    done = lazyobs("top", "-o", "json", "-n", "1", "-c", given)
    assert done.returncode == 0, done.stderr
    assert [one["comm"] for one in json.loads(done.stdout)["processes"]] == ["sleep"]
