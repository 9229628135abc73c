# SPDX-License-Identifier: MIT
"""``python -m bench [NAME,..]``: runs the benchmarks and prints a line of JSON for each.

It prints goals with the ratios but does not judge them; the spread shows the noise of the machine.
"""

from __future__ import annotations

import importlib
import json
import sys
import traceback

# name: what it measures, its peer, and the goal
BENCHMARKS = {
    "start": "time to first numbers and memory beside a stock BCC tool; <= 1.5 first in a boot, <= 1 warm, <= 0.25 PSS",
    "event_cost": "ns per counted event beside bpftrace on the same events; <= 0.5",
    "unrelated": "ns per unrelated slab allocation beside an empty program; within noise",
    "census": "census of 40,000 VMAs beside reading smaps; >= 8 times faster",
    "workloads": "fork, mmap and fault loops with everything on beside off; <= 1.02",
    "ring": "events decoded per CPU second beside BCC's callback; >= 20 bulk, >= 4 light",
    "recording": "bytes per event on disk, CPU per million recorded events",
    "soak_truth": "report and compare on simulated recordings with a known answer: false FAIL <= 0.01, found >= 0.95, 0.9",
    "lab_instructions": "instructions of fork, mmap+touch and munmap in the lab, every probe on beside off; <= 1.02",
    "screen": "CPU of the full screen at 1 s with 500 processes, beside htop and bpftrace; <= 2 % of a CPU",
    "soak_scale": "report on 24 h of 10, 25, 50 and 100 hosts, a million events each; <= 60 s, <= 2 GB, linear",
    "exporter": "CPU and memory of a scrape with 500 processes; <= 20 ms, <= 35 MB",
}


def main() -> int:
    names = sys.argv[1].split(",") if len(sys.argv) > 1 else list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"bench: no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    failed = 0
    for name in names:
        try:
            result = importlib.import_module(f"bench.{name}").run()
        except Exception:
            traceback.print_exc()
            failed += 1
            continue
        print(json.dumps({"benchmark": name, "about": BENCHMARKS[name], **result}), flush=True)
    return 1 if failed else 0


sys.exit(main())
