# SPDX-License-Identifier: MIT
"""Programs for the interpreter that has BCC, which is not the tests' own."""

from __future__ import annotations

import subprocess

from lazyobs.bpf.session import interpreters
from tests.harness import ROOT


def bcc_python(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs it; modules of lazyobs are found behind those of the interpreter."""
    begin = "import sys; sys.path.append(sys.argv.pop(1))\n"
    return subprocess.run(
        [interpreters()[0], "-I", "-c", begin + program, str(ROOT), *arguments],
        capture_output=True, text=True, cwd="/", timeout=120, check=False,
    )  # fmt: skip
