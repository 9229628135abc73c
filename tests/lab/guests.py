# SPDX-License-Identifier: MIT
"""What the lab's tests import: where things are, how a guest is started, and why there may be none."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab import build, kernels, qemu, roots
from lab.errors import LabError
from tests.harness import ROOT, skip

GUEST = Path(__file__).resolve().parent / "guest"
Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


#: Why the lab's kernel promotes. KSM is no reason: its pages need no chain.
REASONS = ("fork", "split", "merge", "mremap")


def why_no_guest(name: str, root: str = "") -> str | None:
    """Why the kernel of that name cannot be booted here (with that root, or its own), or None."""
    row = kernels.kernel(name)
    program = qemu.HARDWARE[row.arch].program
    if not shutil.which(program):
        return f"{program} is not installed; make lab installs it"
    try:
        build.image(row)
        if root or row.root:
            roots.folder(roots.named(root or row.root))
    except LabError as error:
        return str(error)
    return None


#: This machine's files, and the userlands that .ci/run has made.
_ROOTS_OF_CI = ("", "trixie")


def need(name: str, root: str = "") -> None:
    reason = why_no_guest(name, root)
    if reason:
        row = kernels.kernel(name)
        skip("lab" if row.ci and root in _ROOTS_OF_CI and not row.root else "lab-all", reason)


# An emulated machine on a busy host needs more than a minute to verify the programs.
PATIENT = ("--env", "LAZYOBS_LOADER_SECONDS=300")


def arguments(kernel: str, *command: str, timeout: float = 240, options: Any = (), again: int = 2) -> list[str]:
    """The words of lab/run. ``again``: how often it may boot anew because the emulator, not the kernel, broke; the
    output is then there at the end."""
    return [
        str(ROOT / "lab" / "run"),
        "--kernel",
        kernel,
        "--timeout",
        str(timeout),
        *PATIENT,
        "--again",
        str(again),
        *options,
        "--",
        *command,
    ]
