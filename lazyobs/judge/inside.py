# SPDX-License-Identifier: MIT
"""Runs in a guest: the tests of an arm, one after the other, each under the probes; a line of JSON for each.

``python -m lazyobs.judge.inside STEP... [--watch FUNCTION,...]``. A step that fails is the last: what comes behind a
broken kernel says nothing. A line ``{"begin": STEP}`` goes before each, so that the host knows where a kernel died.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lazyobs.judge import inside_programs
from lazyobs.judge.inside_programs import SHARE, first_of
from lazyobs.kernel import taint
from lazyobs.kernel.log import KernelLog, kind_of
from lazyobs.model import COUNTERS, Sample
from lazyobs.selftest.probes import Observer
from lazyobs.selftest.readings import Violations
from lazyobs.sources.orphans import OrphanFiles
from lazyobs.text import printable

PASS, FAIL, SKIP = inside_programs.PASS, inside_programs.FAIL, inside_programs.SKIP
_TRACING = Path("/sys/kernel/tracing")
_STRESS_SECONDS, _MOVES_SECONDS = 25, 8
_SEED = 211
# Of attempts to move a page: 0.1 % fail where walks see every VMA, 6 to 64 % where they do not see lazy ones.
_MOST_MOVES_FAILED = 0.01
_FORKS = 5003
_LEAST_LEAK = 2  # objects in each of two rounds
_MOST_LETTERS = 400
_SCENARIOS = "*"


@dataclass
class Result:
    """Of one step. ``why``: what went wrong, the gravest first; ``numbers``: what it counted; ``hits``: how often each
    watched function ran so far."""

    step: str
    outcome: str = PASS
    why: str = ""
    numbers: dict[str, Any] = field(default_factory=dict)
    hits: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def fail(self, why: str) -> None:
        said = f"{self.why}; {why}" if self.outcome == FAIL else why
        self.outcome, self.why = FAIL, printable(said)[:_MOST_LETTERS]


class Watch:
    """How often functions of the kernel ran: a kprobe on each, whose hits the kernel counts."""

    def __init__(self, functions: list[str]) -> None:
        self.why_not = ""
        self._names = []
        for name in functions:
            try:
                # Not by open(..., "a"), which seeks to an end that this file does not have.
                file = os.open(_TRACING / "kprobe_events", os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
                try:
                    os.write(file, f"p:judge/{name} {name}\n".encode())
                finally:
                    os.close(file)
                (_TRACING / f"events/judge/{name}/enable").write_text("1")
                self._names.append(name)
            except OSError:
                continue  # inlined, or not to be probed

    def hits(self) -> dict[str, int]:
        if not self._names:
            return {}
        rows = [line.split() for line in (_TRACING / "kprobe_profile").read_text().splitlines()]
        found = {row[0].rpartition("/")[2]: int(row[1]) + int(row[2]) for row in rows if len(row) >= 3}
        return {name: found.get(name, 0) for name in self._names}


class Inside:
    def __init__(self, functions: list[str]) -> None:
        self._log = KernelLog()
        self._watch = Watch(functions)
        self._observer: Observer | None = None
        self._violations = Violations()
        self._broken: dict[str, int] = {}
        self._taint = taint.tainted()

    def run(self, step: str) -> Result:
        result = Result(step)
        began = time.monotonic()
        list(self._log.records())
        self._broken = {}
        try:
            _STEPS[step](self, result)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            result.fail(f"{step} could not be run: {error}")
        for invariant, times in self._broken.items():
            result.fail(f"the invariant {invariant} was broken {times} times (lazyobs help invariants)")
        self._hear(result)
        result.hits = self._watch.hits()
        result.seconds = round(time.monotonic() - began, 1)
        return result

    def _hear(self, result: Result) -> None:
        """What the kernel said: it comes before the failure of a test, as its reason."""
        lines = [record.text for record in self._log.records()]
        if complaint := next((line for line in lines if kind_of(line)), None):
            before = result.why if result.outcome == FAIL else ""
            result.outcome = PASS
            result.fail(f"the kernel complained: {complaint}")
            if before:
                result.fail(before)
        now = taint.tainted()
        if new := [flag for flag in now if now[flag] and not self._taint.get(flag)]:
            result.fail(f"the kernel is tainted: {', '.join(new)}")

    def observer(self) -> Observer:
        if self._observer is None:
            self._observer = Observer()
            if sample := self._observer.read():
                self._violations.new(sample)
        return self._observer

    def without_observer(self) -> None:
        if self._observer is not None:
            self._observer.close()
            self._observer = None
            self._violations = Violations()

    def observed(self, result: Result, work: Callable[[], None]) -> None:
        """Does the work under the probes: counts go to the numbers."""
        observer = self.observer()
        before = observer.read()
        work()
        after = observer.read()
        if before is None or after is None:
            result.numbers["not_observed"] = observer.why_not
            return
        result.numbers["profile"] = after.kernel.profile
        result.numbers["events"] = dict(_events(before, after))
        self.count_broken(after)

    def count_broken(self, sample: Sample) -> None:
        """Broken invariants are a failure of the step, behind what its test says."""
        for invariant, times in self._violations.new(sample).items():
            self._broken[invariant] = self._broken.get(invariant, 0) + times

    def program(self, *words: str, seconds: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=seconds, check=False)


def _events(before: Sample, after: Sample) -> Iterator[tuple[str, int]]:
    for counter in COUNTERS:
        now, old = after.totals.get(counter.name), before.totals.get(counter.name)
        if isinstance(now, int) and isinstance(old, int):
            yield counter.name, now - old


#: A test waits for its processes by turns; on two emulated CPUs a busy host makes page_out fail on kernels without fault.
_ON_ONE_CPU = ("taskset", "1")
_KSELFTEST_SECONDS = 1800.0
_TRIED_AGAIN = 12  # tests that have failed, at a time


def _kselftest(inside: Inside, result: Result) -> None:
    """A test fails that fails twice: what a walk does not see, it does not see the second time either. Behind one that
    has failed twice, tests that have failed are not tried again: on a broken kernel each of them takes its whole time."""
    done: list[subprocess.CompletedProcess[str]] = []

    def outcomes(*names: str) -> dict[str, str]:
        words = [*_ON_ONE_CPU, str(SHARE / "anon_rmap"), *(word for name in names for word in ("-r", name))]
        inside.observed(result, lambda: done.append(inside.program(*words, seconds=_KSELFTEST_SECONDS)))
        return _outcomes(done[-1].stdout)

    found = outcomes()
    failed = [name for name in found if found[name] == FAIL]
    once: list[str] = []
    for at in range(0, len(failed), _TRIED_AGAIN):
        names = failed[at : at + _TRIED_AGAIN]
        again = outcomes(*names)
        once += [name for name in names if again.get(name) == PASS]
        if len(once) < at + len(names):
            break
    failed = [name for name in failed if name not in once]
    counts = {PASS: 0, SKIP: 0, **Counter(found.values()), FAIL: len(failed)}
    result.numbers.update(counts=counts, failed=failed[:50], once=once[:50])
    if failed:
        result.fail(f"a walk of the reverse map missed a mapping: anon_rmap {first_of(failed)}")
    elif not found or (not once and done[0].returncode not in (0, 4)):
        result.fail(f"anon_rmap ended with status {done[0].returncode}: {_last(done[0])}")


def _outcomes(output: str) -> dict[str, str]:
    lines = re.findall(r"^(not ok|ok) \d+ (\S+)( # SKIP)?", output, re.M)
    return {name: SKIP if skipped else PASS if state == "ok" else FAIL for state, name, skipped in lines}


def _stress(inside: Inside, result: Result) -> None:
    done: list[subprocess.CompletedProcess[str]] = []
    words = (str(SHARE / "stress"), "-t", str(_STRESS_SECONDS), "-s", str(_SEED))
    inside.observed(result, lambda: done.append(inside.program(*words, seconds=40 * _STRESS_SECONDS)))
    _read_stress(done[0], result)


def _read_stress(done: subprocess.CompletedProcess[str], result: Result) -> None:
    before = dict(re.findall(r"^before (\w+) (\d+)$", done.stdout, re.M))
    after = dict(re.findall(r"^after (\w+) (\d+)$", done.stdout, re.M))
    found = re.search(r"^pages checked (\d+) wrong (\d+)$", done.stdout, re.M)
    result.numbers["gained"] = {name: int(value) - int(before.get(name, 0)) for name, value in after.items()}
    if found is None:
        result.fail(f"stress ended with status {done.returncode}: {_last(done)}")
        return
    result.numbers.update(checked=int(found[1]), wrong=int(found[2]))
    if int(found[2]) or done.returncode:
        result.fail(f"{found[2]} of {found[1]} pages held what they must not (status {done.returncode})")


def _moves(inside: Inside, result: Result) -> None:
    """Pages move between nodes, and nothing else happens: a walk that misses a VMA keeps its page from moving."""
    done: list[subprocess.CompletedProcess[str]] = []
    words = (str(SHARE / "stress"), "-t", str(_MOVES_SECONDS), "-s", "23", "-p", "1", "-n", "1", "-1", "migrate,renew")
    inside.observed(result, lambda: done.append(inside.program(*words, seconds=40 * _MOVES_SECONDS)))
    _read_stress(done[0], result)
    gained = result.numbers["gained"]
    failed, moved = gained.get("pgmigrate_fail", 0), gained.get("pgmigrate_success", 0)
    share = failed / (failed + moved) if failed + moved else None
    result.numbers["failed_share"] = share
    if share is not None and share > _MOST_MOVES_FAILED:
        result.fail(f"{failed} of {failed + moved} pages could not be moved: walks miss mappings (at most {_MOST_MOVES_FAILED:.0%} fail where they do not)")  # fmt: skip


def _leak(inside: Inside, result: Result) -> None:
    """Forks, twice as many as are needed: what a leak loses in the first half it loses in the second."""
    observer = inside.observer()
    if observer.source is None:
        result.outcome, result.why = SKIP, observer.why_not
        return
    files = OrphanFiles()
    try:
        reader = files.reader(observer.source)
        if reader.why_not:
            result.outcome, result.why = SKIP, reader.why_not
            return
        rows: list[dict[str, int | None]] = []
        for round_ in range(4):
            if round_:
                inside.program(str(SHARE / "workload"), "forks", str(_FORKS if round_ > 1 else 101), seconds=1800)
            files.barrier.settle()
            rows.append({one.cache: one.orphans for one in reader.read()})
    finally:
        files.close()
    # The first round reads programs from the host and is not counted.
    result.numbers.update(forks=_FORKS, orphans=rows)
    for cache in rows[0]:
        values = [row[cache] for row in rows[1:]]
        if any(value is None for value in values):
            continue
        first, second = (int(b or 0) - int(a or 0) for a, b in itertools.pairwise(values))
        if first >= _LEAST_LEAK and second >= _LEAST_LEAK:
            result.fail(f"{cache} objects are lost: {first} in {_FORKS:,} forks, then {second} in as many")
    if sample := observer.read():
        inside.count_broken(sample)


def _battery(inside: Inside, result: Result) -> None:
    inside.without_observer()
    words = [sys.executable, "-m", "lazyobs", "selftest", "-o", "json", "--timeout", "300", "--only", _SCENARIOS]
    done = inside.program(*words, seconds=3600)
    counts = {PASS: 0, FAIL: 0, SKIP: 0}
    failed = []
    for line in done.stdout.splitlines():
        row = json.loads(line) if line.startswith("{") else {}
        if "scenario" in row:
            counts[row["outcome"]] += 1
            if row["outcome"] == FAIL:
                failed.append(row)
    result.numbers.update(counts=counts, failed=[row["scenario"] for row in failed])
    if failed:
        result.numbers["details"] = {row["scenario"]: _why(row) for row in failed}
        result.fail(f"scenario {first_of([one['scenario'] for one in failed])}: {_why(failed[0])}")
    elif not sum(counts.values()):
        result.fail(f"selftest ended with status {done.returncode}: {_last(done)}")


def _why(row: dict[str, Any]) -> str:
    wrong = next((check for check in row["checks"] if not check["ok"]), None)
    found = f" ({wrong['step']}: {wrong['what']} {wrong['found']}, expected {wrong['expected']})" if wrong else ""
    return f"{row['reason']}{found}"


def _last(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in (done.stdout + "\n" + done.stderr).splitlines() if line.strip()]
    return lines[-1][:_MOST_LETTERS] if lines else "no output"


def _idle(inside: Inside, result: Result) -> None:
    """The machine comes up, and nothing complains."""
    result.numbers.update(release=os.uname().release, version=os.uname().version)
    # What the boot itself said.
    for line in subprocess.run(["dmesg"], capture_output=True, text=True, errors="replace", check=False).stdout.splitlines():  # fmt: skip
        text = re.sub(r"^\[\s*[\d.]+\]\s*(?:\[\s*[TC]\d+\]\s*)?", "", line)
        if kind_of(text):
            result.fail(f"the kernel complained during the boot: {text}")


_STEPS: dict[str, Callable[[Inside, Result], None]] = {
    "boot": _idle,
    "kselftest": _kselftest,
    "moves": _moves,
    "stress": _stress,
    "leak": _leak,
    "battery": _battery,
    "failslab": inside_programs.failslab,
    "script": inside_programs.script,
    "own": inside_programs.own,
}
STEPS = tuple(_STEPS)


def _set_up() -> None:
    """Swap and ksmd, which some tests need and do not set up."""
    Path("/sys/kernel/mm/ksm/run").write_text("1")
    Path("/sys/block/zram0/disksize").write_text("256M")
    for command in (["mkswap", "/dev/zram0"], ["swapon", "/dev/zram0"]):
        subprocess.run(command, check=False, capture_output=True)


def _say(document: dict[str, Any]) -> None:
    print(json.dumps(document), flush=True)


def main() -> int:
    words = sys.argv[1:]
    functions = words[words.index("--watch") + 1].split(",") if "--watch" in words else []
    steps = words[: words.index("--watch")] if "--watch" in words else words
    inside = Inside(functions)
    try:
        _set_up()
    except OSError as error:
        _say({"note": f"no swap or no ksmd: {error}"})
    for step in steps:
        _say({"begin": step})
        result = inside.run(step)
        _say(asdict(result))
        if result.outcome == FAIL:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
