# SPDX-License-Identifier: MIT
"""Hours of a guest's own clock, which skips idle time: ``python -m bench.hours [SECONDS [EVERY [KERNEL]]]`` (six hours,
a sample every ten seconds, debian-7.3).

bench/soak_self.py, whole, as it runs in real time, with a kernel, timers and clocks that have lived as long as they say;
but a second in which nothing is to be done passes at once. The clock counts instructions (-icount): a busy second is the
longer the slower the emulator is.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time

from bench import counting_guest
from bench.soak_self import LIMITS

SECONDS, EVERY, KERNEL = 6 * 3600.0, 10.0, "debian-7.3"
_REAL_SECONDS = 9000  # at most


def main() -> int:
    asked = sys.argv[1:]
    seconds, every = (*map(float, asked[:2]), *(SECONDS, EVERY)[len(asked[:2]) :])
    kernel = asked[2] if len(asked) > 2 else KERNEL
    began = time.monotonic()
    # It is to say what it found, also where that is a failure.
    module = f"import json, bench.soak_self; print(json.dumps(bench.soak_self.run({seconds!r}, 1.0, {every!r})))"
    with tempfile.TemporaryDirectory() as share:
        command = (sys.executable, "-c", module)
        found = counting_guest.answer(kernel, share, *command, seconds=_REAL_SECONDS, options=("--memory", "4096"))
    found |= {"kernel": kernel, "real_seconds": round(time.monotonic() - began)}
    for process, figures in found["judged"].items():
        for name in (one for one in LIMITS if one in figures):
            row = figures[name]
            print(f"{process} {name}: {row['word']}, {row['first']:.0f} to {row['last']:.0f}", file=sys.stderr)
    json.dump(found, sys.stdout, indent=1)
    print()
    return 0 if found["held"] else 1


if __name__ == "__main__":
    sys.exit(main())
