# SPDX-License-Identifier: MIT
"""The command line of the benchmarks; none is run."""

from __future__ import annotations

import subprocess
import sys

from tests.harness import ROOT


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)


def test_help_lists_the_benchmarks() -> None:
    done = bench("--help")
    assert (done.returncode, done.stderr) == (0, "")
    names = [file.stem for file in (ROOT / "bench").glob("*.py") if "\ndef run() -> " in file.read_text()]
    assert len(names) > 7 and all(f"\n  {name} " in done.stdout for name in names)


def test_a_name_that_is_none() -> None:
    done = bench("start,ringg")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("bench: there is no benchmark 'ringg' (did you mean ring?); use start, ")
