# SPDX-License-Identifier: MIT
"""Text that acts on a terminal, page or log if it gets there raw, and recordings full of it."""

from __future__ import annotations

import dataclasses
import unicodedata
from pathlib import Path
from typing import Any

from lazyobs.model import Kernel, Sample, Slab
from lazyobs.recording import samples
from lazyobs.recording.directory import Directory
from lazyobs.recording.writer import Store
from tests.recording import made
from tests.recording.made import event_rows
from tests.recording.samples import sample

# Sets the title (twice), clears the screen (C1 control), turns the direction of writing, ends a line three ways.
HOSTILE = "evil\x1b]0;owned\x07\u202e\x9b2J\u2028\x85\n<b>INJECTED</b>\r\x1b[31m"


def acting(output: str, pages: bool = False, lines: bool = True) -> list[str]:
    """What of ``output`` acts, with its surroundings; [] if all of it is plain. ``pages``: it is HTML, where libraries
    bring letters of their own and only those of HOSTILE count. ``lines``: also a line that it begins by itself; not for
    what wraps words."""
    suspects = set(HOSTILE) - {"\n", "\r"} if pages else set(output) - {"\n"}
    acts = {letter for letter in suspects if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")}
    found = [output[max(0, place - 40) : place + 20] for place, letter in enumerate(output) if letter in acts]
    return found + [line for line in output.splitlines() if lines and line.startswith("<b>INJECTED")]


def identity(boot: str) -> dict[str, Any]:
    """Every text in it, and a key, is hostile; all but the boot's is the same in each recording of an arm."""
    arm = boot.partition("-")[0]
    texts = (
        "lazyobs",
        "bcc",
        "release",
        "version",
        "build_id",
        "config_sha256",
        "cmdline",
        "clock_source",
        "machine",
        "cpu",
        "profile",
    )
    return {
        **dict.fromkeys(texts, f"{HOSTILE} of {arm}"), "boot_id": f"{HOSTILE} {boot}", f"key{HOSTILE}": arm, "tainted": 0, "cpus": 2,
        "memory_bytes": 2 << 30, "lazy_enabled": None, "tiers": {HOSTILE: HOSTILE}, "thp": {HOSTILE: HOSTILE},
        "slab_merging": {"anon_vma": [HOSTILE]}, "not_recorded": {"kernel_log": HOSTILE}, "no_bpf": None, "sysctl": {HOSTILE: arm},
    }  # fmt: skip


def recording(path: Path, boot: str = "boot", ticks: int = 23) -> Path:
    """A recording in which every text that a reader accepts is hostile."""
    store = Store(Directory(str(path)), identity(boot), 1.0, ("vmstat_pgfault",))
    for number in range(1, ticks + 1):
        _tick(store, number)
    found = made.events(1, 5)
    found["comm"] = HOSTILE.encode()[:15]
    store.append("events", event_rows(found, 1_800_000_000 * 10**9))
    _marks(store, "lost", "trigger", HOSTILE)
    _marks(store, "end")
    store.close()
    return path


def _tick(store: Store, number: int) -> None:
    plain = sample(number, 5)
    processes = [dataclasses.replace(one, comm=HOSTILE, user=HOSTILE, cgroup=f"/{HOSTILE}") for one in plain.processes]
    store.append("slabs", samples.slab_rows(number, plain.time, plain.slabs, barrier=number % 5 == 0))
    store.append("processes", samples.process_rows(number, processes))
    store.append("samples", samples.sample_row(number, number * 10**9, plain))
    line = {
        "time": plain.time,
        "sequence": number,
        "level": 4,
        "since_boot": float(number),
        "kind": "WARN",
        "text": HOSTILE,
    }
    store.append("kernel_log", {name: [value] for name, value in line.items()})


def _marks(store: Store, *kinds: str) -> None:
    for kind in kinds:
        store.append(
            "marks",
            {"time": [1_800_000_020.0], "stamp": [20 * 10**9], "kind": [kind], "value": [1.0], "text": [HOSTILE]},
        )


def live(plain: Sample) -> Sample:
    """The same sample with every name of it hostile: what the model would refuse of a recording, but not of a kernel."""
    return dataclasses.replace(
        plain,
        kernel=Kernel(HOSTILE, HOSTILE, None),
        tiers={**plain.tiers, HOSTILE: HOSTILE},
        slabs=[Slab(HOSTILE, 101, 211, 64, [HOSTILE])],
        processes=[
            dataclasses.replace(one, comm=HOSTILE, user=HOSTILE, cgroup=f"/{HOSTILE}") for one in plain.processes
        ],
        totals={**plain.totals, "violations": 1, "violations_by_invariant": {HOSTILE: 1}},
        null_reasons={HOSTILE: HOSTILE, "totals.promotions": HOSTILE},
        failed={HOSTILE: HOSTILE},
    )
