# SPDX-License-Identifier: MIT
"""Runs in a guest: each command that shows, keeps or gives out what was counted, at one tier, as its user runs it.

``each_command.py TIER``: one JSON object on stdout, {command: how much it gave}.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

PORT = 9797


def lazyobs(*arguments: str, may_exit: tuple[int, ...] = (0,), seconds: float = 900) -> str:
    """Standard output of a command. RuntimeError with its last words if it exits otherwise."""
    answer = subprocess.run(
        [sys.executable, "-m", "lazyobs", *arguments], capture_output=True, text=True, timeout=seconds, check=False
    )
    if answer.returncode not in may_exit:
        print(answer.stderr[-3000:], file=sys.stderr)
        words = answer.stderr.strip().splitlines()
        raise RuntimeError(f"lazyobs {arguments[0]}: exit status {answer.returncode}: {words[-1] if words else ''}")
    return answer.stdout


def each(tier: str) -> dict[str, int]:
    """Processes of top and census, events of a trace, samples of a recording, samples on a page of the exporter."""
    return {
        "top": len(json.loads(lazyobs("top", "-b", "-n", "1", "-o", "json", "--tier", tier))["processes"]),
        "census": len(json.loads(lazyobs("census", "-o", "json", "--tier", tier).splitlines()[0])["processes"]),
        "trace": traced(tier),
        "record": _recorded(tier),
        "export": _exported(tier),
    }


def traced(tier: str) -> int:
    """Events of a live trace, of three that are asked for."""
    forks = subprocess.Popen(["sh", "-c", "while sleep .2; do /bin/true; done"])
    try:
        text = lazyobs("trace", "-e", "fork", "-n", "3", "--duration", "120", "-o", "json", "--tier", tier)
        return len(text.splitlines())
    finally:
        forks.kill()
        forks.wait()


def _recorded(tier: str) -> int:
    """Samples of a recording in which forks were counted."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = str(Path(scratch, "recording"))
        lazyobs("record", "-o", folder, "--interval", "1", "--tier", tier, "--", "sleep", "3")
        samples = lazyobs("top", "-b", "--replay", folder, "-o", "json").splitlines()
        return sum(json.loads(line)["totals"]["forks"] is not None for line in samples)


def _exported(tier: str) -> int:
    """Samples on the page, once it has counters; 0 if it has none within two minutes."""
    command = [sys.executable, "-m", "lazyobs", "export", "--listen", f"127.0.0.1:{PORT}", "--tier", tier]
    exporter = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        ends = time.monotonic() + 120
        while time.monotonic() < ends:
            time.sleep(0.5)
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=60) as answer:
                    lines = answer.read().decode().splitlines()
            except OSError:
                continue
            if any(line.startswith("lazyobs_forks_total") for line in lines):
                return sum(not line.startswith("#") for line in lines)
        return 0
    finally:
        exporter.terminate()
        exporter.wait()


if __name__ == "__main__":
    print(json.dumps(each(sys.argv[1])))
