# SPDX-License-Identifier: MIT
"""What a boot of the workload measures, and when there are boots enough.

The guest's clock counts instructions (QEMU's -icount), so that what else this machine does changes nothing. A boot is a
replicate; boots of the arms alternate. Each look at the data takes its share of the error that is allowed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lazyobs.judge.boots import Boot, Job, boot, python
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
_SET_UP = "echo 256M > /sys/block/zram0/disksize; mkswap /dev/zram0 > /dev/null; swapon /dev/zram0; "
_WORKLOAD = "/mnt/share/workload"
_SCRIPT_BEGINS = "script begins\n"
_SCRIPT = re.compile(r"^script (\d{1,18}) (\d{1,3})$", re.M | re.ASCII)
_MOST_OF_SCRIPT = 40  # numbers that a program of the user's may print
_MOST_NUMBERS = 200  # of each kind that a boot may print
_LINE = re.compile(r"(memory|cost) ([a-z_.]{1,60}) (-?\d{1,18}(?:\.\d{1,9})?)$|(share) ([a-z_]{1,60}) (\d{1,18}) (\d{1,18})$", re.ASCII)  # fmt: skip

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
SHARES = {
    "paged_out": "pages that were paged out",
    "migrated": "pages that were migrated",
    "migrated_shared": "pages of three processes that were migrated",
}
#: What says how well it went and is not judged: it depends on more than the patch, or differs between boots of a kernel.
RECLAIMED = "reclaimed_shared"
#: Boots of each arm in which waits for locks are counted: with the clock of the host, on two CPUs at the same time.
WAITS_BOOTS = 5
_WAITS_SECONDS = 900.0
_WAITS = ("forks", "waits", "waited_ns")


@dataclass(frozen=True)
class Values:
    """Of one boot: {name: number}; bytes, instructions, shares. ``script``, ``script_share``: of a program of the
    user's, by the names that it gives them; its own instructions under WHOLE."""

    memory: Mapping[str, float]
    cost: Mapping[str, float]
    share: Mapping[str, float]
    script: Mapping[str, float] = field(default_factory=dict)
    script_share: Mapping[str, float] = field(default_factory=dict)


#: Of a program of the user's: what its numbers are called, and the one of its run.
GIVEN, WHOLE = "workload given", "all of it"


def measure(image: Path, share: Path, script: str = "") -> tuple[dict[str, Any], Boot]:
    """One boot. ``why`` in its document is set where it gave no values. ``script``: the name of a program of the user's
    in ``share``, which runs behind the workload."""
    if script:
        command = f"{_SET_UP}{_WORKLOAD} && exec {_WORKLOAD} time /mnt/share/{script}"
    else:
        command = f"{_SET_UP}exec {_WORKLOAD}"
    done = boot(image, Job(("sh", "-c", command), SECONDS, APPEND, counts=True), share)
    return document(done, bool(script)), done


def document(done: Boot, with_script: bool = False) -> dict[str, Any]:
    output, _, of_script = done.output.partition("begin\n")[2].partition(_SCRIPT_BEGINS)
    lines = output.splitlines()
    why = _why(done, lines)
    found: dict[str, Any] = {"values": _numbers(lines), "why": printable(why), "splats": list(done.splats)}
    if with_script:
        ends = _SCRIPT.findall(of_script)
        found["script"] = _of_script(of_script, ends) if ends and not why else None
        if not ends and not why:
            found["why"] = "the workload given did not come to an end"
    return found


def _of_script(output: str, ends: list[tuple[str, str]]) -> dict[str, Any]:
    took, status = ends[-1]
    own = _numbers(output.splitlines())
    last = [line for line in _SCRIPT.sub("", output).splitlines() if line.strip()]
    kept = {kind: dict(list(own[kind].items())[:_MOST_OF_SCRIPT]) for kind in ("cost", "share")}
    return {"status": int(status), "took": float(took), **kept, "last": printable(last[-1])[:300] if last else "no output"}  # fmt: skip


def _numbers(lines: Sequence[str]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {"memory": {}, "cost": {}, "share": {}}
    for line in lines:
        if match := _LINE.match(line):
            kind, name = match[1] or "share", match[2] or match[5]
            if name not in found[kind] and len(found[kind]) >= _MOST_NUMBERS:
                continue
            if match[1]:
                found[kind][name] = float(match[3])
            elif int(match[7]):
                found[kind][name] = int(match[6]) / int(match[7])
    return found


def _why(done: Boot, lines: Sequence[str]) -> str:
    why = ""
    if done.failure or done.status != 0 or "done" not in lines:
        last = [line for line in done.errors.splitlines() if line.strip()]
        why = done.failure or (
            "no end within the time" if done.hung else last[-1][:300] if last else f"status {done.status}"
        )
    elif done.splats:
        why = f"the kernel complained: {done.splats[0]}"
    return why


def waits(image: Path, share: Path) -> tuple[dict[str, Any], Boot]:
    """One boot in which waits for the lock of a root anon_vma are counted. ``why`` is set where the kernel died."""
    done = boot(image, Job(python("lazyobs.judge.waits"), _WAITS_SECONDS, APPEND), share)
    return waits_document(done), done


def waits_document(done: Boot) -> dict[str, Any]:
    """``waits``: {forks, waits, waited_ns, why_not}; the numbers are null where they are not known, for that reason."""
    found: dict[str, Any] = dict.fromkeys(_WAITS)
    why_not = "nothing was said of them"
    for line in done.output.splitlines():
        try:
            row = json.loads(line)["waits"]
            numbers = {name: row[name] for name in _WAITS}
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        why_not = printable(str(row.get("why_not", "")))[:300]
        if all(type(number) is int and 0 <= number < 1 << 63 for number in numbers.values()) and numbers["forks"]:
            found = numbers
        else:
            why_not = why_not or "what was said of them is no number"
    why = done.failure or (f"the kernel complained: {done.splats[0]}" if done.splats else "")
    return {"waits": {**found, "why_not": why_not}, "why": printable(why), "splats": list(done.splats)}


def values(boot_document: Mapping[str, Any]) -> Values | None:
    """None of a boot that failed."""
    if boot_document.get("why") or "values" not in boot_document:
        return None
    given = boot_document["values"]
    script = boot_document.get("script") or {"status": None}
    if script["status"] != 0:
        return Values(given["memory"], given["cost"], given["share"])
    return Values(given["memory"], given["cost"], given["share"], {WHOLE: script["took"], **script["cost"]}, script["share"])  # fmt: skip


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
    for key in base[0].script:
        add(f"{GIVEN}: {key}", RATIO, "instructions" if key == WHOLE else "as it says", [[one.script.get(key) for one in arm] for arm in arms])  # fmt: skip
    for key in base[0].script_share:
        add(f"{GIVEN}: {key}, share", SHARE, "", [[one.script_share.get(key) for one in arm] for arm in arms])
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
