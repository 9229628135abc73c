# SPDX-License-Identifier: MIT
"""Runs in a guest, behind the workload: two processes of one family fork at the same time, and the probes count how
often and how long they waited for the lock of their anon_vmas' root. One line of JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from lazyobs.judge.inside_programs import SHARE
from lazyobs.model import Sample
from lazyobs.selftest.probes import Observer

POINT = "lock"
FORKS = 503  # of each of two processes
_SECONDS = 900.0


def measured() -> dict[str, Any]:
    """{forks, waits, waited_ns, why_not}: null, and the reason, where this kernel cannot say."""
    observer = Observer()
    try:
        before = observer.read()
        if before is None:
            return unknown(observer.why_not)
        if before.tiers.get(POINT) is None:
            return unknown(f"probe point {POINT} cannot be attached to this kernel")
        command = [str(SHARE / "workload"), "contend", str(FORKS)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
        after = observer.read()
    except (OSError, subprocess.SubprocessError) as error:
        return unknown(f"two processes that fork: {error}")
    finally:
        observer.close()
    if done.returncode:
        return unknown(f"two processes that fork ended with status {done.returncode}")
    if after is None:
        return unknown("the probes were lost")
    return gained(before, after)


def gained(before: Sample, after: Sample) -> dict[str, Any]:
    """What was counted between two samples. A wait is as long as the guest's clock says."""
    found: dict[str, Any] = {"forks": 2 * FORKS, "why_not": ""}
    for name, counter in (("waits", "lock_waits"), ("waited_ns", "lock_waited_ns")):
        now, old = after.totals.get(counter), before.totals.get(counter)
        if not isinstance(now, int) or not isinstance(old, int):
            return unknown(f"{counter} is not known")
        found[name] = now - old
    return found


def unknown(why: str) -> dict[str, Any]:
    return {"forks": None, "waits": None, "waited_ns": None, "why_not": why}


def main() -> int:
    print(json.dumps({"waits": measured()}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
