# SPDX-License-Identifier: MIT
"""What this kernel forbids or lacks for tracing, as far as its own files show it."""

from __future__ import annotations

import gzip
import os
import re


def lockdown(sys_root: str = "/sys") -> str | None:
    """ "none", "integrity" or "confidentiality"; None where lockdown is not built in or securityfs is not mounted."""
    try:
        with open(os.path.join(sys_root, "kernel/security/lockdown"), encoding="ascii") as file:
            found = re.search(r"\[(\w+)\]", file.read())
    except OSError:
        return None
    return found[1] if found else None


def config(proc_root: str = "/proc", release: str = "", boot_root: str = "/boot") -> dict[str, str] | None:
    """CONFIG_* options of the running kernel; None where neither /proc nor /boot has them."""
    try:
        with gzip.open(os.path.join(proc_root, "config.gz"), "rt", encoding="ascii") as file:
            text = file.read()
    except OSError:
        try:
            with open(os.path.join(boot_root, f"config-{release}"), encoding="ascii") as plain:
                text = plain.read()
        except OSError:
            return None
    return dict(re.findall(r"^(CONFIG_\w+)=(.*)$", text, re.MULTILINE))


def sysctl(name: str, proc_root: str = "/proc") -> str | None:
    """Value of a sysctl; None where it is missing or cannot be read."""
    try:
        with open(os.path.join(proc_root, "sys", *name.split(".")), encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return None


def has_kprobe_events(sys_root: str = "/sys") -> bool:
    """True when perf events can be kprobes (CONFIG_KPROBE_EVENTS)."""
    return os.path.exists(os.path.join(sys_root, "bus/event_source/devices/kprobe/type"))
