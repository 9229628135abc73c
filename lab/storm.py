# SPDX-License-Identifier: MIT
"""Waits for root anon_vma locks in a storm of forks, laziness off and on: ``python3 -m lab.storm DIRECTORY``.

Boots with vm.anon_vma_lazy off and on alternate, as in ab.py. In each boot a family of processes forks at once
(tests/workloads/contend.c), with VMAs that are parts of one mapping, then with VMAs apart from each other. The clock is
the machine's: two CPUs of the guest have to run at the same time to wait for each other.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy
from scipy import stats

from lab.ab import order

_ROOT = Path(__file__).resolve().parent.parent
_KERNEL = "lab"
_POSITIONS = {"off": "0", "on": "1"}
_CONFIDENCE = 0.95


class Metric(NamedTuple):
    name: str
    of: Callable[[dict[str, Any]], float]


METRICS = (
    Metric("waits per fork", lambda one: one["lock_waits"] / one["copying_forks"]),
    Metric("waited per fork, µs", lambda one: one["lock_waited_ns"] / 1e3 / one["copying_forks"]),
    Metric("waited per second of the storm, ms", lambda one: one["lock_waited_ns"] / 1e6 / one["seconds"]),
    Metric("seconds of the storm", lambda one: one["seconds"]),
    Metric("forks", lambda one: one["copying_forks"]),
    Metric("promotions", lambda one: one["promotions"]),
)


def boot(directory: Path, program: Path, position: str, number: int, numbers: Sequence[int]) -> None:
    """One boot and what it counted, DIRECTORY/POSITION-NUMBER.json; skipped where that exists."""
    file = directory / f"{position}-{number}.json"
    if file.exists():
        return
    print(f"storm: {file.stem}", file=sys.stderr, flush=True)
    command = ["lab/run", "--kernel", _KERNEL, "--timeout", "1200", "--again", "2", "--share", str(program.parent)]
    command += ["--env", "LAZYOBS_LOADER_SECONDS=600", "--env", f"PYTHONPATH={_ROOT}", "--"]
    command += [".venv/bin/python", "lab/guest/storm.py", _POSITIONS[position], f"/mnt/share/{program.name}"]
    done = subprocess.run(
        [*command, *map(str, numbers)], cwd=_ROOT, check=True, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    json.loads(done.stdout)
    file.write_text(done.stdout)


def interval(values: Sequence[float]) -> str:
    """The mean of the boots and its 95 % interval; of one boot the value alone."""
    mean = float(numpy.mean(values))
    if len(values) < 2:
        return f"{mean:.4g}"
    half = stats.t.ppf((1 + _CONFIDENCE) / 2, len(values) - 1) * float(stats.sem(values))
    return f"{mean:.4g} ± {half:.2g}"


def difference(off: Sequence[float], on: Sequence[float]) -> str:
    """on - off and its 95 % interval (Welch)."""
    if len(off) < 2 or len(on) < 2:
        return "unknown: one boot"
    if numpy.ptp(off) == 0 == numpy.ptp(on):  # the same in each boot
        return f"{on[0] - off[0]:+.4g}"
    found = stats.ttest_ind(on, off, equal_var=False).confidence_interval(_CONFIDENCE)
    return f"{numpy.mean(on) - numpy.mean(off):+.4g} ({found.low:+.3g} to {found.high:+.3g})"


def table(boots: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Lines of Markdown. ``boots``: {position: [{form: counts} of each boot]}."""
    lines = []
    for form in boots["off"][0]:
        lines += [f"| {form} | off | on | on - off |", "|---|---|---|---|"]
        for metric in METRICS:
            off, on = ([metric.of(one[form]) for one in boots[position]] for position in _POSITIONS)
            lines.append(f"| {metric.name} | {interval(off)} | {interval(on)} | {difference(off, on)} |")
        lines.append("")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(prog="lab.storm", description=__doc__)
    parser.add_argument(
        "directory", type=Path, help="for what each boot counted; boots that are there are not made again"
    )
    parser.add_argument("--boots", type=int, default=5, help="of each switch position (5)")
    parser.add_argument("--vmas", type=int, default=211)
    parser.add_argument("--children", type=int, default=6)
    parser.add_argument("--forks", type=int, default=71, help="of each child (71)")
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "contend"
        source = _ROOT / "tests/workloads/contend.c"
        subprocess.run(["gcc", "-O2", "-static", "-o", str(program), str(source)], check=True)
        for position, number in order(options.boots):
            boot(options.directory, program, position, number, (options.vmas, options.children, options.forks))
    boots = {
        position: [
            json.loads((options.directory / f"{position}-{number}.json").read_text())
            for number in range(1, options.boots + 1)
        ]
        for position in _POSITIONS
    }
    print("\n".join(table(boots)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
