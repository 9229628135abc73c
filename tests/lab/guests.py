# SPDX-License-Identifier: MIT
"""What the lab's tests import: where things are, how a guest is started, and why there may be none."""

from __future__ import annotations

import os
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


# LAZYOBS_LAB_SERIES=lab73: the tests that name lab, lab-nomerge and so on try those of that series instead.
SERIES = os.environ.get("LAZYOBS_LAB_SERIES", "lab")
# The series on 7.3 does not promote for KSM: a KSM page needs no chain.
REASONS = ("fork", "split", "merge", "mremap") + (("ksm",) if SERIES == "lab" else ())


def of_series(name: str) -> str:
    """The kernel to try where a test names one of the lab's."""
    return SERIES + name[len("lab") :] if name.split("-")[0] == "lab" else name


def why_no_guest(name: str, root: str = "") -> str | None:
    """Why the kernel of that name cannot be booted here (with that root, or its own), or None."""
    row = kernels.kernel(of_series(name))
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
        skip("lab" if row.ci and root in _ROOTS_OF_CI and not row.root and SERIES == "lab" else "lab-all", reason)


# An emulated machine on a busy host needs more than a minute to verify the programs.
PATIENT = ("--env", "LAZYOBS_LOADER_SECONDS=300")


def arguments(kernel: str, *command: str, timeout: float = 240, options: Any = (), again: int = 2) -> list[str]:
    """The words of lab/run. ``again``: how often it may boot anew because the emulator, not the kernel, broke; the
    output is then there at the end."""
    return [
        str(ROOT / "lab" / "run"),
        "--kernel",
        of_series(kernel),
        "--timeout",
        str(timeout),
        *PATIENT,
        "--again",
        str(again),
        *options,
        "--",
        *command,
    ]
