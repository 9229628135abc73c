# SPDX-License-Identifier: MIT
"""A guest of the lab whose clock counts instructions (-icount): figures that do not depend on this machine."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

# Seconds for the end of a process. The guest's clock skips idle time: to read a file of the host may take as long by it.
PATIENCE = 7200.0
_ROOT = Path(__file__).resolve().parent.parent


def answer(kernel: str, share: str, *command: str, seconds: int, options: tuple[str, ...] = ()) -> Any:
    """The JSON that a command prints in a guest of one CPU, which has the folder ``share``. RuntimeError where the guest
    or the command fails. ``options``: more of lab/run's."""
    # The guest's clock skips idle time, and so any timeout.
    patience = ("--env", "LAZYOBS_LOADER_SECONDS=1000000")
    words = [
        str(_ROOT / "lab/run"), "--kernel", kernel, "--icount", "--cpus", "1", "--timeout", str(seconds),
        "--share", share, *patience, *options, "--", *command,
    ]  # fmt: skip
    done = subprocess.run(words, capture_output=True, cwd=_ROOT, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace")[-2000:])
    return json.loads(done.stdout)
