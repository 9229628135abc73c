# SPDX-License-Identifier: MIT
"""The plan for this kernel: from the cache, or made anew.

Reading the kernel's types and symbols takes longer than the rest of a start, and both depend on the kernel's build
alone. What may differ at another boot is checked each time: the address of the kernel, and the tiers it allows.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from lazyobs import __version__
from lazyobs.bpf import cache, maps, optional, plan, sources
from lazyobs.bpf.cache import Cache
from lazyobs.bpf.plan import Plan
from lazyobs.bpf.tier_trials import has_compare_and_swap, refused_again, refused_tiers, trial_function
from lazyobs.errors import NotSupported
from lazyobs.kernel import profile as profiles
from lazyobs.kernel.btf import BtfError
from lazyobs.kernel.build import Build
from lazyobs.unix.sha256 import sha256

_KIND = "plan"
_PACKAGE = Path(__file__).parent.parent


def planned(
    kept: Cache,
    profile_file: Path | None,
    cap: str | None,
    points: tuple[str, ...] | None,
    events: bool = False,
    when_new: Callable[[], object] = lambda: None,
    follows: bool = False,
) -> Plan:
    """The plan. ``when_new`` is called as soon as it turns out that the cache has none.

    Raises what plan.gather, plan.make and profile.load raise.
    """
    known = [profiles.load(profile_file)] if profile_file else None
    build, also = Build.read(), optional.asked_for()
    # The last two are compiled in: the number of CPUs, and whether the kernel has BPF_CMPXCHG.
    choices = (known, cap, points, events, follows, also, maps.possible_cpus(), has_compare_and_swap())
    name = cache.key(_KIND, build.name, _code(), *map(repr, choices))
    found = _kept_plan(kept, name)
    if found is not None:
        return found.moved(build.anchor)
    when_new()
    facts = plan.gather(known)
    try:
        closed = refused_tiers(trial_function(facts.btf, facts.profile))
        made = plan.make(facts, cap, points, closed, events, build.anchor, follows, also)
    except BtfError as error:
        raise NotSupported("reading the kernel's types", str(error), "please report this kernel") from None
    kept.keep(name, made.to_bytes())
    return made


def _kept_plan(kept: Cache, name: str) -> Plan | None:
    raw = kept.load(name)
    if raw is None:
        return None
    try:
        found = Plan.from_bytes(raw)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        kept.refuse(name, f"no plan of this version ({error})")
        return None
    if refused_again(found.trial_function, found.closed) != found.closed:
        kept.refuse(name, "made when the kernel allowed other tiers")
        return None
    return found


def _code() -> str:
    """Stands for the code and data that a plan is made from: when each file was last written or put in its place
    (st_ctime, which cannot be set), and its size. Reading them all would take longer than the rest."""
    digest = sha256(__version__.encode())
    folders = (_PACKAGE, _PACKAGE / "bpf", _PACKAGE / "kernel", profiles.BUILT_IN, sources.folder())
    for folder in folders:
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if entry.name.endswith((".py", ".toml", ".c", ".h")):
                status = entry.stat()
                digest.update(f"{entry.path} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}\n".encode())
    return digest.hexdigest()
