# SPDX-License-Identifier: MIT
"""A plan for this kernel: the one kept since this boot's first start, or a new one.

Reading the kernel's types and symbols takes longer than everything else a start does, and neither
changes while the kernel runs.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from lazyobs import __version__, probes_text
from lazyobs.bpf import boot_cache, plan
from lazyobs.bpf.plan import Plan
from lazyobs.bpf.tier_trials import refused_tiers
from lazyobs.kernel import profile as profiles

_KIND = "plan"
_PACKAGE = Path(__file__).parent.parent


def planned(profile_file: Path | None, cap: str | None, points: tuple[str, ...] | None, events: bool = False) -> Plan:
    """Raises what plan.gather, plan.make and profile.load raise."""
    known = [profiles.load(profile_file)] if profile_file else None
    name = boot_cache.key(_KIND, _code(), repr(known), repr(cap), repr(points), repr(events))
    kept = boot_cache.load(name)
    if kept is not None:
        try:
            return Plan.from_bytes(kept)
        except (ValueError, KeyError, TypeError):
            pass  # of another version: made anew
    facts = plan.gather(known)
    made = plan.make(facts, cap, points, refused_tiers(facts.btf), events)
    boot_cache.keep(name, made.to_bytes())
    return made


def _code() -> str:
    """Identity of the code and data a plan is made from: names, sizes and times of their files."""
    digest = hashlib.sha256(__version__.encode())
    folders = (_PACKAGE / "bpf", _PACKAGE / "kernel", profiles.BUILT_IN, probes_text.folder())
    for folder in folders:
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if entry.name.endswith((".py", ".toml", ".c", ".h")):
                status = entry.stat()
                digest.update(f"{entry.path} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
