# SPDX-License-Identifier: MIT
"""Names that processes and cgroups give themselves, at each place where they leave lazyobs."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from lazyobs.exporter.cgroups import CgroupFold
from lazyobs.exporter.collector import LazyobsCollector
from lazyobs.exporter.page import Page
from lazyobs.model import PROCESS_COLUMNS, Sample
from lazyobs.sources import cgroups
from lazyobs.text import printable
from lazyobs.views import lines, tables
from lazyobs.views.live_table import LiveTables
from lazyobs.views.process_filter import ProcessFilter
from tests.exporter.host import Host
from tests.fuzz.fuzzing import PIECES, bounded, tries
from tests.hostile import acting
from tests.views import handmade

# As they come from the kernel: any bytes but 0, and in a cgroup no slash and no line end.
NAMES = st.lists(st.one_of(st.binary(max_size=8), st.sampled_from(PIECES)), max_size=4).map(
    lambda parts: b"".join(parts).replace(b"\0", b"")[:300].decode("utf-8", "replace")
)
FORMULAS = ("=1+1", "+cmd|' /C calc'!A0", "-2", "@SUM(A1)", "\t=1", "\r=1", "\u200b=1", "'=1")


def named(comm: str, cgroup: str) -> Sample:
    return handmade.sample(handmade.process(23, comm, user=comm, cgroup=f"/{cgroup}"), handmade.process(211))


@tries(200)
@given(comm=NAMES, cgroup=NAMES)
@example(comm="\u202e\x1b]0;x\x07", cgroup="\x9b2J\u2028\x85\n")
def test_tables(comm: str, cgroup: str) -> None:
    """A name adds no line and moves no column."""
    sample = named(comm, cgroup)
    shown = bounded(lambda: tables.view(sample, "processes", sample.processes, "pid", LiveTables()))
    assert shown is not None and acting(shown) == []
    assert len(shown.splitlines()) == len(
        tables.view(named("a", "b"), "processes", sample.processes, "pid", LiveTables()).splitlines()
    )


@tries(200)
@given(comm=st.one_of(NAMES, st.sampled_from(FORMULAS)), cgroup=NAMES)
@example(comm='a",b\n', cgroup=",,")
def test_csv(comm: str, cgroup: str) -> None:
    out = io.StringIO()
    lines.CsvWriter(out).write(named(comm, cgroup), named(comm, cgroup).processes)
    text = out.getvalue()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 2 and [row["pid"] for row in rows] == ["23", "211"] and acting(text, lines=False) == []
    assert set(rows[0]) == {"time", *PROCESS_COLUMNS} and None not in rows[0].values()
    assert rows[0]["comm"][:1] not in ("=", "+", "-", "@")


@tries(100)
@given(comm=NAMES, cgroup=NAMES)
def test_json(comm: str, cgroup: str) -> None:
    """JSON has the names as they are, and is ASCII."""
    line = lines.json_line(named(comm, cgroup).as_json())
    assert line.isascii() and "\n" not in line
    assert json.loads(line)["processes"][0]["comm"] == comm


@tries(60)
@given(paths=st.lists(NAMES, min_size=1, max_size=5))
@example(paths=['a"} 1\nx{y="', "\\", "\\n", "a\\"])
def test_labels(paths: list[str]) -> None:
    """A cgroup is one label, whatever it is called, and its processes are all counted."""

    class Named(Host):
        def read(self) -> Sample:
            found = super().read()
            rows = [
                dataclasses.replace(process, cgroup=f"/{paths[number % len(paths)]}")
                for number, process in enumerate(found.processes)
            ]
            return dataclasses.replace(found, processes=rows)

    page = Page(LazyobsCollector(Named(), CgroupFold())).text().decode()  # type: ignore[arg-type]
    assert acting(page) == []
    found = {
        sample.labels["cgroup"]: sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "lazyobs_cgroup_processes"
    }
    assert sum(found.values()) == 23
    assert all(label == "other" or label.startswith("/") for label in found)


MOUNTS = b"cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\ncgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n"
ENDS = {ord("\n"): None}
LINES = st.lists(
    st.one_of(st.sampled_from([b"0::/a", b"3:memory:/b", b"1:name=systemd:/c", b"0::/..", b":", b"::", b"0::", *PIECES]), st.binary(max_size=12)),
    max_size=5,
).map(b"\n".join)  # fmt: skip


@tries(300)
@given(text=LINES)
@example(text=b"0::/\xff")
@example(text=b"1:memory:/a:b\n0::/x (deleted)\n")
def test_paths_in_proc(text: bytes) -> None:
    path = bounded(lambda: cgroups.path_in(text.decode("utf-8", "replace")))
    assert path is None or (path.startswith("/") and "\n" not in path)


@tries(200)
@given(end=st.sampled_from("\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"), name=NAMES)
@example(end="\x0c", name="")
def test_a_path_within_a_name(tmp_path: Path, end: str, name: str) -> None:
    """A cgroup may be called as if another line began in it."""
    path = f"/user.slice/{name.translate(ENDS)}{end}0::/system.slice/sshd.service"
    (tmp_path / "23").mkdir(exist_ok=True)
    (tmp_path / "23/cgroup").write_bytes(f"0::{path}\n".encode())
    assert cgroups.path_of_process(23, str(tmp_path)) == path


@tries(200)
@given(
    tree=st.dictionaries(st.integers(1, 9), st.tuples(st.integers(0, 9), st.sampled_from(["", "a", "..", "/", "\n"])))
)
@example(tree={1: (2, "a"), 2: (1, "b")})
@example(tree={1: (1, "a")})
def test_a_tree_of_the_kernel(tree: dict[int, tuple[int, str]]) -> None:
    """Also one that was read while it changed: it may have circles."""
    found = cgroups.KernelCgroups(lambda: tree)
    found.begin()
    for number in range(10):
        path = bounded(lambda number=number: found.path(number))  # type: ignore[misc]
        assert path is None or path.startswith("/")


@tries(200)
@given(given_=st.binary(max_size=40), path=NAMES)
def test_filters(given_: bytes, path: str) -> None:
    word, path = os.fsdecode(given_), path.replace("/", "_")
    chosen = ProcessFilter(cgroup=cgroups.as_shown(word), words=word)
    bounded(lambda: chosen.of(named(path, path).processes))
    assert ProcessFilter(cgroup=f"/{path}").of(named("a", path).processes)[0].pid == 23


@tries(300)
@given(text=st.text(max_size=80))
def test_what_is_printed(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text) and acting(shown.replace("\n", ""), lines=False) == [] and printable(shown) == shown
