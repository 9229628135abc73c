# SPDX-License-Identifier: MIT
"""Runs scenarios in sequence, each in a new process, and judges the results."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from lazyobs.kernel.log import KernelLog, kind_of
from lazyobs.model import Sample
from lazyobs.selftest import features
from lazyobs.selftest.judge import Judge
from lazyobs.selftest.pattern import WrongPage
from lazyobs.selftest.probes import Observer
from lazyobs.selftest.readings import Blind, Span, Violations
from lazyobs.selftest.results import Result
from lazyobs.selftest.scenario import Scenario
from lazyobs.selftest.settings_guard import Guardian
from lazyobs.selftest.workers import Worker, WorkerDied, WorkerTimedOut
from lazyobs.text import plural


@dataclass(frozen=True)
class Options:
    """``off_by`` is added to every expected number; ``spoil`` is the number of a step that corrupts a page.

    Both exist to prove that a scenario can fail. ``timeout`` is in seconds, per scenario.
    """

    seed: int = 0
    timeout: float = 45.0
    off_by: int = 0
    spoil: int | None = None


class Battery:
    def __init__(self, observer: Observer, options: Options) -> None:
        self._observer, self._options = observer, options
        self._guardian = Guardian()
        self._log = KernelLog()
        self._violations = Violations()
        self._of_no_use: dict[str, str] = {}  # features that exist but do not work: name -> reason

    def run(self, scenario: Scenario) -> Result:
        """Runs one scenario and restores the machine's settings, whether it passes, fails or skips."""
        result = Result(scenario.name)
        why = features.missing(scenario.needs) or self._why_of_no_use(scenario.needs)
        if why:
            result.skip(why)
            return result
        began = time.monotonic()
        list(self._log.records())  # earlier kernel messages do not belong to this scenario
        mark = self._guardian.records
        try:
            settings = features.set_up(scenario.needs, self._guardian)
        except OSError as error:
            result.skip(f"setting up {', '.join(scenario.needs)}: {error}")
        else:
            self._run(scenario, settings, result)
        finally:
            for failure in self._guardian.restore(mark):
                result.fail(f"not restored: {failure}")
        self._hear_kernel(result)
        if result.outcome == "pass" and not result.has_checked:
            why = self._observer.why_not or "this tier provides none of its numbers"
            result.skip(f"nothing can be checked: {why}")
        result.seconds = time.monotonic() - began
        return result

    def _why_of_no_use(self, needs: tuple[str, ...]) -> str:
        return next((self._of_no_use[name] for name in needs if name in self._of_no_use), "")

    def _run(self, scenario: Scenario, settings: dict[str, Any], result: Result) -> None:
        task = {
            "name": scenario.name,
            "module": scenario.module.rpartition(".")[2],
            "seed": self._options.seed,
            "spoil": self._options.spoil,
            "settings": settings,
        }
        worker = Worker(task, time.monotonic() + self._options.timeout)
        try:
            self._conduct(scenario, worker, result)
        except WorkerTimedOut as hung:
            result.fail(
                f"not done after {self._options.timeout:g} s (--timeout), last completed step {result.last_step!r}: {hung}"
            )
        except WorkerDied as death:
            result.fail(f"its process ended after step {result.last_step!r}: {death}")
        finally:
            worker.end()
        if result.failed_checks():
            result.fail(f"{len(result.failed_checks())} of {len(result.checks)} numbers differ")
        if result.wrong:
            result.fail(f"{len(result.wrong)} wrong pages")

    def _conduct(self, scenario: Scenario, worker: Worker, result: Result) -> None:
        """Reads the probes each time the worker stops, then lets it continue."""
        warm = before = None
        judge = self._judge(None, None, worker.pid)
        steps = {step.name: step for step in scenario.steps}
        while True:
            message = worker.hear()
            now = self._observer.read()
            if now is not None and now.failed:
                part, why = next(iter(now.failed.items()))
                result.fail(f"the probes cannot be read: {part}: {why}")
                return
            for invariant, times in (self._violations.new(now) if now else {}).items():
                behind = message.get("step", result.last_step)
                result.fail(
                    f"the kernel broke the invariant {invariant} {times} {plural(times, 'time')} by step {behind!r} "
                    "(lazyobs help invariants)"
                )
            if "warm" in message:
                warm = now
            elif "calibrated" in message:
                judge = self._judge(warm, now, worker.pid, message["wiped"])
            elif "step" in message:
                reading = (
                    Span(before, now, message["pids"], steps[message["step"]].actors) if before and now else Blind()
                )
                result.checks += judge.checks(steps[message["step"]], reading, message["facts"])
                result.pages += message["checked"]
                result.wrong += [WrongPage(**page) for page in message["wrong"]]
                result.notes += message["notes"]
                result.last_step = message["step"]
            elif "skip" in message:
                result.skip(message["skip"])
                # "ksm: ...": finding out takes time, so later scenarios skip at once.
                feature = message["skip"].partition(":")[0]
                if feature in scenario.needs:
                    self._of_no_use[feature] = message["skip"]
                return
            elif "error" in message:
                result.fail(message["error"][-1])
                result.notes += message["error"]
                return
            elif "done" in message:
                return
            before = now
            worker.go_on()

    def _judge(self, before: Sample | None, after: Sample | None, pid: int, wiped: int = 0) -> Judge:
        """Calibrates: a fork between the samples allocates one anon_vma for each VMA of the interpreter."""
        lazy = bool(after and after.kernel.lazy_enabled)
        inherited = Span(before, after, [pid]).observed()["anon_vma_allocs"] if before and after else 0
        return Judge(self._observer.profile, lazy, inherited or 0, self._options.off_by, wiped)

    def _hear_kernel(self, result: Result) -> None:
        records = list(self._log.records())
        lines = [f"[{record.since_boot:12.6f}] {record.text}" for record in records]
        complaint = next((line for line, record in zip(lines, records) if kind_of(record.text)), None)
        if complaint:
            result.fail(f"the kernel complained: {complaint}")
        if result.outcome == "fail":
            result.kernel_log = lines or [f"cannot be read: {self._log.why_not}" if self._log.why_not else "nothing"]

    def close(self) -> None:
        """Restores everything."""
        self._guardian.close()
        self._log.close()
