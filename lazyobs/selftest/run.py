# SPDX-License-Identifier: MIT
"""Command-line side of the battery: selects and orders the scenarios, runs them, and prints the results."""

from __future__ import annotations

import fnmatch
import random
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from lazyobs.errors import NotPermitted, UsageError
from lazyobs.selftest import features, scenario
from lazyobs.selftest.battery import Battery, Options
from lazyobs.selftest.probes import Observer
from lazyobs.selftest.results import EXIT_SKIPPED, JsonLines, Ktap, Result, exit_code
from lazyobs.selftest.scenario import Scenario
from lazyobs.text import printable
from lazyobs.unix.capabilities import why_not_bpf
from lazyobs.views.lines import json_line


@dataclass(frozen=True)
class Selection:
    only: str | None = None
    repeat: int = 1
    seed: int = 0

    def scenarios(self) -> list[Scenario]:
        """The selected scenarios. UsageError if a pattern matches none."""
        known = scenario.load()
        if self.only is None:
            return list(known.values())
        chosen: set[str] = set()
        for pattern in self.only.split(","):
            matching = fnmatch.filter(known, pattern)
            if not matching:
                raise UsageError(f"--only {pattern}", "no such scenario", "see lazyobs selftest --list")
            chosen.update(matching)
        return [found for name, found in known.items() if name in chosen]

    def runs(self) -> list[tuple[str, Scenario]]:
        """All runs in order: (reported name, scenario)."""
        chosen = self.scenarios()
        every = [
            (f"{one.name}_{number}" if self.repeat > 1 else one.name, one)
            for number in range(1, self.repeat + 1)
            for one in chosen
        ]
        if self.seed:
            random.Random(self.seed).shuffle(every)  # noqa: S311 - shuffles, keeps no secret
        return every


def list_scenarios(selection: Selection, output: str) -> None:
    """Prints each scenario, its needs, and which need is missing on this machine."""
    chosen = selection.scenarios()
    width = max(len(one.name) for one in chosen)
    for one in chosen:
        why = features.missing(one.needs)
        if output == "json":
            document = {"scenario": one.name, "about": one.about, "needs": one.needs, "missing": why or None}
            print(json_line({**document, "steps": [step.name for step in one.steps]}))
        else:
            print(f"{one.name:{width}} {one.about}")
            if one.needs:
                print(f"{'':{width}} needs {', '.join(one.needs)}" + (f" -- {printable(why)}" if why else ""))


def run(
    selection: Selection, profile: Path | None, tier: str | None, output: str, timeout: float, verbose: bool
) -> int:
    """Runs the battery; returns the exit code. On KeyboardInterrupt it bails out, restores settings and re-raises."""
    runs = selection.runs()
    try:
        if tier != "procfs" and (why := why_not_bpf()):
            raise NotPermitted(
                "counting events",
                why,
                "run it with sudo, or add --tier procfs to check only page contents",
            )
    except NotPermitted as error:
        print(f"KTAP version 1\n1..0 # SKIP {printable(str(error))}")
        return EXIT_SKIPPED
    # Battery starts the guardian before anything is changed.
    observer = Observer(profile, tier, by_process=True)
    battery = Battery(observer, Options(selection.seed, timeout))
    report = JsonLines(sys.stdout) if output == "json" else Ktap(sys.stdout, verbose)
    results: list[Result] = []
    try:
        heading = observer.heading()
        report.begin(len(runs), heading)
        for name, one in runs:
            results.append(replace(battery.run(one), name=name))
            report.result(results[-1])
        report.end(_remarks(results))
    except KeyboardInterrupt:
        report.bail_out("interrupted")
        raise
    finally:
        battery.close()
        observer.close()
    return exit_code(results)


def _remarks(results: list[Result]) -> list[str]:
    checks = [check for result in results for check in result.checks]
    unknown = sorted({check.what for check in checks if not check.is_known})
    remarks = [
        f"{sum(result.pages for result in results)} pages compared, "
        f"{sum(check.is_known for check in checks)} numbers checked"
    ]
    if unknown:
        remarks.append(f"not known at this tier and not checked: {' '.join(unknown)}")
    return remarks
