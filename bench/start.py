# SPDX-License-Identifier: MIT
"""Start to first numbers, cold and warm, and the memory of the running process, beside a stock BCC tool."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

from bench.pairs import pairs
from lazyobs.bpf import boot_cache
from lazyobs.bpf.session import interpreters

_ROOT = Path(__file__).parent.parent
_TOP = [sys.executable, "-m", "lazyobs", "top", "-b", "-d", "600"]
_PEER = [interpreters()[0], str(_ROOT / "bench/peers/bcc_tool.py"), str(_ROOT)]


def _to_first_line(command: list[str]) -> tuple[float, int]:
    """(seconds to the first line of output, PSS bytes of the process then)."""
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=_ROOT)
    assert process.stdout is not None
    process.stdout.readline()
    seconds = time.monotonic() - begin
    time.sleep(0.2)
    with open(f"/proc/{process.pid}/smaps_rollup", encoding="ascii") as file:
        pss = next(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))
    process.kill()
    process.wait()
    process.stdout.close()
    return seconds, pss


def _cold() -> float:
    shutil.rmtree(boot_cache.DIRECTORY, ignore_errors=True)
    return _to_first_line(_TOP)[0]


def run() -> dict[str, object]:
    def peer() -> float:
        return _to_first_line([*_PEER, "600"])[0]

    cold = pairs(_cold, peer, 11)
    warm = pairs(lambda: _to_first_line(_TOP)[0], peer, 11)
    pss = pairs(lambda: _to_first_line(_TOP)[1], lambda: _to_first_line([*_PEER, "600"])[1], 5)
    return {"cold_seconds": cold, "warm_seconds": warm, "pss_bytes": pss}
