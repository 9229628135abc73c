# SPDX-License-Identifier: MIT
"""What is seen from where lazyobs runs: namespaces, hidden parts of /proc and /sys, missing capabilities.

Probes run in the kernel and count for all of it. The census iterator visits the processes of the reader's pid namespace
only (the kernel's iterators of tasks do), and /proc shows what its mount options permit.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from lazyobs.errors import NotSupported
from lazyobs.kernel.facts import shows_kernel
from lazyobs.unix import capabilities, namespaces, privileges

OUTSIDE = "the census iterator visits only the processes of this pid namespace"
NO_SUMS = f"{OUTSIDE}: sums over all processes of the kernel cannot be had"


def sees_every_process(proc_root: str = "/proc") -> bool:
    """Whether the census covers all processes whose events are counted."""
    return namespaces.is_initial("pid", proc_root)


def confined_probes() -> tuple[str, ...]:
    """A line for the notice where the counters and the census do not cover the same processes."""
    if sees_every_process():
        return ()
    return ("in a pid namespace: counters, events and pids are the whole kernel's, the census is this namespace's",)


def refuse_pids(pids: tuple[int, ...], tier: str | None) -> None:
    """NotSupported where ``-p`` would select other processes than those the user means.

    The probes know a process by its pid in the initial namespace, which cannot be looked up from within another.
    """
    if pids and tier != "procfs" and privileges.may_load_bpf() and not sees_every_process():
        raise NotSupported(
            f"-p {','.join(map(str, pids))}",
            "the probes count by the host's pids, and lazyobs runs in a pid namespace",
            "share the host's (docker run --pid=host, hostPID: true), or add --tier procfs",
        )


@dataclass(frozen=True)
class Aspect:
    """``state``: one or a few words; ``effect``: what follows for the numbers, "" where all is seen."""

    name: str
    state: str
    effect: str = ""


def aspects(proc_root: str = "/proc", sys_root: str = "/sys") -> list[Aspect]:
    """What decides how much lazyobs sees, for doctor."""
    found = [_namespace(kind, effect, proc_root) for kind, effect in _EFFECTS.items()]
    return [*found, *(look(proc_root, sys_root) for look in _LOOKS)]


_EFFECTS = {
    "pid": f"{OUTSIDE}; counters, events and pids are the whole kernel's, and -p needs --tier procfs",
    "user": "BPF is refused; tier procfs shows the processes of this namespace",
    "time": "",  # times are corrected (unix/clock.py)
    "cgroup": "at tier procfs paths begin at this namespace's root: /../x is beside it",
}


def _namespace(kind: str, effect: str, proc_root: str) -> Aspect:
    initial = namespaces.is_initial(kind, proc_root)
    return Aspect(f"{kind} namespace", "initial" if initial else "another", "" if initial else effect)


def _proc(proc_root: str, _sys_root: str) -> Aspect:
    if not os.path.exists(f"{proc_root}/self/stat"):
        return Aspect("/proc", "not mounted", "neither symbols nor slabs nor processes can be read")
    if not os.path.exists(f"{proc_root}/version"):
        return Aspect("/proc", "processes only (subset=pid)", "no symbols, so no probes; no slabs, sysctls, vmstat")
    if not os.path.isdir(f"{proc_root}/sys/kernel"):
        return Aspect("/proc", "/proc/sys hidden", "no sysctls: the lazy switch and the kernel's taint are unknown")
    hidden = _option_of_mount(proc_root, "hidepid")
    if hidden not in ("", "0", "off"):
        return Aspect("/proc", f"hidepid={hidden}", "at tier procfs only processes that the caller may trace")
    return Aspect("/proc", "whole")


def _option_of_mount(proc_root: str, option: str) -> str:
    """The value of that option of the mount at ``proc_root``; "" where it has none."""
    try:
        with open(f"{proc_root}/self/mountinfo", encoding="utf-8", errors="replace") as file:
            rows = [line.split() for line in file]
    except OSError:
        return ""
    # The last mount on a directory is the one in use; the super block's options come last.
    options = [row[-1].split(",") for row in rows if row[4] == proc_root]
    words = options[-1] if options else []
    return next((word.partition("=")[2] for word in words if word.startswith(f"{option}=")), "")


def _sys(_proc_root: str, sys_root: str) -> Aspect:
    if not shows_kernel(sys_root):
        return Aspect(
            "/sys",
            "hidden, or not mounted",
            "no kernel types (BTF), so no probes; which slab caches share a row is not known",
        )
    return Aspect("/sys", "there")


def _needed(_proc_root: str, _sys_root: str) -> Aspect:
    return _capabilities("needed capabilities", True, "no probes")


def _optional(_proc_root: str, _sys_root: str) -> Aspect:
    return _capabilities("optional capabilities", False, "")


def _capabilities(name: str, needed: bool, effect: str) -> Aspect:
    missing = capabilities.lacking(capabilities.effective(), needed)
    if not missing:
        return Aspect(name, "all held")
    what_for = {capability.name: capability.why for capability in capabilities.CAPABILITIES}
    lost = "; ".join(f"{one}: to {what_for[one]}" for one in missing)
    return Aspect(name, f"without {capabilities.listed(missing)}", f"{effect} ({lost})" if effect else lost)


_LOOKS: tuple[Callable[[str, str], Aspect], ...] = (_proc, _sys, _needed, _optional)
