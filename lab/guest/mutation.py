# SPDX-License-Identifier: MIT
"""Runs in a guest: tests, each with one mistake made by the kernel (vm.mutation), or with none.

``mutation.py TASKS``: TASKS is a JSON list of {"mutation", "number", "lazy", "test", "command", "seconds"}. A line of
JSON on stdout when one begins, and one with its results when it has ended; the kernel may not survive it.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SWITCH = Path("/proc/sys/vm/mutation")
LAZY = Path("/proc/sys/vm/anon_vma_lazy")
#: Makes the mistake from here on: in the shell that writes its number, and in what it then becomes.
WRAPPER = 'echo "$0" >/proc/sys/vm/mutation && exec "$@"'
#: How long a killed test may take to end.
GRACE_SECONDS = 20.0
_RESULT = re.compile(r"^(not ok|ok) \d+ (?:- )?(.*?)(?: # (SKIP|XFAIL)\b.*)?$")
_PLACE = re.compile(r"# \w+\.c:\d+:")
#: What tests of the kernel expect, beside root and two nodes.
SET_UP = """
modprobe -q zram num_devices=1
modprobe -q hwpoison-inject
echo lzo >/sys/block/zram0/comp_algorithm 2>/dev/null
echo 128M >/sys/block/zram0/disksize && mkswap -q /dev/zram0 && swapon /dev/zram0
ulimit -c 0
"""


def read_ktap(text: str) -> dict[str, Any]:
    """How many tests of a KTAP output passed and were skipped, and the names of those that failed, each once."""
    passed, skipped = 0, 0
    failed: dict[str, None] = {}
    for line in text.splitlines():
        found = _RESULT.match(line)
        if not found:
            continue
        if found[3]:
            skipped += 1
        elif found[1] == "ok":
            passed += 1
        else:
            failed[found[2].strip()] = None
    return {"passed": passed, "skipped": skipped, "failed": list(failed)}


def why_failed(text: str, most: int = 20) -> list[str]:
    """What a program with the kernel's harness has said of the tests that failed: lines that name a place in its source."""
    found: list[str] = []
    said: list[str] = []
    for line in text.splitlines():
        if _PLACE.match(line):
            said.append(line[2:202])
        elif result := _RESULT.match(line):
            found += said if result[1] == "not ok" else []
            said = []
    return found[:most]


def say(record: dict[str, Any]) -> None:
    print(json.dumps(record), flush=True)


def run(task: dict[str, Any]) -> dict[str, Any]:
    """The result of one task; "end" is "exit", or "timeout", or "hung" if it cannot even be killed."""
    if LAZY.exists():
        LAZY.write_text(str(int(task["lazy"])))
    began = time.monotonic()
    process = subprocess.Popen(
        ["sh", "-c", WRAPPER, str(task["number"]), *task["command"]] if task["number"] else task["command"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        start_new_session=True,
        cwd=None if task["test"] == "battery" else "/tmp",  # some make files there, and 9p is no place for them
    )
    end, output = "exit", ""
    try:
        output, _ = process.communicate(timeout=task["seconds"])
    except subprocess.TimeoutExpired:
        end = "timeout"
        signal_group(process.pid)
        try:
            output, _ = process.communicate(timeout=GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            end = "hung"
    if SWITCH.exists():
        SWITCH.write_text("0")
    if LAZY.exists():
        LAZY.write_text("1")
    known = {key: task[key] for key in ("mutation", "lazy", "test")}
    seconds = round(time.monotonic() - began, 1)
    why = {"why": why_failed(output)} if task.get("explain") else {}
    return {**known, **read_ktap(output), **why, "end": end, "status": process.returncode, "seconds": seconds}


def signal_group(pid: int) -> None:
    subprocess.run(["kill", "-KILL", "--", f"-{pid}"], check=False, stderr=subprocess.DEVNULL)


def main() -> int:
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    subprocess.run(["sh", "-c", SET_UP], check=True)
    for task in json.loads(Path(sys.argv[1]).read_text()):
        say({"begins": {key: task[key] for key in ("mutation", "lazy", "test")}})
        result = run(task)
        say(result)
        if result["end"] == "hung":
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
