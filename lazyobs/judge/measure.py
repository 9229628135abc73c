# SPDX-License-Identifier: MIT
"""What a boot of the workload measures, and when there are boots enough.

The guest's clock counts instructions (QEMU's -icount), so that what else this machine does changes nothing. A boot is a
replicate; boots of the arms alternate. Each look at the data takes its share of the error that is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lazyobs.judge.boots import Boot, Job, boot
from lazyobs.judge.checks import APPEND
from lazyobs.kernel.slab import CACHES
from lazyobs.soak import compare
from lazyobs.soak.compare import Judgement
from lazyobs.soak.metrics import JUDGED, RATIO, SHARE, Metric
from lazyobs.soak.thresholds import Thresholds
from lazyobs.soak.verdict import FAIL, PASS
from lazyobs.text import printable

SECONDS = 1800.0  # of the host's, for a boot on a busy machine
LOOKS = 3  # after this many boots of each arm the data are looked at: the first may decide all
# With fewer, some relabelling of the boots makes one of the many numbers as striking by chance.
_FIRST_LOOK = 6
_BETWEEN = 2
_SET_UP = (
    "echo 256M > /sys/block/zram0/disksize; mkswap /dev/zram0 > /dev/null; swapon /dev/zram0; exec /mnt/share/workload"
)
_LINE = re.compile(r"(memory|cost) ([a-z_.]+) (-?\d+(?:\.\d+)?)$|(share) ([a-z_]+) (\d+) (\d+)$")

#: What is held while memory is read, and what of it people call it.
HELD = {
    "alone": "5003 VMAs of one process",
    "family": "101 VMAs, forked 7 times",
    "started": "23 programs started",
}
#: Operations, and what people call them.
COSTS = {
    "first_touch": "first touch of a VMA",
    "unmap": "munmap of a VMA",
    "first_fork": "first fork and exit, 101 VMAs",
    "fork": "later fork and exit, 101 VMAs",
    "fork_and_write": "the same, the child writes 23",
    "split_and_merge": "mprotect: split and merge",
    "move": "mremap and touch",
    "start_a_program": "vfork, execve and exit",
    "page_out": "page out",
    "page_in": "page in",
    "migrate": "migrate a page",
}
SHARES = {"paged_out": "pages that were paged out", "migrated": "pages that were migrated"}


@dataclass(frozen=True)
class Values:
    """Of one boot: {name: number}; bytes, instructions, shares."""

    memory: Mapping[str, float]
    cost: Mapping[str, float]
    share: Mapping[str, float]


def measure(image: Path, share: Path) -> tuple[dict[str, Any], Boot]:
    """One boot. ``why`` in its document is set where it gave no values."""
    job = Job(("sh", "-c", _SET_UP), SECONDS, APPEND, counts=True)
    done = boot(image, job, share)
    return document(done), done


def document(done: Boot) -> dict[str, Any]:
    found: dict[str, dict[str, float]] = {"memory": {}, "cost": {}, "share": {}}
    lines = done.output.partition("begin\n")[2].splitlines()
    for line in lines:
        if match := _LINE.match(line):
            if match[1]:
                found[match[1]][match[2]] = float(match[3])
            elif int(match[7]):
                found["share"][match[5]] = int(match[6]) / int(match[7])
    why = ""
    if done.failure or done.status != 0 or "done" not in lines:
        last = [line for line in done.errors.splitlines() if line.strip()]
        why = done.failure or (
            "no end within the time" if done.hung else last[-1][:300] if last else f"status {done.status}"
        )
    elif done.splats:
        why = f"the kernel complained: {done.splats[0]}"
    return {"values": found, "why": printable(why), "splats": list(done.splats)}


def values(boot_document: Mapping[str, Any]) -> Values | None:
    """None of a boot that failed."""
    if boot_document.get("why") or "values" not in boot_document:
        return None
    given = boot_document["values"]
    return Values(given["memory"], given["cost"], given["share"])


def metrics(base: Sequence[Values], new: Sequence[Values]) -> list[Metric]:
    """One for each number that every boot of both arms has, and that can be compared."""
    found: list[Metric] = []
    if not base or not new:
        return found

    def add(name: str, scale: str, unit: str, of: list[list[float | None]]) -> None:
        if not all(value is not None for arm in of for value in arm):
            return
        first, second = (np.array(arm, dtype=float) for arm in of)
        if scale == RATIO and (first.min() <= 0 or second.min() <= 0):
            return
        found.append(Metric(name, JUDGED, scale, unit, first, second))

    arms = (base, new)
    for key, words in HELD.items():
        add(f"memory: {words}", RATIO, "bytes", [[total(one, key) for one in arm] for arm in arms])
    for key, words in COSTS.items():
        add(words, RATIO, "instructions", [[one.cost.get(key) for one in arm] for arm in arms])
    for key, words in SHARES.items():
        add(words, SHARE, "", [[one.share.get(key) for one in arm] for arm in arms])
    return found


def total(one: Values, held: str) -> float | None:
    """Bytes in the three caches."""
    found = [one.memory.get(f"{held}.{cache}") for cache in CACHES]
    return None if any(value is None for value in found) else float(sum(value or 0 for value in found))


def judged(base: Sequence[Values], new: Sequence[Values], thresholds: Thresholds) -> list[Judgement]:
    """All metrics together, at the level of one look of several."""
    compared = metrics(base, new)
    if not compared or min(len(base), len(new)) < 2:
        return []
    return compare.judge(compared, at_one_look(thresholds))


def at_one_look(thresholds: Thresholds) -> Thresholds:
    return replace(thresholds, compare={**thresholds.compare, "alpha": thresholds.compare["alpha"] / LOOKS})


def is_look(boots: int) -> bool:
    """Whether so many boots of each arm are a time to look."""
    return boots in looks()


def looks() -> list[int]:
    return [_FIRST_LOOK + _BETWEEN * number for number in range(LOOKS)]


def decided(judgements: Sequence[Judgement]) -> bool:
    return bool(judgements) and all(one.outcome in (PASS, FAIL) for one in judgements)


def order(arms: Sequence[str], done: Mapping[str, int]) -> str:
    """The arm whose boot is next: as many of each, in turn there and back (a b, b a, a b, ...)."""
    fewest = min(done.get(arm, 0) for arm in arms)
    waiting = [arm for arm in arms if done.get(arm, 0) == fewest]
    return waiting[0] if fewest % 2 == 0 else waiting[-1]


def same_kernel(boots: Sequence[Values]) -> dict[str, float]:
    """A/A: {metric: by how much two boots of one kernel differ at most, as a share of their mean}."""
    if len(boots) < 2:
        return {}
    found = {}
    for metric in metrics(boots, boots):
        mean = float(metric.base.mean())
        found[metric.name] = float(np.ptp(metric.base)) / mean if mean else 0.0
    return found
