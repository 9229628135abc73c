# SPDX-License-Identifier: MIT
"""Numbers in namespaces, with few capabilities and hidden files: those that cannot be had are null, others are right."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lazyobs.sources import sight
from lazyobs.sources.cgroups import path_of_process
from lazyobs.unix import privileges
from tests.confined import NAMED, mounted, need
from tests.harness import ROOT, Islands, cgroup_root, skip

pytestmark = [pytest.mark.usefixtures("root", "bpf")]


def document(room: Path, place: str, *arguments: str, **options: Any) -> dict[str, Any]:
    """The last line of JSON that lazyobs prints there."""
    need(NAMED[place], room)
    done = NAMED[place].run(room, *arguments, "-o", "json", **options)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def row_of(found: dict[str, Any], pid: int) -> dict[str, Any]:
    return next(row for row in found["processes"] if row["pid"] == pid)


@contextlib.contextmanager
def busy(program: Islands) -> Iterator[None]:
    """The process forks until the block ends, so that the probes know it."""
    ends = threading.Event()

    def work() -> None:
        while not ends.wait(0.02):
            program.tell("fork")
            program.tell("reap")

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join()


def test_a_process_outside_the_pid_namespace_has_no_census(tmp_path: Path, islands: Callable[[int], Islands]) -> None:
    outside = islands(23)
    with busy(outside):
        found = document(tmp_path, "pid namespace", "top", "-b", "-n", "3", "-d", "0.3")
    row = row_of(found, outside.pid)
    assert row["forks"] > 0
    assert [row[name] for name in ("vmas", "vmas_private", "savable_bytes", "cgroup")] == [None] * 4
    assert "outside this pid namespace" in found["null_reasons"]["processes.vmas"]
    assert not [row["pid"] for row in found["processes"] if row["vmas"] == 0]
    assert [row for row in found["processes"] if row["vmas"]]  # lazyobs itself is inside
    assert found["census"]["vmas"] is None and "cannot be had" in found["null_reasons"]["census"]
    assert found["totals"]["forks"] >= row["forks"]


def test_in_the_initial_pid_namespace_all_is_known(live: Callable) -> None:
    if not sight.sees_every_process():
        skip("host", "the tests run in a pid namespace")
    sample = live().read()
    assert sample.census["vmas"] and "census" not in sample.null_reasons
    assert all(process.census["vmas"] is not None for process in sample.processes)


@pytest.mark.parametrize(
    "arguments",
    [("census",), ("census", "--vmas"), ("top", "-b", "-n", "1"), ("trace", "--duration", "1"), ("record", "-o", "{room}/x")],
    ids=" ".join,
)  # fmt: skip
def test_pids_of_another_numbering_are_refused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    need(NAMED["pid namespace"], tmp_path)
    words = [word.replace("{room}", str(tmp_path)) for word in arguments]
    done = NAMED["pid namespace"].run(tmp_path, *words, "-p", "1")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    assert "host's pids" in done.stderr and "--pid=host" in done.stderr
    assert not (tmp_path / "x").exists()


def test_pids_are_the_namespaces_at_tier_procfs(tmp_path: Path) -> None:
    found = document(tmp_path, "pid namespace", "census", "--tier", "procfs", "-p", "1")
    assert [row["pid"] for row in found["processes"]] == [1]


@pytest.mark.parametrize("tier", ["tracepoint", "procfs"])
def test_start_times_in_a_time_namespace(tmp_path: Path, islands: Callable[[int], Islands], tier: str) -> None:
    before = time.time()
    program = islands(23)
    found = document(tmp_path, "time namespace", "census", "--tier", tier)
    assert before - 1 < row_of(found, program.pid)["start_time"] < time.time() + 1


def test_times_of_events_in_a_time_namespace(tmp_path: Path, islands: Callable[[int], Islands]) -> None:
    before = time.time()
    with busy(islands(23)):
        found = document(tmp_path, "time namespace", "trace", "-e", "fork", "-n", "1")
    assert before - 1 < found["time"] < time.time() + 1


def test_times_of_recorded_events_in_a_time_namespace(tmp_path: Path, islands: Callable[[int], Islands]) -> None:
    need(NAMED["time namespace"], tmp_path)
    before = time.time()
    with busy(islands(23)):
        done = NAMED["time namespace"].run(tmp_path, "record", "-o", str(tmp_path / "r"), "--duration", "1")
        assert done.returncode == 0, done.stderr
    shown = NAMED["time namespace"].run(tmp_path, "trace", "--replay", str(tmp_path / "r"), "-e", "fork", "-o", "json")
    times = [json.loads(line)["time"] for line in shown.stdout.splitlines()]
    assert times and before - 1 < min(times) and max(times) < time.time() + 1


def test_a_process_is_younger_than_the_probes_in_a_time_namespace(tmp_path: Path) -> None:
    """The kernel's stamps of starts are compared with a clock that the namespace does not shift."""
    place = NAMED["time namespace"]
    need(place, tmp_path)
    program = (
        "from lazyobs.sources.history import History; from lazyobs.unix.clock import boottime_ns\n"
        "history = History(); history.note(3, 0); print(history.missed(boottime_ns()))"
    )
    done = subprocess.run([*place.prefix, sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "0\n", done.stderr


@pytest.fixture
def pods() -> Iterator[dict[str, int]]:
    """{cgroup: a process in it} of two cgroups three levels down, side by side."""
    root, name = cgroup_root(), f"lazyobs-test-{os.getpid()}"
    paths = [f"/{name}/pod{number}/c{number}" for number in (1, 2)]
    processes = []
    try:
        try:
            for path in paths:
                os.makedirs(f"{root}{path}")
        except OSError as error:
            skip("host", f"{root} cannot be written to: {error.strerror}")
        found = {}
        for path in paths:
            processes.append(subprocess.Popen(["sleep", "600"]))
            Path(f"{root}{path}/cgroup.procs").write_text(str(processes[-1].pid))
            found[path] = processes[-1].pid
        yield found
    finally:
        for process in processes:
            process.kill()
            process.wait()
        for path in paths:
            for level in (path, os.path.dirname(path)):
                with contextlib.suppress(FileNotFoundError):
                    os.rmdir(f"{root}{level}")
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(f"{root}/{name}")


def _in(cgroup: str) -> tuple[str, ...]:
    return ("sh", "-ec", f'echo $$ > {cgroup_root()}{cgroup}/cgroup.procs; exec "$@"', "sh")


@pytest.mark.parametrize("place", ["cgroup namespace", "/proc with hidepid=2", "/proc/sys hidden"])
def test_cgroups_are_the_hosts(tmp_path: Path, pods: dict[str, int], place: str) -> None:
    """Started in a cgroup of its own, as a container is: in a namespace that would be the root."""
    need(NAMED[place], tmp_path)
    first = next(iter(pods))
    done = subprocess.run(
        [*_in(first), *NAMED[place].command(tmp_path, "census", "-o", "json")],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    for path, pid in pods.items():
        assert row_of(found, pid)["cgroup"] == path == path_of_process(pid)
    host = {row["pid"]: path_of_process(row["pid"]) for row in found["processes"]}
    known = [row for row in found["processes"] if host[row["pid"]] is not None and row["vmas"]]
    assert len(known) > 3
    # One that has moved or ended meanwhile may differ.
    assert sum(row["cgroup"] != host[row["pid"]] for row in known) <= 1


def test_cgroups_relative_to_a_namespace_stay_apart_at_tier_procfs(tmp_path: Path, pods: dict[str, int]) -> None:
    need(NAMED["cgroup namespace"], tmp_path)
    first, second = pods
    command = NAMED["cgroup namespace"].command(tmp_path, "census", "--tier", "procfs", "-o", "json")
    done = subprocess.run([*_in(first), *command], capture_output=True, text=True, check=True)
    row = row_of(json.loads(done.stdout), pods[second])
    assert row["cgroup"] == "/../../pod2/c2"


@pytest.mark.parametrize("place", ["pid namespace", "container"])
def test_the_exporter_has_no_census_of_a_part(tmp_path: Path, place: str) -> None:
    from tests.commands.test_confined import Outcome

    need(NAMED[place], tmp_path)
    found = Outcome(NAMED[place], tmp_path, "export")
    assert found.status == 0 and "in a pid namespace" in found.err
    assert "\nlazyobs_prepares_total " in found.page
    for name in ("lazyobs_vmas", "lazyobs_savable_bytes", "lazyobs_processes", "lazyobs_cgroup_processes"):
        assert f"\n{name}{{" not in found.page and f"\n{name} " not in found.page, name
    for part in ("census", "processes", "cgroups"):
        assert f'lazyobs_scrape_collector_success{{collector="{part}"}} 0.0' in found.page


def test_doctor_says_what_is_seen(tmp_path: Path) -> None:
    found = document(tmp_path, "container", "doctor")
    states = {aspect["name"]: aspect for aspect in found["sight"]}
    assert states["pid namespace"]["state"] == "another" and "the census iterator" in states["pid namespace"]["effect"]
    assert states["user namespace"] == {"name": "user namespace", "state": "initial", "effect": ""}
    few = {one["name"]: one for one in document(tmp_path, "without CAP_SYSLOG", "doctor")["sight"]}
    assert few["needed capabilities"]["state"] == "without CAP_SYSLOG"
    assert "CAP_SETUID: to become the user nobody" in few["optional capabilities"]["effect"]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("without CAP_SYSLOG", "CAP_SYSLOG"),
        ("/proc with subset=pid", "subset=pid"),
        ("/sys hidden", "is hidden here, or sysfs is not mounted"),
        ("/sys/kernel hidden", "is hidden here, or sysfs is not mounted"),
    ],
)
def test_the_notice_says_what_costs_the_tier(tmp_path: Path, place: str, words: str) -> None:
    need(NAMED[place], tmp_path)
    done = NAMED[place].run(tmp_path, "census", "-o", "json")
    assert done.returncode == 0 and words in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("place", ["read-only root", "no space in /tmp"])
def test_probes_are_compiled_without_room_on_disk(tmp_path: Path, place: str) -> None:
    need(NAMED[place], tmp_path)
    nothing_kept = mounted("for d in /var/cache/lazyobs /run/lazyobs; do [ ! -d $d ] || mount -t tmpfs none $d; done")
    new = replace(NAMED[place], prefix=(*NAMED[place].prefix, *nothing_kept))
    patient = {**new.environ(tmp_path), "LAZYOBS_LOADER_SECONDS": "300"}  # other tests may be busy meanwhile
    done = new.run(tmp_path, "census", "-o", "json", "-v", "--compile", env=patient, timeout=330)
    assert done.returncode == 0 and "probes compiled" in done.stderr, done.stderr
    assert json.loads(done.stdout)["census"]["vmas_private"] > 0


def test_doctor_names_the_user_that_it_becomes(tmp_path: Path) -> None:
    for place, user in (("needed capabilities", "root"), ("capabilities of the unit", privileges.account().name)):
        assert document(tmp_path, place, "doctor")["kernel"]["runs_as"] == user


def test_it_stays_root_without_capabilities_where_it_must_and_says_so(tmp_path: Path) -> None:
    need(NAMED["needed capabilities"], tmp_path)
    done = NAMED["needed capabilities"].run(tmp_path, "census", "-o", "json")
    assert done.returncode == 0 and "CAP_SETUID is missing" in done.stderr and done.stderr.count("\n") == 1
