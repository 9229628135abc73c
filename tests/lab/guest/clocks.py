# SPDX-License-Identifier: MIT
"""Runs in the guest: the clock is set forward and back, and the machine suspended, while lazyobs observes.

``clocks.py work FILE`` is the load that ``record`` runs: FORKS forks, and as many after each of the steps. ``clocks.py
FOLDER`` starts record, top and the exporter, and leaves in FOLDER what they said and the recording. Then it powers the
machine off: the channel by which a guest answers does not come back from a suspend.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import traceback
import urllib.request
from collections.abc import Callable
from pathlib import Path

FORKS = 101
FORWARD, BACK = 3600, -7200
PAUSE = 4.0


def fork_all() -> None:
    for _ in range(FORKS):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)


def set_clock(seconds: int) -> Callable[[], None]:
    return lambda: time.clock_settime(time.CLOCK_REALTIME, time.time() + seconds)


def suspend() -> None:
    """As far as to the firmware, and back at once: nothing here would wake the machine."""
    Path("/sys/power/pm_test").write_text("core")
    Path("/sys/power/mem_sleep").write_text("deep")
    Path("/sys/power/state").write_text("mem")


def ahead() -> float:
    """Seconds that the machine was suspended for since its boot."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)


def work(told: Path) -> None:
    slept = ahead()
    steps = (set_clock(FORWARD), set_clock(BACK), suspend)
    fork_all()
    for step in steps:
        time.sleep(PAUSE)
        step()
        time.sleep(PAUSE)
        fork_all()
    time.sleep(PAUSE)
    told.write_text(json.dumps({"pid": os.getpid(), "forks": FORKS * (1 + len(steps)), "suspended": ahead() - slept}))
    time.sleep(PAUSE)


def lazyobs(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "lazyobs", *arguments]


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return str(answer.read().decode())


def observe(folder: Path) -> None:
    exporter = subprocess.Popen(lazyobs("export", "--listen", "127.0.0.1:0"), stderr=subprocess.PIPE, text=True)
    assert exporter.stderr is not None
    url = next(serving[1] for line in exporter.stderr if (serving := re.search(r"serving (http://\S+)", line)))
    with open(folder / "top.jsonl", "wb") as out, open(folder / "top.err", "wb") as err:
        top = subprocess.Popen(lazyobs("top", "-b", "-d", "1", "-o", "json"), stdout=out, stderr=err)
    while not (folder / "top.jsonl").stat().st_size:
        time.sleep(0.2)
    before = get(url)
    command = [sys.executable, __file__, "work", str(folder / "told.json")]
    recorded = subprocess.run(
        lazyobs("record", "-o", str(folder / "recording"), "--interval", "1", "--progress", "none", "--", *command),
        capture_output=True, text=True,
    )  # fmt: skip
    after = get(url)
    ended = {}
    for name, process in (("top", top), ("export", exporter)):
        process.send_signal(signal.SIGTERM)
        ended[name] = process.wait(60)
    found = {"before": before, "after": after, "ended": ended, "record": [recorded.returncode, recorded.stderr]}
    (folder / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    if sys.argv[1] == "work":
        work(Path(sys.argv[2]))
    else:
        try:
            observe(Path(sys.argv[1]))
        except BaseException:
            (Path(sys.argv[1]) / "trouble").write_text(traceback.format_exc())
            raise
        finally:
            os.sync()
            Path("/proc/sysrq-trigger").write_text("o")
            time.sleep(60)
