# SPDX-License-Identifier: MIT
"""What tests import: skips that may be forbidden, the known workload, rows of samples."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import pytest

from lazyobs.model import Process, Sample

ROOT = Path(__file__).resolve().parent.parent
LAZYOBS = [sys.executable, "-m", "lazyobs"]
# What a machine may lack, and what it takes. LAZYOBS_DEMAND names those for want of which nothing may be skipped.
FEATURES = {
    "boards": "Python 3.11 and later, which grafana-foundation-sdk asks for",
    "bpf": "BPF programs load: root, a kernel with BTF, python3-bpfcc",
    "browser": "chromium",
    "host": "what a machine may not be or a container forbid: a known processor, glibc, mounts, IPv6, a readable checkout",
    "kernel": "what the running kernel may lack: swap, KSM, NUMA nodes, a barrier for slabs",
    "lab": "QEMU, a compiler and the images of CI's lab kernels and userland (make lab KERNEL=ci ROOT=trixie)",
    "lab-all": "the images of all lab kernels (make lab)",
    "lab-source": "the unpacked source of the lab kernel, which is there where it was built",
    "programs": "bpftool, bpftrace, gcc, openssl, rpmbuild, setpriv, systemd-analyze",
    "prometheus": "prometheus and promtool",
    "root": "tests run as root",
    "s3": "moto, which pretends to be an object store",
    "spark": "pyspark and a Java runtime",
    "web": "the packages of lazyobs[web]",
}
DEMANDED = set(filter(None, os.environ.get("LAZYOBS_DEMAND", "").split(",")))


def module_of(path: Path) -> Any:
    """A program beside the packages, as a module."""
    spec = importlib.util.spec_from_file_location(f"program_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def skip(feature: str, why: str) -> NoReturn:
    """Skips the test for want of ``feature``, one of FEATURES, or fails it where that is demanded."""
    assert feature in FEATURES, feature
    if feature in DEMANDED:
        pytest.fail(f"{feature} is demanded here (LAZYOBS_DEMAND), but {why}", pytrace=False)
    pytest.skip(f"needs {feature}: {why}", allow_module_level=True)


def need_programs(*names: str, feature: str = "programs") -> None:
    """Skips where one of these programs is not installed."""
    for name in names:
        if not shutil.which(name):
            skip(feature, f"{name} is not installed")


def need_root(what_for: str) -> None:
    """Skips for others than root."""
    if os.geteuid() != 0:
        skip("root", what_for)


@functools.cache
def _why_closed() -> str:
    """Why another user cannot run the checkout under this interpreter, "" where it can."""
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", "import lazyobs.cli"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    return (done.stderr.strip().splitlines() or ["it fails"])[-1] if done.returncode else ""


def need_open_checkout() -> None:
    """Skips where another user cannot run the checkout: it, or its Python, lies in a directory of mode 0700."""
    need_programs("setpriv")
    if os.geteuid() == 0 and (why := _why_closed()):
        skip("host", f"the checkout is closed to other users: {why}")


def need_module(name: str, feature: str, remedy: str) -> ModuleType:
    """The module of that name; skips where it cannot be imported."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        skip(feature, f"{error}: {remedy}")


def live_in(home: Path) -> None:
    """This process and those it starts find the settings of ``home``, not of the user, nor of the one behind sudo.

    Caches stay where they are: the lab's images are dear.
    """
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    os.environ.update(HOME=str(home), XDG_CONFIG_HOME=str(home / ".config"), XDG_CACHE_HOME=caches)
    for name in ("SUDO_UID", "SUDO_GID", "SUDO_USER", "SUDO_HOME"):
        os.environ.pop(name, None)


def lazyobs(*arguments: str, timeout: float = 120, **options: Any) -> subprocess.CompletedProcess[str]:
    """The command run to its end, from ROOT and with nothing to read; its output is text."""
    return subprocess.run(
        [*LAZYOBS, *arguments],
        **{
            "capture_output": True,
            "text": True,
            "cwd": ROOT,
            "stdin": subprocess.DEVNULL,
            "timeout": timeout,
            **options,
        },
    )


def python(program: str, *arguments: object, timeout: float = 120) -> tuple[str, str, int]:
    """A program for this interpreter, run from ROOT: (what it printed, its errors, its exit status)."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=timeout, check=False)
    return done.stdout, done.stderr, done.returncode


def chromium() -> str:
    """The browser; skips where there is none."""
    need_programs("chromium", feature="browser")
    return "chromium"


class Islands:
    """tests/workloads/islands.c, one process, driven by commands."""

    def __init__(self, program: Path, count: int) -> None:
        self.count = count
        self._process = subprocess.Popen([program, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self._process.pid
        self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().decode().strip()
        assert line and line != "what?", line
        return line

    def tell(self, command: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(command.encode() + b"\n")
        self._process.stdin.flush()
        return self._answer()

    def end(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait(30)


class Generations(Islands):
    """tests/workloads/generations.c: ``pid`` is the grandchild that forks."""

    def __init__(self, program: Path, count: int) -> None:
        self.count = count
        self._process = subprocess.Popen([program, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = int(self._answer())


def process_of(sample: Sample, pid: int) -> Process:
    """The row of a process in a sample."""
    return next(process for process in sample.processes if process.pid == pid)


def cgroup_root() -> Path:
    """The hierarchy by which processes are known here."""
    kinds = Path("/proc/self/cgroup").read_text()
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for fields in mounts:
        kind, options = fields[fields.index("-") + 1], fields[-1].split(",")
        if "memory" in options if ":memory:" in kinds else kind == "cgroup2":
            return Path(fields[4])
    skip("host", "no cgroup hierarchy is mounted")
