# SPDX-License-Identifier: MIT
"""lab/run as its user sees it: output, status, limits, and nothing left behind."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.harness import ROOT
from tests.lab.guests import Run, arguments, need

pytestmark = pytest.mark.lab

LOOK = r"""
import hashlib, json, os, sys
mounts = [line.split()[1:3] for line in open("/proc/mounts")]
try:
    open("/etc/lazyobs-lab-test", "w")
    root = "writable"
except OSError as error:
    root = error.strerror
data = bytes(range(256)) * 4096
open("/tmp/scratch", "wb").write(data)
open("/mnt/share/from-guest", "wb").write(data)
os.mkdir("/sys/fs/cgroup/lab-test")
print(json.dumps({
    "cwd": os.getcwd(), "uid": os.getuid(), "pid1": open("/proc/1/comm").read().strip(), "root": root,
    "variable": os.environ["LAB_TEST"], "share": open("/mnt/share/from-host").read(), "mounts": mounts,
    "nodes": len([n for n in os.listdir("/sys/devices/system/node") if n[4:].isdigit()]),
    "arguments": sys.argv[1:],
}), flush=True)
os.write(2, b"first\n" + data + b"last\n")
sys.exit(7)
"""


def test_a_guest_has_what_was_promised(guest: Run, tmp_path: Path) -> None:
    (tmp_path / "from-host").write_text("hello")
    result = guest(
        "lab",
        "/usr/bin/python3",
        "-c",
        LOOK,
        "one two",
        "",
        "ö",
        cwd=str(ROOT),
        options=["--share", str(tmp_path), "--env", "LAB_TEST=a=b c"],
    )
    assert result.returncode == 7
    seen = json.loads(result.stdout)
    mounts = dict(seen.pop("mounts"))
    assert seen == {
        "cwd": str(ROOT),
        "uid": 0,
        "pid1": "init",
        "root": "Read-only file system",
        "variable": "a=b c",
        "share": "hello",
        "nodes": 2,
        "arguments": ["one two", "", "ö"],
    }
    data = bytes(range(256)) * 4096
    assert result.stderr == b"first\n" + data + b"last\n"
    assert hashlib.sha256((tmp_path / "from-guest").read_bytes()).digest() == hashlib.sha256(data).digest()
    assert mounts["/"] == "9p"
    for path, kind in (
        ("/proc", "proc"),
        ("/sys", "sysfs"),
        ("/tmp", "tmpfs"),
        ("/dev/shm", "tmpfs"),
        ("/sys/fs/cgroup", "cgroup2"),
        ("/sys/kernel/tracing", "tracefs"),
        ("/sys/kernel/debug", "debugfs"),
        ("/sys/fs/bpf", "bpf"),
    ):
        assert mounts[path] == kind


def test_two_at_once_with_standard_input() -> None:
    need("lab")
    texts = [b"%d\n" % number * 50000 for number in (23, 101)]
    command = arguments("lab", "sh", "-c", "cat; exit 3", options=["--stdin"], again=0)
    runs = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in texts]
    for run, text in zip(runs, texts):
        assert run.stdin
        run.stdin.write(text)
        run.stdin.close()
    for run, text in zip(runs, texts):
        assert run.stdout
        assert run.stdout.read() == text
        assert run.wait() == 3


def test_time_limit(guest: Run) -> None:
    result = guest("lab", "sh", "-c", "echo started; sleep 1000", timeout=25)
    assert (result.returncode, result.stdout) == (124, b"started\n")
    assert b"--timeout" in result.stderr


def test_a_kernel_that_does_not_come_up_in_time(guest: Run) -> None:
    result = guest("lab", "true", timeout=0.3)
    assert result.returncode == 125
    assert result.stderr.splitlines()[-1].startswith(b"lab: kernel lab: did not come up in 0.3 s")


def test_a_panic_is_told_from_an_exit_status(guest: Run) -> None:
    # What is said has to leave the guest before the kernel dies.
    result = guest("lab", "sh", "-c", "echo before; sleep 3; echo c > /proc/sysrq-trigger; sleep 100")
    assert (result.returncode, result.stdout) == (125, b"before\n")
    last = result.stderr.splitlines()[-1]
    assert last.startswith(b"lab: kernel lab: died during the command: Kernel panic")


# numpy takes other instructions for long arrays than for short ones, and for words of 32 bits than of 64.
SORTED = """
import sys
import numpy as np
for kind in sys.argv[1:]:
    for length in (17, 60, 200, 5003):
        words = np.random.default_rng(length).integers(0, 1 << 15, length).astype(kind)
        order = words.argsort()
        assert sorted(order.tolist()) == list(range(length)), (kind, length, "no permutation")
        assert words[order].tolist() == np.sort(words).tolist() == sorted(words.tolist()), (kind, length)
print("sorted")
"""


def test_a_guest_sorts_as_its_host_does(guest: Run) -> None:
    """What the emulator gets wrong of a vector unit, a report in the guest would have in its numbers."""
    answer = guest("debian-7.3", sys.executable, "-c", SORTED, "i4", "i8", "u8", "f4", "f8")
    assert (answer.returncode, answer.stdout) == (0, b"sorted\n"), answer.stderr


def test_an_illegal_instruction_is_named(guest: Run) -> None:
    """Wheels may want more than the emulated CPU has; a shell would say no more than "status 132"."""
    result = guest("lab", "sh", "-c", "kill -ILL $$")
    assert result.returncode == 132
    assert b"illegal instruction" in result.stderr and b"try another --cpu" in result.stderr


@pytest.mark.parametrize("options, status", [((), 5), (("--fail-on-splat",), 125)])
def test_splats(guest: Run, options: tuple[str, ...], status: int) -> None:
    result = guest(
        "lab", "sh", "-c", "echo '<4>WARNING: CPU: 0 PID: 1 at mm/test.c:1' > /dev/kmsg; exit 5", options=options
    )
    assert result.returncode == status
    assert b"lab: kernel splat: WARNING: CPU: 0 PID: 1 at mm/test.c:1\n" in result.stderr


STALE = """
echo 'BUG: int3: said of something else' >/dev/kmsg
echo '<0>Oops: int3: 0000 [#1] PREEMPT SMP NOPTI' >/dev/kmsg
echo '<0>Code: 48 8b 75 08 %s <a7> 00 00 00' >/dev/kmsg
date +%%N >>/mnt/share/runs; echo said
"""


@pytest.mark.parametrize("byte, again, runs", [("e9", 1, 2), ("e9", 0, 1), ("cc", 1, 1)])
def test_a_run_that_the_emulator_spoilt_is_repeated(tmp_path: Path, byte: str, again: int, runs: int) -> None:
    """A breakpoint that memory does not hold any more (e9) is the emulator's; one that it does hold, the kernel's."""
    need("lab")
    options = ["--share", str(tmp_path)]
    result = subprocess.run(
        arguments("lab", "sh", "-c", STALE % byte, options=options, again=again), capture_output=True, text=True
    )
    assert len((tmp_path / "runs").read_text().splitlines()) == runs
    assert result.stderr.count("no fault of the kernel") == (runs if byte == "e9" else 0)
    if byte == "cc":
        assert (result.returncode, result.stdout) == (0, "said\n")
    else:
        assert result.returncode == 123
        assert result.stdout == ("" if again else "said\n")


def _machines(mark: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            pass
    return found


def test_nothing_is_left_when_the_runner_is_killed() -> None:
    need("lab")
    mark = f"lazyobs_test={os.getpid()}"
    command = arguments("lab", "sh", "-c", "echo up; sleep 1000", options=["--append", mark], again=0)
    run = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert run.stdout and run.stdout.readline() == b"up\n"
    assert len(_machines(mark)) == 2  # the runner and QEMU
    run.send_signal(signal.SIGKILL)
    run.wait()
    for _ in range(100):
        if not _machines(mark):
            return
        time.sleep(0.1)
    pytest.fail("QEMU outlived lab/run by 10 s")


@pytest.mark.parametrize(
    "command, cwd, status, said",
    [
        (["--kernel", "nonesuch", "true"], "/", 125, "no kernel named 'nonesuch'"),
        (["--kernel", "lab"], "/", 2, "no COMMAND"),
        (["true"], "/proc", 125, "/proc is the guest's own"),
        (["--share", "/nonesuch", "true"], "/", 125, "no such folder"),
        (["--env", "novalue", "true"], "/", 125, "NAME=VALUE"),
    ],
)
def test_errors_without_a_guest(command: list[str], cwd: str, status: int, said: str) -> None:
    result = subprocess.run([str(ROOT / "lab" / "run"), *command], cwd=cwd, capture_output=True, text=True)
    assert result.returncode == status
    assert said in result.stderr.splitlines()[-1]


def test_the_current_directory_is_there_wherever_it_lies(guest: Run, tmp_path: Path) -> None:
    """Below the host's /tmp, too, which a tmpfs of the guest covers."""
    folder = Path("/tmp") / f"lazyobs-lab-{tmp_path.name}" / "below"
    folder.mkdir(parents=True)
    try:
        (folder / "file").write_text("here\n")
        script = "cat file; ls /tmp; touch file || echo read-only"
        result = guest("lab", "sh", "-c", script, cwd=folder)
        assert result.stdout.decode().split() == ["here", folder.parent.name, "read-only"], result.stderr
    finally:
        shutil.rmtree(folder.parent)
