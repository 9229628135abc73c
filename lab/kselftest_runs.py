# SPDX-License-Identifier: MIT
"""``python3 -m lab.kselftest_runs --kernel NAME``: anon_rmap over and over in one guest; the sums go to
kselftest-runs.json, and from there to docs/kernel-selftests.md."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import kselftest, mutations
from .cache import LAB, content_hash
from .errors import reports_errors
from .kernels import kernel
from .mutations import OURS

KEPT = LAB / "kselftest-runs.json"
_SECONDS = 1800


def kept(path: Path = KEPT) -> list[dict[str, Any]]:
    """[{"kernel", "lazy", "cpus", "nodes", "program", "date", "runs", "tests", "passed", "skipped", "failed", "seconds"}].

    ``program`` is a hash of the patch; ``seconds`` those of each run, the shortest first; of a
    row from before that its median alone.
    """
    return json.loads(path.read_text()) if path.exists() else []


def program() -> str:
    """What the rows have of the test as the patch has it."""
    return content_hash([kselftest.PATCH])


def _where(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["kernel"], row["lazy"], row["cpus"], row["nodes"]


def summed(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the runs of one guest come to. ``failed``: {test: in how many of them}; ``passed`` and ``skipped`` are of
    the first run."""
    failed: Counter[str] = Counter()
    for run in runs:
        failed.update(run["failed"])
        failed.update([f"({run['end']})"] if run["end"] != "exit" else [])
    first = runs[0]
    tests = first["passed"] + first["skipped"] + len(first["failed"])
    seconds = sorted(round(run["seconds"]) for run in runs)
    known = {"runs": len(runs), "tests": tests, "passed": first["passed"], "skipped": first["skipped"]}
    return {**known, "failed": dict(failed), "seconds": seconds}


def added(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The runs of two guests as one row."""
    failed = Counter(old["failed"]) + Counter(new["failed"])
    sums = {
        "runs": old["runs"] + new["runs"],
        "failed": dict(failed),
        "seconds": sorted([*old["seconds"], *new["seconds"]]),
    }
    return {**new, **sums, "passed": min(old["passed"], new["passed"])}


def keep(row: Mapping[str, Any], path: Path = KEPT) -> None:
    """Adds the runs of a guest to those of the same kernel, machine and program; runs of another program give way."""
    rows = {_where(old): old for old in kept(path)}
    old = rows.get(_where(row))
    rows[_where(row)] = added(old, row) if old and old["program"] == row["program"] else dict(row)
    lines = ",\n".join(
        f"  {json.dumps(one, sort_keys=True)}" for _, one in sorted(rows.items(), key=lambda item: str(item))
    )
    path.write_text(f"[\n{lines}\n]\n")


def run(name: str, lazy: bool, cpus: int, nodes: int, times: int) -> list[dict[str, Any]]:
    """The results of each run, in one guest."""
    command = [f"/mnt/share/{OURS}"]
    task = {"number": 0, "lazy": lazy, "test": OURS, "command": command, "seconds": _SECONDS, "explain": True}
    machine = ("--kernel", name, "--memory", "3072", "--cpus", str(cpus), "--nodes", str(nodes))
    found = []
    with tempfile.TemporaryDirectory() as folder:
        mutations.put_programs([OURS], Path(folder))
        waiting = [{**task, "mutation": f"run {number}"} for number in range(times)]
        for said in mutations.said_by(waiting, Path(folder), machine):
            if "begins" not in said:
                found.append(said)
                print(f"kselftest: {name}: {said}", file=sys.stderr, flush=True)
    return found


@reports_errors
def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python3 -m lab.kselftest_runs", description=__doc__)
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--lazy", choices=("on", "off"), default="on", help="where the kernel has such a switch")
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--times", type=int, default=1)
    options = parser.parse_args(arguments)
    row = kernel(options.kernel)
    lazy = options.lazy == "on" and row.profile != "mainline"
    runs = run(row.name, lazy, options.cpus, options.nodes, options.times)
    if not runs:
        return 1
    date = time.strftime("%Y-%m-%d", time.gmtime())
    known = {"kernel": row.name, "lazy": lazy, "cpus": options.cpus, "nodes": options.nodes, "date": date}
    known["program"] = program()
    keep({**known, **summed(runs)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
