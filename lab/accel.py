# SPDX-License-Identifier: MIT
"""Whether KVM works here: tried once per boot of the host, because /dev/kvm can exist and not work."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path

from .cache import root
from .guest import Guest, Limits
from .qemu import Machine

_TRIAL_SECONDS = 15.0
#: This machine's architecture, as Debian names it.
NATIVE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, "")


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"


def accelerator(machine: Machine) -> str:
    """ "kvm" where a guest comes up under it, else "tcg"."""
    if machine.arch != NATIVE or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    memory = root() / f"accel-{_boot_id()}"
    if memory.exists():
        return memory.read_text().strip()
    trial = replace(machine, accel="kvm", share=None)
    status = Guest(trial, Limits(seconds=_TRIAL_SECONDS), io.BytesIO(), io.BytesIO()).run(
        "/", ["true"], ["PATH=/usr/bin:/bin"]
    )
    found = "kvm" if status == 0 else "tcg"
    memory.parent.mkdir(parents=True, exist_ok=True)
    memory.write_text(found + "\n")
    return found
