# SPDX-License-Identifier: MIT
"""Instructions of fork, mmap+touch and munmap in the lab kernel, every probe on beside lazyobs off.

Also with the points that are left out otherwise (--also all), and with empty programs on the tracepoints, which is the
minimum cost of any tool there.

The guest runs with -icount: its clock counts instructions, so the figures do not depend on this machine.
The mmap+touch and munmap figures include reading the clock.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

_ROOT = Path(__file__).parent.parent
_KERNEL = "lab"

# In the guest: the loops alone, then under each tier, with the switch on and off.
_GUEST = """
import json, os, subprocess, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from bench.program_time import empty_programs
from lazyobs.sources.open import open_live

def loops():
    return json.loads(subprocess.run(["/mnt/share/loops"], capture_output=True, check=True).stdout)

found = {}
for switch in ("1", "0"):
    Path("/proc/sys/vm/anon_vma_lazy").write_text(switch)
    figures = found["lazy on" if switch == "1" else "lazy off"] = {"none": loops()}
    with empty_programs():
        figures["empty"] = loops()
    for name, tier, also in (*((tier, tier, "") for tier in ("tracepoint", "kprobe", "fentry")), ("also all", "fentry", "all")):
        os.environ["LAZYOBS_ALSO"] = also
        source = open_live(cap=tier, keep_root=True).source
        figures[name] = loops()
        source.close()
print(json.dumps(found))
"""


def run() -> dict[str, object]:
    with tempfile.TemporaryDirectory() as share:
        source = _ROOT / "tests/lab/guest/loops.c"
        subprocess.run(["gcc", "-O1", "-static", "-o", f"{share}/loops", source], check=True)
        python = str(_ROOT / ".venv/bin/python")
        command = [
            str(_ROOT / "lab/run"),
            "--kernel",
            _KERNEL,
            "--icount",
            "--cpus",
            "1",
            "--timeout",
            "1200",
            "--share",
            share,
        ]
        # The guest's clock skips idle time, and so any timeout.
        command += ["--env", "LAZYOBS_LOADER_SECONDS=1000000"]
        answer = subprocess.run(
            [*command, "--", python, "-c", _GUEST, str(_ROOT)], capture_output=True, cwd=_ROOT, check=False
        )
    if answer.returncode:
        raise RuntimeError(answer.stderr.decode(errors="replace")[-2000:])
    found = json.loads(answer.stdout)
    for figures in found.values():
        for tier in ("empty", "tracepoint", "kprobe", "fentry", "also all"):
            for loop, count in figures["none"].items():
                figures[tier][loop + "_ratio"] = round(figures[tier][loop] / count, 3)
    return {"instructions": found}
