# SPDX-License-Identifier: MIT
"""Runs in a guest: a storm of forks with the switch at one position, a JSON object on stdout.

``storm.py POSITION CONTEND VMAS CHILDREN FORKS``: CONTEND is the compiled workload (tests/workloads/contend.c).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from lazyobs.model import Sample
from lazyobs.sources.open import open_live
from lazyobs.sources.source import Source

SWITCH = Path("/proc/sys/vm/anon_vma_lazy")
FORMS = {"parts": (), "apart": ("apart",)}
COUNTS = ("copying_forks", "lock_waits", "lock_write_waits", "lock_waited_ns", "promotions", "anon_vma_allocs")


def of_totals(sample: Sample) -> dict[str, int]:
    """KeyError or ValueError where this kernel does not give one of COUNTS: a null is no 0."""
    found = {name: sample.totals[name] for name in COUNTS}
    if None in found.values():
        raise ValueError(f"null: {', '.join(name for name, value in found.items() if value is None)}")
    return found


def storm(source: Source, contend: str, numbers: list[str], form: tuple[str, ...]) -> dict[str, Any]:
    """What was counted from the first page touched to the last child reaped, and the seconds of the forks."""
    before = of_totals(source.read())
    family = subprocess.Popen([contend, *numbers, *form], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert family.stdin is not None and family.stdout is not None
    family.stdout.readline()
    start = time.monotonic()
    family.stdin.write("\n")
    family.stdin.flush()
    family.stdout.readline()
    seconds = time.monotonic() - start
    family.communicate("\n")
    sample = source.read()
    after = of_totals(sample)
    return {
        "seconds": seconds,
        "locks_unplaced": sample.health["locks_unplaced"],
        **{name: after[name] - before[name] for name in COUNTS},
    }


def main() -> None:
    position, contend, *numbers = sys.argv[1:]
    SWITCH.write_text(position)
    source = open_live(keep_root=True).source
    storm(source, contend, ["11", "2", "3"], ())  # what a first run reads from the host
    print(json.dumps({form: storm(source, contend, numbers, arguments) for form, arguments in FORMS.items()}))


main()
