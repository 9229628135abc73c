# SPDX-License-Identifier: MIT
"""``lazyobs trace``, live and replayed: the same lines, and every kind of text made harmless."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest

from lazyobs.bpf import event
from lazyobs.bpf.event_filter import EventFilter
from lazyobs.bpf.trace_event import TraceEvent
from lazyobs.errors import EXIT_REFUSED, EXIT_USAGE
from lazyobs.model import LOCK_PATHS
from lazyobs.recording.writer import Limits
from lazyobs.views.trace import Writer
from tests.harness import lazyobs
from tests.recording import made
from tests.recording.made import event_rows

OFFSET = 1_800_000_000_000_000_000


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Events of every kind, a loss and a splat, in a recording of two segments."""
    store = made.store(tmp_path / "r", Limits(segment_bytes=1))
    for part in range(2):
        found = made.events(part * 101, 101)
        found["kind"] = numpy.arange(101) % len(event.KINDS)
        found["tgid"] = numpy.arange(101) % 7 + 1
        found["comm"] = [b"\x1b[2J" if number % 2 else b"plain" for number in range(101)]
        store.append("events", event_rows(found, OFFSET))
        when = [(int(found["stamp"][50]) + OFFSET) / 1e9]
        store.append("marks", {"time": when, "kind": ["lost"], "value": [23.0], "text": ["x"]})
        store.append("kernel_log", {"time": when, "kind": ["WARN"], "text": ["WARNING: \x1b]0;owned\x07 at x"]})
        made.append_sample(store, part + 1, 1)
        store.maintain()
    store.close()
    return tmp_path / "r"


def replay(path: Path, *arguments: str) -> list[dict[str, Any]]:
    done = lazyobs("trace", "--replay", str(path), "-o", "json", *arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_everything_in_order(recording: Path) -> None:
    lines = replay(recording, "-e", ",".join((*event.KIND_NAMES, "splat")), "--min-us", "0")
    assert len(lines) == 2 * (101 + 1 + 1)
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)
    assert sum(line["objects"] for line in lines if line["kind"] == "lost") == 46
    assert [line["detail"] for line in lines if line["kind"] == "splat"] == ["WARN", "WARN"]


@pytest.mark.slow
def test_filters_of_a_recording(recording: Path) -> None:
    assert {line["pid"] for line in replay(recording, "-p", "3", "-e", "fork,prepare")} <= {3, None}
    assert {line["kind"] for line in replay(recording, "-e", "promotion")} == {"promotion", "lost"}
    slow = replay(recording, "-e", "prepare", "--min-us", "3")
    assert {line["duration_seconds"] >= 3e-6 for line in slow if line["kind"] == "prepare"} in ({True}, set())
    assert len(replay(recording, "-n", "7")) <= 7 + 2
    assert {line["comm"] for line in replay(recording, "--comm", "plain", "-e", "fork")} <= {"plain", None}


def test_a_name_longer_than_the_kernel_keeps(tmp_path: Path) -> None:
    store = made.store(tmp_path / "r")
    found = made.events(0, 2)
    found["kind"], found["comm"] = event.KIND_NAMES.index("fork"), [b"systemd-journal", b"systemd-journa"]
    store.append("events", event_rows(found, OFFSET))
    store.close()
    assert [line["comm"] for line in replay(tmp_path / "r", "--comm", "systemd-journald")] == ["systemd-journal"]


def test_nothing_a_process_chose_reaches_the_terminal(recording: Path) -> None:
    for form in ("table", "csv", "json"):
        done = lazyobs("trace", "--replay", str(recording), "-o", form, "--min-us", "0")
        assert done.returncode == 0
        assert all(line.isprintable() for line in done.stdout.splitlines())
        assert "[2J" in done.stdout


def test_one_event_is_singular(tmp_path: Path) -> None:
    store = made.store(tmp_path / "r")
    store.append("events", event_rows(made.events(0, 1), OFFSET))
    store.append("marks", {"time": [OFFSET / 1e9], "kind": ["lost"], "value": [1.0], "text": ["x"]})
    store.close()
    done = lazyobs("trace", "--replay", str(tmp_path / "r"))
    assert done.stderr == "lazyobs: 1 event, 1 lost\n"
    assert "1 event lost: the ring had no room" in done.stdout


def test_an_event_of_no_known_kind(tmp_path: Path) -> None:
    store = made.store(tmp_path / "r")
    found = made.events(0, 3)
    found["kind"][1] = 200
    store.append("events", event_rows(found, 0))
    store.close()
    done = lazyobs("trace", "--replay", str(tmp_path / "r"))
    assert done.returncode == EXIT_REFUSED
    assert "there is no kind 200" in done.stderr


def test_unknown_numbers_are_null() -> None:
    record = event.Event(5, 3, 0, event.UNKNOWN, 0, event.UNKNOWN, 1, 2, 3, 0, 0, b"name\0garbage")
    trace_event = TraceEvent.of_event(record, 0, 4096)
    assert (trace_event.duration_seconds, trace_event.objects, trace_event.address, trace_event.bytes) == (None,) * 4
    assert (trace_event.comm, trace_event.kind, trace_event.detail) == ("name", "fork", None)


@pytest.mark.parametrize(
    ("pages", "objects", "holder"),
    [
        (1 + LOCK_PATHS.index("fork"), 211, (211, "fork")),
        (1 + len(LOCK_PATHS), 211, (211, None)),  # the probe could not tell its path
        (0, event.UNKNOWN, (None, None)),  # no writer had it; or a recording from before holders were noted
    ],
)
def test_both_sides_of_a_wait(pages: int, objects: int, holder: tuple[int | None, str | None]) -> None:
    wait = event.KIND_NAMES.index("lock_wait")
    record = event.Event(5, 3, 23, 10**6, pages, objects, 101, 102, 3, wait, LOCK_PATHS.index("walk"), b"name\0")
    found = TraceEvent.of_event(record, 0, 4096)
    assert (found.pid, found.detail, found.family, found.holder_pid, found.holder_path) == (101, "walk", 23, *holder)
    assert (found.objects, found.address, found.bytes) == (None,) * 3
    ends = {"fork": "held by 211 (fork)", None: "held by 211" if holder[0] else "family 23"}
    assert Writer("table").text(found).rstrip().endswith(f"name  {'family 23  ' if holder[0] else ''}{ends[holder[1]]}")


def test_the_filter_is_the_same_in_kernel_and_replay() -> None:
    def record(kind: str, duration: int) -> event.Event:
        return event.Event(0, 0, 0, duration, 0, 0, 1, 1, 0, event.KIND_NAMES.index(kind), 0, b"a\0")

    default = EventFilter()
    assert default.passes(record("fork", 0))
    assert not default.passes(record("rmap_walk", 999_999))
    assert default.passes(record("rmap_walk", 1_000_000))
    assert default.passes(record("rmap_walk", event.UNKNOWN))
    assert not default.passes(record("prepare", 0))
    assert EventFilter(("prepare",), comm="a").passes(record("prepare", 0))
    assert not EventFilter(("prepare",), comm="ab").passes(record("prepare", 0))
    assert EventFilter(comm="x" * 20).passes(record("fork", 0)._replace(comm=b"x" * 15 + b"\0"))


@pytest.mark.parametrize(
    ("comm", "asked"),
    [
        (b"a\xffb", "a\ufffdb"),  # as JSON shows it
        (b"a\xffb", "a\udcffb"),  # its bytes, as Python has them from the command line
        (b"a\xe6\xbc\xa2", "a\u6f22"),
        (b"a\xe6\xbc\xa2", "a??"),  # as a locale without UTF-8 shows it: two columns
        (b"a\x1bb", "a?b"),  # as tables show it
        ("\u6f22".encode() * 6, "\u6f22" * 6),  # longer than 15 bytes
        (("\u6f22".encode() * 5 + b"x"), "\u6f22" * 5),
        (b"x" + "\u6f22".encode() * 5, "x" + "\u6f22" * 4 + "\ufffd"),  # cut inside a letter, as it is shown
        (b"x" + "\u6f22".encode() * 5, "x" + "\u6f22" * 5),  # the same, as it was given
    ],
)
def test_a_thread_is_found_by_the_name_that_is_shown(comm: bytes, asked: str) -> None:
    assert EventFilter(comm=asked).passes_comm(comm[:15].ljust(16, b"\0"))
    assert not EventFilter(comm=asked).passes_comm(b"other".ljust(16, b"\0"))


def filter_offsets() -> dict[str, int]:
    """Of struct event_filter, by field."""
    return dict(zip((field.name for field in event.FILTER.fields), event.FILTER.offsets()))


@pytest.mark.parametrize(("comm", "in_kernel"), [("plain", 1), ("a\udcff", 1), ("a\ufffd", 0), ("a?", 0)])
def test_the_probes_compare_bytes_alone(comm: str, in_kernel: int) -> None:
    packed = EventFilter(comm=comm)._packed(dict.fromkeys(("rmap_one", "slab"), None))
    at = filter_offsets()
    by_comm, name = int.from_bytes(packed[at["by_comm"] :][:4], "little"), packed[at["comm"] :][:16]
    assert (by_comm, name.rstrip(b"\0") != b"") == (in_kernel, bool(in_kernel))


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_a_replay_in_which_nothing_passes(tmp_path: Path, form: str) -> None:
    """The head of the output and the line at its end, as live; there is nothing to lose in this one."""
    store = made.store(tmp_path / "quiet")
    store.append("events", event_rows(made.events(0, 23), OFFSET))
    store.close()
    done = lazyobs("trace", "--replay", str(tmp_path / "quiet"), "-p", "99999", "-o", form)
    assert (done.returncode, done.stderr) == (0, "lazyobs: 0 events, 0 lost\n")
    head = {"table": "TIME ", "csv": "time,kind,", "json": ""}[form]
    assert done.stdout.startswith(head) and len(done.stdout.splitlines()) == (form != "json")


@pytest.mark.parametrize(
    "arguments",
    [["-e", "forks"], ["--speed", "fast"], ["--speed", "0"], ["--min-us", "-1"], ["-p", "4194303"], ["--comm", ""]],
)
def test_usage(arguments: list[str]) -> None:
    done = lazyobs("trace", *arguments)
    assert done.returncode == EXIT_USAGE
    assert len(done.stderr.splitlines()) == 1


def test_what_no_probe_can_count_is_unknown() -> None:
    """What the attached probes know: VMAs of a walk, chains of a fork."""
    at = filter_offsets()["knows"]
    for tiers, knows in (({}, 0), ({"rmap_one": "fentry"}, 1), ({"slab": "tracepoint", "rmap_one": None}, 2)):
        assert int.from_bytes(EventFilter()._packed(tiers)[at : at + 4], "little") == knows


@pytest.mark.bpf
@pytest.mark.usefixtures("bpf")
def test_forks_of_a_known_process() -> None:
    """23 forks of a shell are 23 lines, each with its process; another process's are not shown."""
    script = "read go; i=0; while [ $i -lt 23 ]; do (:); i=$((i+1)); done; read stop"
    with subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, text=True) as shell:
        assert shell.stdin is not None
        tracer = subprocess.Popen(
            [sys.executable, "-m", "lazyobs", "trace", "-e", "fork", "-p", str(shell.pid), "-o", "json", "-n", "23"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_until_attached(tracer)
        shell.stdin.write("\n")
        shell.stdin.flush()
        out, err = tracer.communicate(timeout=120)
        shell.stdin.write("\n")
    assert tracer.returncode == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    assert [(line["kind"], line["pid"]) for line in lines] == [("fork", shell.pid)] * 23
    assert len({line["start_time"] for line in lines}) == 1
    assert err.splitlines()[-1] == "lazyobs: 23 events, 0 lost"


@pytest.mark.slow
@pytest.mark.bpf
@pytest.mark.usefixtures("bpf")
def test_it_ends_with_the_processes_it_watches() -> None:
    """With the last of them, and after everything that they did."""
    script = "read go; i=0; while [ $i -lt 1301 ]; do (:); i=$((i+1)); done"
    with subprocess.Popen(["sleep", "60"]) as other:
        with subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, text=True) as shell:
            assert shell.stdin is not None
            tracer = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "lazyobs",
                    "trace",
                    "-e",
                    "fork",
                    "-p",
                    f"{shell.pid},{other.pid}",
                    "-o",
                    "json",
                ],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            wait_until_attached(tracer)
            other.kill()
            other.wait()
            with pytest.raises(subprocess.TimeoutExpired):
                tracer.wait(0.5)
            shell.stdin.write("\n")
            shell.stdin.flush()
            out, err = tracer.communicate(timeout=120)
    assert tracer.returncode == 0, err
    assert [json.loads(line)["pid"] for line in out.splitlines()] == [shell.pid] * 1301
    assert err.splitlines()[-1] == "lazyobs: 1301 events, 0 lost"


def wait_until_attached(tracer: subprocess.Popen[str]) -> None:
    """Until the tracer has given up root and waits for its ring: it sleeps in a select of its own."""
    while tracer.poll() is None:
        with open(f"/proc/{tracer.pid}/status", encoding="ascii", errors="replace") as file:
            given_up = "Uid:\t65534" in file.read() or os.geteuid() != 0
        with open(f"/proc/{tracer.pid}/wchan", encoding="ascii") as file:
            waits = file.read()
        if given_up and ("select" in waits or "poll" in waits or waits in ("", "0")):
            # The filter is set before the first wait; where wchan is hidden, a round trip of the loop passes by.
            subprocess.run(["sleep", "0.5"], check=True)
            return
