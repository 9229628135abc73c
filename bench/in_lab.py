# SPDX-License-Identifier: MIT
"""Benchmarks of instructions in a guest of the lab, beside the peers that another release of Debian has.

``python -m bench.in_lab [KERNEL [ROOT [NAME,..]]]``: debian-7.3 with the userland sid-peers, which has the newest BCC and
bpftrace. The guest's clock counts instructions (-icount), so that what a benchmark takes for nanoseconds are instructions,
and depend neither on the machine nor on its load. The results are kept under the guest's name.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import counting_guest, results
from bench.islands import PREBUILT, SOURCE

KERNEL, USERLAND, NAMES = "debian-7.3", "sid-peers", "event_cost,unrelated"
_ROOT = Path(__file__).resolve().parent.parent
_GUEST = """
import importlib, json, os, sys
from bench import results
found = {name: importlib.import_module("bench." + name).run() for name in sys.argv[1].split(",")}
print(json.dumps({"release": os.uname().release, "identity": results.identity(), "figures": found}))
"""


def measure(kernel: str, userland: str, names: str) -> dict[str, Any]:
    """{"release", "identity", "figures": {benchmark: its result}}. RuntimeError where the guest or a benchmark fails."""
    subprocess.run([sys.executable, "-m", "lab.build", kernel, "--root", userland], cwd=_ROOT, check=True)
    with tempfile.TemporaryDirectory() as share:
        subprocess.run(["gcc", "-O1", "-static", "-o", f"{share}/islands", SOURCE], check=True)
        options = ("--root", userland, "--memory", "4096", "--env", f"{PREBUILT}=/mnt/share/islands")
        found: dict[str, Any] = counting_guest.answer(
            kernel, share, "python3", "-c", _GUEST, names, seconds=7200, options=options
        )
    return found


def main() -> None:
    asked = sys.argv[1:]
    kernel, userland, names = (*asked, *(KERNEL, USERLAND, NAMES)[len(asked) :])
    found = measure(kernel, userland, names)
    where = f"The lab: {kernel} (Linux {found['release'].split('-')[0]}), userland {userland}; ns are instructions"
    identity = {**found["identity"], "commit": results.commit(), "load": None}
    for name, figures in found["figures"].items():
        results.keep(name, figures, where=where, known=identity)
    results.main()


if __name__ == "__main__":
    main()
