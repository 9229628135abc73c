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


def need(name: str, root: str = "") -> None:
    reason = why_no_guest(name, root)
    if reason:
        skip("lab-all" if root or kernels.kernel(name).root else "lab", reason)


# An emulated machine on a busy host needs more than a minute to verify the programs.
PATIENT = ("--env", "LAZYOBS_LOADER_SECONDS=300")


def arguments(kernel: str, *command: str, timeout: float = 240, options: Any = ()) -> list[str]:
    return [
        str(ROOT / "lab" / "run"),
        "--kernel",
        kernel,
        "--timeout",
        str(timeout),
        *PATIENT,
        *options,
        "--",
        *command,
    ]
