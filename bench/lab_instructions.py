# SPDX-License-Identifier: MIT
"""Instructions of fork, mmap+touch and munmap in the lab kernel, every probe on beside lazyobs off.

Also with the points that are left out otherwise (--also), one by one and all; with empty programs on the tracepoints and
at the entry and exit of copy_page_range(), which is the minimum cost of any tool there; with programs that count by
process and do nothing else (least.py); and with programs that BCC compiled in the guest, whose constants clang knew:
those that come along must not run longer. The process that forks has 213 VMAs, 206 of them with an anon_vma.

The guest runs with -icount: its clock counts instructions, so the figures do not depend on this machine.
The mmap+touch and munmap figures include reading the clock.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from bench import counting_guest
from lab.kernels import default_name

_ROOT = Path(__file__).parent.parent
#: Where programs are measured from an image and compiled.
_TIERS = ("tracepoint", "kprobe", "fentry")

# In the guest: the loops alone, then under each tier, with the switch on and off.
_GUEST = """
import json, os, subprocess, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
tiers = sys.argv[2].split(",")
from bench.least import least_programs
from bench.program_time import empty_function_programs, empty_programs
from lazyobs.bpf.optional import COSTS
from lazyobs.sources.open import open_live

def loops():
    return json.loads(subprocess.run(["/mnt/share/loops"], capture_output=True, check=True).stdout)

found = {}
for switch in ("1", "0"):
    Path("/proc/sys/vm/anon_vma_lazy").write_text(switch)
    figures = found["lazy on" if switch == "1" else "lazy off"] = {"none": loops()}
    with empty_programs():
        figures["empty"] = loops()
    with least_programs():
        figures["least"] = loops()
    with empty_function_programs("copy_page_range"):
        figures["empty page_tables"] = loops()
    ways = [(tier, tier, "", "") for tier in tiers]
    ways += [(f"also {name}", "fentry", name, "") for name in (*COSTS, "all")]
    for name, tier, also, compile in (*ways, *((f"{tier} compiled", tier, "", "1") for tier in tiers)):
        os.environ.update(LAZYOBS_ALSO=also, LAZYOBS_COMPILE=compile)
        source = open_live(cap=tier, keep_root=True).source
        if bool(compile) == bool(source.session.image):
            raise SystemExit(f"{name}: image {source.session.image}, {source.session.why_compiled}")
        figures[name] = loops()
        source.close()
print(json.dumps(found))
"""


def run() -> dict[str, object]:
    with tempfile.TemporaryDirectory() as share:
        source = _ROOT / "tests/lab/guest/loops.c"
        subprocess.run(["gcc", "-O1", "-static", "-o", f"{share}/loops", source], check=True)
        python = str(_ROOT / ".venv/bin/python")
        tiers = ",".join(_TIERS)
        found = counting_guest.answer(default_name(), share, python, "-c", _GUEST, str(_ROOT), tiers, seconds=3000)
    for figures in found.values():
        for name in figures.keys() - {"none"}:
            for loop, count in figures["none"].items():
                figures[name][loop + "_ratio"] = round(figures[name][loop] / count, 3)
        for tier in _TIERS:
            figures[f"{tier} image to compiled"] = {
                loop: round(figures[tier][loop] / figures[f"{tier} compiled"][loop], 4) for loop in figures["none"]
            }
    return {"kernel": default_name(), "instructions": found}
