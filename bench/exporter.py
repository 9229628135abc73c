# SPDX-License-Identifier: MIT
"""The cost of the exporter: CPU per scrape, memory beside a process that keeps BCC loaded, growth over many scrapes.

The real command watches 500 idle processes in 200 cgroups (if cgroup v2 is writable) and is scraped over HTTP; then
processes start and end while it is scraped thousands of times.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bench.counting_guest import PATIENCE
from bench.fast_clock import lazyobs
from bench.held import pss
from bench.program_time import empty_iterator
from lazyobs.exporter.page import Metrics

PROCESSES, CGROUPS = 500, 200
SCRAPES_OF_MANY = 200
SCRAPES, COME_AND_GO = 10_000, 20_000
_REST = 0.05  # seconds, about what the exporter leaves between two scrapes that follow each other
_ROOT = Path(__file__).parent.parent
_UNIFIED = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")

# A process that does what every stock BCC tool does first: import, compile, keep running.
_STOCK = """
import os, shutil, sys, tempfile, time
sys.path.append(sys.argv[1])
import bcc
from lazyobs.bpf.headers import write_stub_headers
headers = tempfile.mkdtemp(prefix="lazyobs-headers-")
write_stub_headers(headers)
os.environ["BCC_KERNEL_SOURCE"] = headers
program = bcc.BPF(text="BPF_HASH(counts, u32); RAW_TRACEPOINT_PROBE(sched_process_fork) { counts.increment(0); return 0; }")
shutil.rmtree(headers)
print("ready", flush=True)
time.sleep(600)
"""

# The least that a Python exporter takes before it has a number of its own.
_LIBRARY = """
import time
import prometheus_client
print("ready", flush=True)
time.sleep(600)
"""


def run(scrapes: int = SCRAPES, come_and_go: int = COME_AND_GO) -> dict[str, object]:
    """Figures of one run; ``ratio`` is the exporter's PSS over the PSS of a process with BCC loaded."""
    with exporter() as (url, process):
        few = _cost(url, 20)
        with _idle_processes() as cgroups:
            many = _cost(url, SCRAPES_OF_MANY)
            memory = pss(process.pid)
            page = get(url).decode()
            series = sum(1 for line in page.splitlines() if line and not line.startswith("#"))
            census_floor, vmas = _census_floor()
            rendering_floor = _rendering_floor(page)
            idle = _cpu_of(process.pid)
            time.sleep(3)
            between = _cpu_of(process.pid) - idle
        growth = _growth(url, process.pid, scrapes, come_and_go)
    stock = _pss_of(["/usr/bin/python3", "-c", _STOCK, str(_ROOT)])
    library = _pss_of([sys.executable, "-c", _LIBRARY])
    return {
        "name": "exporter",
        "ratio": round(memory / stock, 3) if stock else None,
        "pss_bytes": memory,
        "stock_bcc_pss_bytes": stock,
        "prometheus_client_pss_bytes": library,
        "processes": PROCESSES,
        "cgroups": cgroups,
        "series": series,
        "cpu_seconds_per_scrape": round(many, 6),
        "cpu_seconds_per_scrape_few_processes": round(few, 6),
        "census_floor_seconds": round(census_floor, 6),
        "rendering_floor_seconds": round(rendering_floor, 6),
        "vmas": vmas,
        "cpu_seconds_between_scrapes_in_3_s": between,
        **growth,
    }


@contextlib.contextmanager
def exporter(speed: float = 1.0) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """(its URL, the process) of the real command, on a port of its own, with clocks of that speed."""
    process = subprocess.Popen(
        lazyobs(speed, "export", "--listen", "127.0.0.1:0"),
        stderr=subprocess.PIPE, text=True, cwd=_ROOT,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        line = "it said nothing"
        for line in process.stderr:
            found = re.search(r"serving (http://\S+)", line)
            if found:
                yield found[1], process
                return
        raise RuntimeError(f"the exporter ended at once: {line.strip()}")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


@contextlib.contextmanager
def _idle_processes() -> Iterator[int]:
    """Runs PROCESSES sleeping processes; yields the number of cgroups that they are in."""
    root = _cgroup_root()
    directories = [root / f"lazyobs-bench-{number}" for number in range(CGROUPS)] if root else []
    processes = [subprocess.Popen(["sleep", "600"]) for _ in range(PROCESSES)]
    try:
        for directory in directories:
            directory.mkdir(exist_ok=True)
        for number, process in enumerate(processes):
            if directories:
                (directories[number % CGROUPS] / "cgroup.procs").write_text(str(process.pid))
        yield len(directories)
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
        for directory in directories:
            for _ in range(100):
                try:
                    directory.rmdir()
                    break
                except OSError:
                    time.sleep(0.01)


def _cgroup_root() -> Path | None:
    for place in map(Path, _UNIFIED):
        if (place / "cgroup.controllers").exists() and os.access(place / "cgroup.procs", os.W_OK):
            return place
    return None


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as response:
        return bytes(response.read())


def number(page: bytes, name: str) -> float:
    found = re.search(rb"^%s (\S+)$" % name.encode(), page, re.MULTILINE)
    assert found, name
    return float(found[1])


def _cost(url: str, scrapes: int) -> float:
    """CPU seconds per scrape, everything included, by the exporter's own count."""
    for _ in range(3):
        first = number(get(url), "lazyobs_self_cpu_seconds_total")
    for _ in range(scrapes):
        last = number(get(url), "lazyobs_self_cpu_seconds_total")
    return (last - first) / scrapes


def _median(once: Callable[[], object], times: int = 50) -> float:
    """CPU seconds, each time after a rest as a scrape has: the machine's caches hold what others need by then."""
    seconds = []
    for _ in range(times):
        time.sleep(_REST)
        begin = time.thread_time()
        once()
        seconds.append(time.thread_time() - begin)
    return statistics.median(seconds)


def _rendering_floor(page: str) -> float:
    """CPU seconds in which prometheus_client makes the page's text of its metrics."""
    found = Metrics(list(text_string_to_metric_families(page)))
    return _median(lambda: generate_latest(found))


def _census_floor() -> tuple[float, int]:
    """(CPU seconds of an empty pass over the VMAs of all processes, how many those are)."""
    with empty_iterator("task_vma") as once:
        seconds = _median(once)
    vmas = 0
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):
            vmas += maps.read_bytes().count(b"\n")
    return seconds, vmas


def _cpu_of(pid: int) -> float:
    return float(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def _rss(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _growth(url: str, pid: int, scrapes: int, come_and_go: int) -> dict[str, object]:
    """Resident memory before and after many scrapes, while processes start and end all the time."""
    with tempfile.TemporaryDirectory() as directory:
        # The shell forks one subshell after another: processes start and end without an exec.
        waves = max(1, come_and_go // 50)
        pause = max(0.0, scrapes * 0.01 / waves)
        script = f'i=0; while [ $i -lt {waves} ]; do j=0; while [ $j -lt 50 ]; do (:) & j=$((j+1)); done; wait; i=$((i+1)); sleep {pause:.3f}; done; echo done > "$1/done"'
        churn = subprocess.Popen(["/bin/sh", "-c", script, "sh", directory])
        rss = []
        try:
            for turn in range(scrapes):
                page = get(url)
                if turn % max(1, scrapes // 20) == 0:
                    rss.append(_rss(pid))
            rss.append(_rss(pid))
            churn.wait()
        finally:
            churn.kill()
            churn.wait()
        last = get(url)
    warm, middle = rss[len(rss) // 10 or 1], rss[len(rss) // 2]
    return {
        "scrapes": scrapes,
        "processes_come_and_gone": come_and_go,
        "forks_counted": number(last, "lazyobs_forks_total"),
        "map_entries_at_the_end": number(last, "lazyobs_process_map_entries"),
        "rss_warm_bytes": warm,
        "rss_end_bytes": rss[-1],
        "rss_growth_bytes": rss[-1] - warm,
        "rss_growth_in_second_half_bytes": rss[-1] - middle,
        "rss_curve_bytes": rss,
        "series_at_the_end": sum(1 for line in page.splitlines() if line and not line.startswith(b"#")),
    }


def _pss_of(command: list[str]) -> int | None:
    """PSS of a process that says it is ready and goes on; None where it ends instead, without bcc say."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        return pss(process.pid) if process.stdout.readline() == "ready\n" else None
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    print(json.dumps(run(*map(int, sys.argv[1:])), indent=2))
