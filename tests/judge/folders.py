# SPDX-License-Identifier: MIT
"""Folders of judgements as boots would have filled them, without a boot."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lazyobs.judge import checks, inside, measure, state
from lazyobs.judge.boots import Boot
from lazyobs.kernel.slab import CACHES
from tests.hostile import HOSTILE
from tests.judge.mails import RMAP, changed, diff, mail

COVER = (
    "struct anon_vma grows from 88 to 104 bytes. struct vm_area_struct (192) and struct mm_struct keep their size.\n\n"
    "1 files, +1 lines.\n\nOf 5003 VMAs touched for the first time 5003 are lazy and allocate nothing.\n\n"
    "A fork takes 3 % longer than before. Nothing else is said here."
)
#: What the first folders have; tests/judge/old has what was said of such.
OLD_STEPS = {
    "plain": ("boot", "kselftest", "moves", "stress", "leak", "battery"),
    "debug": ("boot", "kselftest", "moves", "stress"),
}
# Instructions, of a kernel that is neither fast nor slow.
COSTS = dict.fromkeys(measure.COSTS, 10_000.0)
MEMORY = {"anon_vma": 5003 * 104.0, "anon_vma_chain": 5003 * 64.0, "vm_area_struct": 10_006 * 192.0}
CARD: dict[str, Any] = {
    "files": [{"file": "mm/rmap.c", "added": 1, "removed": 1}],
    "structs": [
        {
            "struct": "anon_vma", "before": 88, "after": 104, "holes_before": 4, "holes_after": 3, "own": True,
            "fields": [{"field": "lazy_root", "what": "added", "type": "struct rb_root_cached", "before": None, "after": 88}],
        }
    ],
    "functions": {
        "new": [{"function": "promote", "static": True}, {"function": "never", "static": False}], "new_inlined": [],
        "gone": [], "inlined_away": [], "renamed": [], "elsewhere": 0,
    },
    "prototypes": [], "probes": None, "notes": [], "why_not": None,
}  # fmt: skip


def boot(**said: Any) -> Boot:
    given: dict[str, Any] = {
        "status": 0, "failure": "", "hung": False, "up": True, "splats": (), "output": "", "errors": "", "console": "",
    }  # fmt: skip
    return Boot(**{**given, **said})


def folder(path: Path, arms: tuple[str, ...] = ("new",), version: int | None = state.VERSION) -> state.Folder:
    """With its settings, a series and a card for each arm, and no boot. ``version`` None: of the first lazyobs."""
    path.mkdir(parents=True, exist_ok=True)
    found = state.Folder(path)
    about = {"subject": "[PATCH 0/1] a series", "patches": ["1/1 x"], "notes": [], "options": [], "added": 1, "removed": 1, "files": 1}  # fmt: skip
    found.write(
        state.SETTINGS,
        {
            "format": state.FORMAT,
            "base": {"name": "linux-source-7.3", "version": "7.3.4", "why": "", "key": "0"},
            "run": {
                "began": 1_764_000_000, "lazyobs": "0.1.0", "host": "2 CPUs, guests emulated", "budget": 7200,
                "again": "lazyobs judge 'a series.mbox' --base linux-source-7.3", "flavours": ["plain", "debug"],
                "builder": "this user", "open_still": [], **({} if version is None else {"version": version}),
            },
            "arms": {arm: {"kind": "series", "source": "x", "series": about} for arm in arms},
        },
    )  # fmt: skip
    for arm in arms:
        place = path / "series" / arm
        place.mkdir(parents=True)
        (place / "0001.patch").write_text(mail("[PATCH 0/1] a series", text=COVER))
        (place / "0002.patch").write_text(mail("[PATCH 1/1] x", diff("mm/rmap.c", RMAP, changed(23))))
        found.write(state.CARD.format(arm=arm), CARD)
    for arm in ("base", *arms):
        for flavour in ("plain", "debug"):
            found.add_build(f"{arm}-{flavour}", {"image": f"{arm}-0123", "seconds": 400.0, "why": ""})
    return found


def add_checks(
    found: state.Folder,
    arm: str,
    flavour: str,
    failing: Mapping[str, str] | None = None,
    last: Boot | None = None,
    more: tuple[str, ...] = (),
    numbers: Mapping[str, Any] | None = None,
) -> None:
    """All steps, and ``more``, pass but ``failing`` {step: why}; ``last``: how the boot ended, if not well; ``numbers``:
    of those that fail."""
    steps = (*OLD_STEPS[flavour], *more)
    lines = []
    for step in steps:
        why = (failing or {}).get(step, "")
        counted = dict(numbers or {}) if why else {}
        result = inside.Result(step, inside.FAIL if why else inside.PASS, why, counted, {"promote": 3, "never": 0})
        lines += [json.dumps({"begin": step}), json.dumps(asdict(result))]
    text = "\n".join(lines)
    document = checks.document(last or boot(output=text), steps)
    found.add_boot(f"{arm}-{flavour}-checks", {"arm": arm, "kind": "checks", "flavour": flavour, "number": 1, "seconds": 100.0, **document}, "console")  # fmt: skip


def workload(
    costs: Mapping[str, float] | None = None,
    memory: Mapping[str, float] | None = None,
    seed: int = 0,
    noise: float = 0.001,
) -> str:
    """What the workload prints; each number is off by ``noise`` at most."""
    random_ = random.Random(seed)
    lines = ["begin"]
    for held in measure.HELD:
        for cache in CACHES:
            lines.append(f"memory {held}.{cache} {round({**MEMORY, **(memory or {})}[cache])}")
    for name, value in {**COSTS, **(costs or {})}.items():
        lines.append(f"cost {name} {value * (1 + random_.uniform(-noise, noise)):.1f}")
    lines += ["share paged_out 211 211", "share migrated 210 211", "count migration_failures 0", "done"]
    return "\n".join(lines) + "\n"


def add_measured(found: state.Folder, arm: str, boots: int = 6, **said: Any) -> None:
    for number in range(1, boots + 1):
        seed = number + 100 * sum(map(ord, arm))
        document = measure.document(boot(output="junk\n" + workload(seed=seed, **said)))
        found.add_boot(
            f"{arm}-{number:03}",
            {"arm": arm, "kind": "measure", "flavour": "plain", "number": number, "seconds": 60.0, **document}, "console",
        )  # fmt: skip


def complete(path: Path, version: int | None = state.VERSION, **said: Any) -> state.Folder:
    """Everything passes; ``said``: of the new kernel's workload."""
    found = folder(path, version=version)
    for flavour in ("plain", "debug"):
        add_checks(found, "new", flavour)
    add_checks(found, "base", "plain")
    add_measured(found, "base")
    add_measured(found, "new", **said)
    return found


EVIL = HOSTILE
