# SPDX-License-Identifier: MIT
"""``.venv/bin/python -m bench [NAME,..]``: runs the benchmarks and prints a line of JSON for each.

It prints goals with the ratios but does not judge them; the spread shows the noise of the machine. What it finds goes to
results.json and docs/results.md (results.py).
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import json
import sys
import traceback

from bench import results

# name: what it measures, its peer, and the goal
BENCHMARKS = {
    "start": "time to first numbers and memory beside a stock BCC tool; <= 1 the first time, <= 0.75 later, <= 0.17 PSS",
    "event_cost": "ns per counted event beside bpftrace on the same events; <= 0.5",
    "lock_cost": "ns per wait for a root anon_vma's lock beside bpftrace on the same waits; <= 1.0",
    "unrelated": "ns per unrelated slab allocation beside an empty program; within noise",
    "census": "census of 40,000 VMAs beside reading smaps; >= 10 times faster",
    "cost_model": "how a reading grows with processes, VMAs, cgroups and events: fitted exponents; <= 1.2",
    "budget": "samples over a budget under slab allocations, a fork bomb and 100,000 VMAs; <= 3, or beside the floor",
    "workloads": "fork, mmap and fault loops with everything on beside off; <= 1.02",
    "ring": "events decoded per CPU second beside BCC's callback; >= 20 bulk, >= 4 light",
    "recording": "bytes per event on disk, CPU per million recorded events, CPU of record beside procps' top",
    "soak_truth": "report and compare on simulated recordings with a known answer: false FAIL <= 0.01, found >= 0.95, 0.9",
    "leaks": "twenty set-ups that leak: who and by what path, by summary, top and report; 20 of 20 (docs/leaks.md)",
    "lab_instructions": "instructions of fork, mmap+touch and munmap in the lab, by tier, beside none; images beside compiled",
    "screen": "CPU of the full screen at 1 s with 500 processes, beside htop and bpftrace; <= 2 % of a CPU",
    "soak_scale": "report on 24 h of 10, 25, 50 and 100 hosts, a million events each; <= 60 s, <= 2 GB, linear",
    "scale_out": "report and compare on a day of 100 hosts with DuckDB and on a Spark cluster of which a worker dies; the same",
    "fleet_scale": "500 simulated targets and one Prometheus: series, memory, rules, scrapes; federated to a second",
    "soak_self": "record, export and top for 30 minutes while processes come and go: flat, and counts equal",
    "exporter": "CPU and memory of a scrape with 500 processes; <= 20 ms, <= 35 MB",
}

# Each takes longer than all the others together, or the whole machine: by name only.
LONG = ("soak_scale", "soak_truth", "scale_out", "fleet_scale", "soak_self")
SHORT = [name for name in BENCHMARKS if name not in LONG]


def main() -> int:
    names = _asked()
    failed = 0
    for name in names:
        try:
            result = importlib.import_module(f"bench.{name}").run()
        except Exception:
            traceback.print_exc()
            failed += 1
            continue
        print(json.dumps({"benchmark": name, "about": BENCHMARKS[name], **result}), flush=True)
        results.keep(name, result)
        results.main()
    return 1 if failed else 0


def _asked() -> list[str]:
    """The benchmarks of the command line. Ends the program for --help (0) and for wrong usage (2)."""
    about = "\n".join(f"  {name:16} {text}" for name, text in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure what lazyobs costs beside its peers, a line of JSON for each benchmark. Run it as root on\n"
        "a quiet machine, with the Python of .venv (make bench BENCH=NAME,.. does both).",
        epilog=f"benchmarks, their peers and goals:\n{about}\n\nby name only: {', '.join(LONG)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "names", nargs="?", metavar="NAME,..", default=",".join(SHORT), help="default: all that are short"
    )
    parser.add_argument("--missing", action="store_true", help="only those without a result of this machine")
    asked = parser.parse_args()
    names: list[str] = asked.names.split(",")
    for name in names:
        if name not in BENCHMARKS:
            near = difflib.get_close_matches(name, BENCHMARKS, 1)
            meant = f" (did you mean {near[0]}?)" if near else ""
            parser.exit(2, f"bench: there is no benchmark {name!r}{meant}; use {', '.join(BENCHMARKS)}\n")
    return results.missing(names) if asked.missing else names


sys.exit(main())
