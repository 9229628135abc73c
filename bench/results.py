# SPDX-License-Identifier: MIT
"""What the benchmarks found, kept in results.json beside this file, and docs/results.md, which is made of it.

A result is of one machine and one kernel. A new one takes the place of the earlier one of the same benchmark there.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
KEPT, PAGE = ROOT / "bench/results.json", ROOT / "docs/results.md"

Figures = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One line of the page: what is measured, ``ours`` and the peer's as paths in the result ("a.b"), or functions of
    it; ``goal``: the most that the ratio may be, or that ours may be where there is no ratio."""

    benchmark: str
    what: str
    ours: str
    peer: str = ""
    peer_name: str = ""
    ratio: str = ""
    quartiles: str = ""
    unit: str = ""
    goal: str = ""
    scale: float = 1.0


def _pair(benchmark: str, what: str, key: str, peer_name: str, unit: str, goal: str, scale: float = 1.0) -> Row:
    """A row of bench/pairs.py."""
    names = (f"{key}.{name}" for name in ("one", "other", "ratio", "ratio_quartiles"))
    ours, peer, ratio, quartiles = names
    return Row(benchmark, what, ours, peer, peer_name, ratio, quartiles, unit, goal, scale)


def _instructions(what: str, figures: str, peer: str, peer_name: str, goal: str) -> Row:
    """A row of bench/lab_instructions.py: of a fork and exit of a process with a hundred islands."""
    ours, others = (f"instructions.lazy off.{name}.fork" for name in (figures, peer))
    return Row("lab_instructions", f"a fork and exit in the lab, {what}", ours, others, peer_name,
               unit="M instructions", goal=goal, scale=1e-6)  # fmt: skip


def _write(what: str, loop: str, also: str) -> Row:
    """Another: of a write to a page."""
    ours, others = (f"instructions.lazy off.{name}.{loop}" for name in (f"also {also}", "fentry"))
    return Row("lab_instructions", f"{what} in the lab, fentry tier, --also {also}", ours, others, "without it",
               unit="instructions")  # fmt: skip


def _loop(what: str, key: str) -> tuple[Row, Row]:
    """Rows of bench/workloads.py: a loop that does nothing else, beside nothing attached, and beside empty programs on
    the same tracepoints."""
    ours, empty = f"{key}.everything.one", f"{key}.empty_programs.one"
    return (
        _pair("workloads", f"a loop of {what}, CPU", f"{key}.everything", "nothing attached", "ms", "", 1e3),
        Row("workloads", "the same", ours, empty, "empty programs", unit="ms", goal="<= 1.02", scale=1e3),
    )


def _scale(command: str, duckdb: str, spark: str, what: str) -> tuple[Row, ...]:
    """Rows of bench/scale_out.py: ``report`` or ``compare`` on a day of many hosts, Spark beside DuckDB."""
    about = f"{command} on a Spark cluster{what}"
    figures = (("hosts", "hosts", "hosts"), ("seconds_a_host", "time for a host", "s"),
               ("cpu_seconds_a_host", "CPU for a host", "s"), ("most_megabytes", "memory of the command", "MB"))  # fmt: skip
    return tuple(Row("scale_out", f"{about}: {name}", f"{spark}.{key}", f"{duckdb}.{key}", "DuckDB", unit=unit)
                 for key, name, unit in figures)  # fmt: skip


def _growth(axis: str, what: str, unit: str, scale: float) -> tuple[Row, Row]:
    """Rows of bench/cost_model.py."""
    return (
        Row("cost_model", f"how {what} grows: exponent", f"exponents.{axis}", unit="1 is linear", goal="<= 1.2"),
        Row("cost_model", f"{what}, CPU of each at the most", f"each.{axis}", unit=unit, scale=scale),
    )


ROWS = (
    _instructions("empty programs on the tracepoints", "empty", "none", "nothing attached", ""),
    _instructions("the least that counts objects by process", "least", "none", "nothing attached", ""),
    _instructions("tracepoint tier", "tracepoint", "none", "nothing attached", "<= 1.20"),
    _instructions("fentry tier", "fentry", "none", "nothing attached", "<= 1.30"),
    _instructions("kprobe tier", "kprobe", "none", "nothing attached", "<= 1.40"),
    _instructions("empty programs at the entry and exit of copy_page_range()", "empty page_tables", "none",
                  "nothing attached", ""),
    _instructions("fentry tier, --also page_tables", "also page_tables", "fentry", "without it", ""),
    _instructions("fentry tier, --also holds", "also holds", "fentry", "without it", ""),
    _write("a write that copies a page", "copy", "cow"),
    _write("a write to a page that is no longer shared", "write_again", "cow"),
    _write("a write to a new page", "first_write", "first_fault"),
    _instructions("tracepoint tier, from the image", "tracepoint", "tracepoint compiled", "compiled there", "<= 1.02"),
    _instructions("fentry tier, from the image", "fentry", "fentry compiled", "compiled there", "<= 1.02"),
    Row(
        "event_cost", "a counted event, above an empty program", "ns_per_event", "bpftrace_ns_per_event", "bpftrace",
        "ratio", unit="ns", goal="<= 0.20",
    ),
    Row(
        "lock_cost", "a wait for a root's lock, above empty programs", "ns_per_wait", "bpftrace_ns_per_wait",
        "bpftrace", "ratio", unit="ns", goal="<= 1.0",
    ),
    Row(
        "unrelated", "a slab allocation of something else", "ns_per_run", "empty_ns_per_run", "an empty program",
        "ratio", unit="ns", goal="within noise",
    ),
    Row("census", "a census of 40,000 VMAs", "smaps_over_census.other", "smaps_over_census.one", "reading smaps",
        "smaps_over_census.ratio", "smaps_over_census.ratio_quartiles", "ms", ">= 10", 1e3),
    Row("census", "the same beside an empty pass over the VMAs", "census_over_empty.one", "census_over_empty.other",
        "an empty program", "census_over_empty.ratio", "census_over_empty.ratio_quartiles", "ms", "", 1e3),
    *_growth("processes", "a sample of 10 to 10,000 processes", "us", 1e6),
    *_growth("vmas", "a census of 1,000 to 1,000,000 VMAs", "ns", 1e9),
    *_growth("cgroups", "a sample of 10 to 10,000 cgroups, folded", "us", 1e6),
    *_growth("events", "writing 100 to 1,000,000 events", "ns", 1e9),
    *_growth("cpus", "adding up the maps of 1 to 256 CPUs", "us", 1e6),
    Row("budget", "100,000 VMAs in a process: most samples over a budget of 0.7%", "longest_over.vmas", unit="samples",
        goal="<= 3"),
    Row("budget", "slab allocations without end, all shed", "own.slab", "floor.slab", "empty programs",
        unit="% of the machine", scale=100),
    Row("budget", "a fork bomb, all shed", "own.forks", "floor.forks", "empty programs", unit="% of the machine",
        scale=100),
    Row("budget", "PSS of the loader that stays for a budget", "loader_pss_bytes", unit="MB", scale=1e-6),
    _pair("start", "first numbers, the first time ever", "first_ever_seconds", "a stock BCC tool", "s", "<= 1.0"),
    _pair("start", "first numbers, first in a boot", "first_in_a_boot_seconds", "a stock BCC tool", "s", "<= 1.0"),
    _pair("start", "first numbers, later", "warm_seconds", "a stock BCC tool", "s", "<= 0.75"),
    _pair("start", "PSS of all processes", "pss_bytes", "a stock BCC tool", "MB", "<= 0.17", 1e-6),
    Row("ring", "events decoded in bulk", "events_per_cpu_second.bulk", "events_per_cpu_second.bcc", "BCC's callback",
        "bulk_to_bcc", unit="M/s of CPU", goal=">= 40", scale=1e-6),
    Row("ring", "events decoded one by one", "events_per_cpu_second.light", "events_per_cpu_second.bcc",
        "BCC's callback", "light_to_bcc", unit="M/s of CPU", goal=">= 6", scale=1e-6),
    Row("screen", "the screen at 1 s, 500 processes", "lazyobs.cpu_percent", "htop.cpu_percent", "htop",
        unit="% of a CPU", goal="<= 0.6"),
    Row("screen", "PSS of the screen, all its processes", "lazyobs.pss_bytes", unit="MB", goal="<= 45", scale=1e-6),
    Row("recording", "record, a sample a second", "running.cpu_percent", "running.cpu_percent_of_top", "top -b",
        unit="% of a CPU"),
    Row("recording", "PSS of record, all its processes", "running.pss_bytes", unit="MB", goal="<= 60", scale=1e-6),
    Row("recording", "a million events from the ring to the disk", "through_the_ring.cpu_seconds_per_million",
        unit="s of CPU"),
    Row("recording", "an event on disk", "events.bytes_per_event", unit="bytes"),
    *_loop("forks", "fork"),
    *_loop("mmap, touch and munmap", "mmap_touch"),
    *_loop("faults", "fault"),
    Row("exporter", "a scrape, 500 processes and 200 cgroups", "cpu_seconds_per_scrape", unit="ms", goal="<= 10",
        scale=1e3),
    Row("exporter", "of a scrape the census, at least: an empty pass over the VMAs", "census_floor_seconds", unit="ms",
        scale=1e3),
    Row("exporter", "of a scrape the text, at least: prometheus_client makes it of the metrics", "rendering_floor_seconds",
        unit="ms", scale=1e3),
    Row("exporter", "PSS of the exporter", "pss_bytes", "stock_bcc_pss_bytes", "a process with BCC loaded", "ratio",
        unit="MB", goal="<= 0.17", scale=1e-6),
    Row("exporter", "of that PSS at least: Python with prometheus_client imported", "prometheus_client_pss_bytes",
        unit="MB", scale=1e-6),
    Row("fleet_scale", "simulated targets of one Prometheus", "targets", unit="targets"),
    Row("fleet_scale", "their series in its head", "head_series", unit="series"),
    Row("fleet_scale", "its memory (RSS) for a target", "resident_bytes_a_target", unit="MB", scale=1e-6),
    Row("fleet_scale", "its CPU, with scrapes every 15 s, rules and alerts", "cpu_percent", unit="% of a CPU"),
    Row("fleet_scale", "its slowest group of rules", "slowest_rules_seconds", unit="s"),
    *_scale("report", "duckdb_report_all", "spark_report_one_worker_killed", ", one worker killed midway"),
    *_scale("report", "duckdb_report", "spark_report", ""),
    *_scale("compare", "duckdb_compare", "spark_compare", ""),
    Row("scale_out", "report on so few hosts that Spark is asked by queries, time for a host",
        "spark_report_few.seconds_a_host", "duckdb_report_few.seconds_a_host", "DuckDB", unit="s"),
)  # fmt: skip


def keep(benchmark: str, figures: Figures, path: Path = KEPT, where: str = "", known: Figures | None = None) -> None:
    """Writes a result in place of the earlier one of this machine and kernel, or of ``where``, whose versions are
    ``known``."""
    here = where or machine()
    others = [one for one in read(path) if (one["benchmark"], one["machine"]) != (benchmark, here)]
    new = {
        "benchmark": benchmark,
        "machine": here,
        "date": time.strftime("%Y-%m-%d"),
        **(known or identity()),
        "figures": figures,
    }
    kept = sorted([*others, new], key=lambda one: (one["machine"], one["benchmark"]))
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_text(json.dumps(kept, indent=1) + "\n")
    part.rename(path)


def read(path: Path = KEPT) -> list[dict[str, Any]]:
    return json.loads(path.read_text()) if path.exists() else []  # type: ignore[no-any-return]


def machine() -> str:
    """Processor, number of CPUs, memory and kernel: what a figure depends on."""
    found = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    model = found[1].strip() if found else os.uname().machine
    gigabytes = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9)
    cpus = os.cpu_count() or 0
    return f"{model}, {cpus} CPUs, {gigabytes} GB, Linux {os.uname().release.split('-')[0]}"


def identity() -> dict[str, Any]:
    """The versions that a result is of, and how busy the machine was as it ended."""
    return {
        "commit": commit(),
        "python": sys.version.split()[0],
        "bcc": _said(["/usr/bin/python3", "-c", "import bcc; print(bcc.__version__)"]),
        "bpftrace": _said(["bpftrace", "--version"]).removeprefix("bpftrace "),
        "load": round(os.getloadavg()[0], 1),
    }


def commit() -> str:
    return _said(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"])


def _said(command: list[str]) -> str:
    """What a program says of itself; "" where it is missing."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=3600).stdout.strip()
    except OSError:
        return ""


def _at(figures: Figures, path: str) -> Any:
    for name in path.split("."):
        figures = figures.get(name, {}) if isinstance(figures, dict) else {}
    return figures if figures != {} else None


def _number(value: Any, scale: float) -> str:
    return "-" if value is None else f"{value * scale:.3g}"


def _ratio(row: Row, figures: Figures) -> str:
    ours, peer = _at(figures, row.ours), _at(figures, row.peer) if row.peer else None
    ratio = _at(figures, row.ratio) if row.ratio else ours / peer if ours is not None and peer else None
    if ratio is None:
        return "-"
    quartiles = _at(figures, row.quartiles) if row.quartiles else None
    return f"{ratio:.3g}" + (f" ({quartiles[0]:.3g} to {quartiles[1]:.3g})" if quartiles else "")


def lines_of(results: list[dict[str, Any]]) -> list[str]:
    """The table of one machine."""
    lines = ["| what | lazyobs | peer | ratio (quartiles) | goal | measured |", "|---|---:|---:|---:|---|---|"]
    by_name = {one["benchmark"]: one for one in results}
    for row in ROWS:
        one = by_name.get(row.benchmark)
        if one is None:
            continue
        ours, peer = (_number(_at(one["figures"], path), row.scale) if path else "" for path in (row.ours, row.peer))
        beside = f"{peer} ({row.peer_name})" if row.peer else ""
        load = "" if one["load"] is None else f", load {one['load']}"
        when = f"{one['date']}, {one['commit']}{load}"
        lines.append(
            f"| {row.what}, {row.unit} | {ours} | {beside} | {_ratio(row, one['figures'])} | {row.goal} | {when} |"
        )
    return lines


_HEAD = """<!-- Written by `python -m bench.results` from bench/results.json. -->
# What lazyobs costs

`make bench` measures it, each figure beside its peer in one run, in turn with it, and keeps what it
finds; `make bench BENCH=start,census` some of it, and `make bench BENCH=--missing` what has no
result on this machine. The five that take longest run by name only (`--help`). Figures are medians.
*load* is the machine's as the benchmark ended: ratios of a busy machine are less certain. What each
benchmark does stands at the head of its file
in `bench/`. Of the lab, whose clock counts instructions (`python -m bench.in_lab`), *ns* are
instructions, the same on any machine; the peers there are those of another release of Debian.
"""


def page(results: list[dict[str, Any]]) -> str:
    parts = [_HEAD]
    for name in sorted({one["machine"] for one in results}):
        of_it = [one for one in results if one["machine"] == name]
        newest = max(of_it, key=lambda one: one["date"])
        tools = f"Python {newest['python']}, BCC {newest['bcc'] or '-'}, bpftrace {newest['bpftrace'] or '-'}."
        parts.append("\n".join([f"\n## {name}\n", tools, "", *lines_of(of_it)]) + "\n")
    return "".join(parts)


def missing(names: list[str]) -> list[str]:
    """Those of ``names`` that have no result of this machine."""
    there = {one["benchmark"] for one in read() if one["machine"] == machine()}
    return [name for name in names if name not in there]


def main() -> None:
    PAGE.write_text(page(read()))


if __name__ == "__main__":
    main()
