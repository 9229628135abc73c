# SPDX-License-Identifier: MIT
"""Steps of inside.py whose programs come from elsewhere: the kernel's own selftests and a program of the user's; and
the one in which allocations fail."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lazyobs.text import printable

if TYPE_CHECKING:
    from lazyobs.judge.inside import Inside, Result

SHARE = Path(os.environ.get("LAZYOBS_LAB_SHARE", "/mnt/share"))
#: What a guest is told to run: the name of a program, and FOLDER:PROGRAM,... below the share.
SCRIPT, OWN = "LAZYOBS_JUDGE_SCRIPT", "LAZYOBS_JUDGE_OWN"
PASS, FAIL, SKIP = "pass", "fail", "skip"
_FAILSLAB = Path("/sys/kernel/debug/failslab")
_SCRIPT_SECONDS, _OWN_SECONDS, _REFUSED_SECONDS = 900.0, 600.0, 1800.0
_REFUSED_PROCESSES = 211
_PERCENT = 2  # of the allocations of these processes fail
_MOST_REFUSED = 1_000_000
_MOST_OUTPUT = 4 << 20
_RESULT = re.compile(r"^(not ok|ok) \d+ (?:- )?(.*?)(?: # (SKIP|XFAIL)\b.*)?$", re.M)
_REFUSED = re.compile(r"^rounds (\d+) refused (\d+) wrong (\d+) died (\d+)$", re.M)


@dataclass(frozen=True)
class Ended:
    """``status`` is None where the time was up."""

    status: int | None
    output: str

    @property
    def last(self) -> str:
        lines = [line for line in self.output.splitlines() if line.strip()]
        return printable(lines[-1])[:300] if lines else "no output"


def run(words: Sequence[str], seconds: float) -> Ended:
    """A program in /tmp, in a session of its own, which ends with it; its output is what a file takes of it, lest one
    that it leaves behind keeps a pipe open."""
    with tempfile.TemporaryFile(dir="/tmp") as out:
        process = subprocess.Popen(
            words, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd="/tmp", start_new_session=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (_MOST_OUTPUT * 64, _MOST_OUTPUT * 64)),
        )  # fmt: skip
        status: int | None = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = process.wait(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
        length = out.seek(0, os.SEEK_END)
        out.seek(max(0, length - _MOST_OUTPUT))
        return Ended(status, out.read().decode("utf-8", "replace"))


def first_of(failed: Sequence[str]) -> str:
    """The first, and how many more there are."""
    return f"{failed[0]} and {len(failed) - 1} more" if len(failed) > 1 else failed[0]


def script(inside: Inside, result: Result) -> None:
    """A program of the user's: what counts is its exit status, and what the kernel says meanwhile."""
    name = os.environ.get(SCRIPT, "")
    if not name:
        result.outcome, result.why = SKIP, "no program was given (--workload)"
        return
    done: list[Ended] = []
    inside.observed(result, lambda: done.append(run([str(SHARE / name)], _SCRIPT_SECONDS)))
    result.numbers["status"] = done[0].status
    if done[0].status is None:
        result.fail(f"the workload given did not end in {_SCRIPT_SECONDS:.0f} s")
    elif done[0].status:
        result.fail(f"the workload given ended with status {done[0].status}: {done[0].last}")


def own(inside: Inside, result: Result) -> None:
    """The kernel's own selftests. A test fails where it fails twice: some of them race against the machine."""
    folder, _, names = os.environ.get(OWN, "").partition(":")
    if not names:
        result.outcome, result.why = SKIP, "none of the kernel's own selftests was built"
        return
    failed: list[str] = []
    counts = {"pass": 0, "fail": 0, "skip": 0}

    def all_of_them() -> None:
        for name in names.split(","):
            bad = _once(folder, name, counts)
            if bad:
                again = _once(folder, name, dict(counts))
                twice = [one for one in bad if one in again]
                result.numbers.setdefault("once", []).extend(one for one in bad if one not in again)
                counts["fail"] += len(twice)
                failed.extend(twice)

    inside.observed(result, all_of_them)
    result.numbers.update(counts=counts, failed=failed[:100])
    if failed:
        result.fail(f"the kernel's own selftest fails: {first_of(failed)}")
    elif not counts["pass"]:
        result.fail("the kernel's own selftests said nothing")


def _once(folder: str, name: str, counts: dict[str, int]) -> list[str]:
    """ "PROGRAM TEST" for each that failed; what passed and was skipped goes to ``counts``."""
    done = run([str(SHARE / folder / name)], _OWN_SECONDS)
    bad = []
    for state, test, why in _RESULT.findall(done.output):
        if why:
            counts["skip"] += 1
        elif state == "ok":
            counts["pass"] += 1
        else:
            bad.append(f"{name} {printable(test.strip())[:120]}")
    if done.status is None:
        bad.append(f"{name} did not end in {_OWN_SECONDS:.0f} s")
    elif done.status < 0:
        bad.append(f"{name} was ended by signal {-done.status}")
    return list(dict.fromkeys(bad))


def failslab(inside: Inside, result: Result) -> None:
    """Allocations of some processes fail, of those alone; what they hold stays right, and the kernel does not mind."""
    if not (_FAILSLAB / "task-filter").exists() or not Path("/proc/self/make-it-fail").exists():
        result.outcome, result.why = SKIP, "this kernel has no failslab (CONFIG_FAILSLAB, CONFIG_FAULT_INJECTION_DEBUG_FS)"  # fmt: skip
        return
    knobs = {
        "task-filter": "Y", "ignore-gfp-wait": "N", "cache-filter": "N", "interval": "1", "space": "0", "verbose": "0",
        "times": str(_MOST_REFUSED), "probability": str(_PERCENT),
    }  # fmt: skip
    for name, value in knobs.items():
        (_FAILSLAB / name).write_text(value)
    done: list[Ended] = []
    words = [str(SHARE / "workload"), "fail", str(_REFUSED_PROCESSES)]
    try:
        inside.observed(result, lambda: done.append(run(words, _REFUSED_SECONDS)))
    finally:
        (_FAILSLAB / "probability").write_text("0")
    failed = _MOST_REFUSED - int((_FAILSLAB / "times").read_text())
    result.numbers["failed_allocations"] = failed
    said = _REFUSED.search(done[0].output)
    if said is None:
        result.fail(f"processes whose allocations fail: status {done[0].status}: {done[0].last}")
        return
    names = ("processes", "refused", "wrong", "died")
    result.numbers.update(zip(names, map(int, said.groups()), strict=True))
    if int(said[3]):
        result.fail(f"{said[3]} pages held what they must not after an allocation had failed")
    if int(said[4]):
        result.fail(f"{said[4]} of {said[1]} processes died when an allocation failed")
    if result.outcome != FAIL and not failed:
        result.outcome, result.why = SKIP, "no allocation failed, so nothing was tried"
