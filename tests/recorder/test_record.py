# SPDX-License-Identifier: MIT
"""``lazyobs record`` and ``--replay``, as a user runs them."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lazyobs.errors import EXIT_REFUSED, EXIT_USAGE
from lazyobs.model import Sample
from lazyobs.recorder.recorder import Recorder, Surroundings
from lazyobs.recording.directory import Directory
from lazyobs.recording.reader import Recording
from lazyobs.recording.writer import Store
from lazyobs.sources.growth import Growth
from lazyobs.sources.open import Opened, open_live
from lazyobs.views.columns import sort
from lazyobs.views.lines import json_line
from tests.harness import LAZYOBS, ROOT, lazyobs, skip
from tests.sources.handmade import HandmadeSource

pytestmark = [pytest.mark.slow, pytest.mark.bpf]
KILLS = 50


class Tee(HandmadeSource):
    """A source that remembers what was shown."""

    def __init__(self, opened: Opened) -> None:
        self._source, self._growth = opened.source, Growth()
        self.shown: list[str] = []

    def read(self) -> Sample:
        sample = self._source.read()
        before = sample.processes
        self._growth.note(sample)  # as top does, live and of a recording
        sample.processes = sort(sample.processes, "savable_bytes")
        self.shown.append(json_line(sample.as_json()))
        sample.processes = before
        return sample

    def close(self) -> None:
        self._source.close()


@pytest.mark.usefixtures("bpf")
def test_replay_shows_what_was_shown_live(tmp_path: Path) -> None:
    """Byte for byte, through the command, at every speed."""
    opened = open_live(keep_root=True)
    source, around = Tee(opened), Surroundings()
    store = Store(Directory(str(tmp_path / "r")), {}, 0.1, around.system.columns)
    recorder = Recorder(source, store, around, None, 0.1)
    for _ in range(7):
        recorder.tick()
        subprocess.run(["true"], check=True)
    store.close()
    source.close()
    around.close()
    for speed in ("max", "23x"):
        done = lazyobs("top", "--replay", str(tmp_path / "r"), "-o", "json", "--speed", speed)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == source.shown


@pytest.mark.usefixtures("bpf")
def test_the_workload_keeps_its_exit_status(tmp_path: Path) -> None:
    for number, (command, status) in enumerate(
        ((["sh", "-c", "exit 23"], 23), (["true"], 0), (["sh", "-c", "kill -9 $$"], 137), (["no-such-command"], 127))
    ):
        assert lazyobs("record", "-o", str(tmp_path / str(number)), "--", *command).returncode == status
        marks = {row["kind"]: row for row in Recording(str(tmp_path / str(number))).rows("marks")}
        assert marks["command"]["text"] == " ".join(command)
        assert marks["command_end"]["value"] == status
        assert marks["end"]["text"] == "ended"


@pytest.mark.usefixtures("bpf")
def test_the_workload_runs_as_the_caller_and_is_recorded(tmp_path: Path) -> None:
    """101 processes forked by the workload are 101 events, and 101 more forks in the counters."""
    script = (
        "import os\nfor _ in range(101):\n    pid = os.fork()\n    if not pid: os._exit(0)\n    os.waitpid(pid, 0)\n"
    )
    script += "print(os.geteuid())"
    done = lazyobs("record", "-o", str(tmp_path / "r"), "--", sys.executable, "-c", script)
    assert (done.returncode, done.stdout) == (0, f"{os.geteuid()}\n")
    traced = lazyobs("trace", "--replay", str(tmp_path / "r"), "-e", "fork", "-o", "json")
    forks = [json.loads(line) for line in traced.stdout.splitlines()]
    by_pid = {fork["pid"]: sum(1 for other in forks if other["pid"] == fork["pid"]) for fork in forks}
    (parent,) = (pid for pid, count in by_pid.items() if count == 101)
    samples = list(Recording(str(tmp_path / "r")).samples())
    counted = [p.counts["forks"] for sample in samples for p in sample.processes if p.pid == parent]
    assert all(0 <= count <= 101 for count in counted)
    assert samples[-1].totals["forks"] - samples[0].totals["forks"] >= 101


def with_command(path: Path, command: list[str], *options: str) -> subprocess.Popen[bytes]:
    """A recorder in a process group of its own, whose command has begun: it has written its pid to ``path``/pid."""
    recorder = subprocess.Popen(
        [*LAZYOBS, "record", "-o", str(path / "r"), "--progress", "none", *options, "--", *command],
        start_new_session=True,
    )  # fmt: skip
    wait_for(path / "pid")
    return recorder


def wait_for(path: Path) -> str:
    """What is in the file, as soon as there is a line."""
    ends = time.monotonic() + 60
    while not (path.exists() and path.read_text().endswith("\n")):
        assert time.monotonic() < ends, path
        time.sleep(0.01)
    return path.read_text()


def ticking(path: Path, as_user: int = 0) -> list[str]:
    """A command that runs for a minute and writes down the signal that ends it, with exit status 23."""
    script = (
        "import os, signal, sys, time\n"
        f"told, pid = open({str(path / 'told')!r}, 'w'), open({str(path / 'pid')!r}, 'w')\n"
        f"os.setuid({as_user}) if os.geteuid() == 0 else None\n"
        "def tell(number, frame):\n    print(signal.Signals(number).name, file=told, flush=True); sys.exit(23)\n"
        "for number in (signal.SIGINT, signal.SIGTERM):\n    signal.signal(number, tell)\n"
        "print(os.getpid(), file=pid, flush=True)\n"
        "time.sleep(60)"
    )
    return [sys.executable, "-c", script]


@pytest.mark.usefixtures("bpf")
@pytest.mark.parametrize("ended_by", ["duration", signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize("as_user", [0, 65533])
def test_the_workload_is_asked_to_end_when_the_recorder_has_gone(
    tmp_path: Path, ended_by: str | signal.Signals, as_user: int
) -> None:
    """Whatever ends the recorder, and whoever the command has become."""
    options = ("--duration", "1") if ended_by == "duration" else ()
    recorder = with_command(tmp_path, ticking(tmp_path, as_user), *options)
    if isinstance(ended_by, signal.Signals):
        recorder.send_signal(ended_by)
    assert recorder.wait(30) == (-signal.SIGKILL if ended_by == signal.SIGKILL else 0)
    assert wait_for(tmp_path / "told") == "SIGTERM\n"
    if ended_by != signal.SIGKILL:
        assert [mark["text"] for mark in Recording(str(tmp_path / "r")).rows("marks") if mark["kind"] == "end"] == ["ended"]  # fmt: skip


@pytest.mark.usefixtures("bpf")
def test_ctrl_c_is_the_workloads(tmp_path: Path) -> None:
    """It goes to the whole group: the recorder waits for what the command makes of it, and takes its status."""
    recorder = with_command(tmp_path, ticking(tmp_path))
    assert os.getpgid(int(wait_for(tmp_path / "pid"))) == recorder.pid
    os.killpg(recorder.pid, signal.SIGINT)
    assert recorder.wait(30) == 23
    assert wait_for(tmp_path / "told") == "SIGINT\n"


@pytest.mark.usefixtures("bpf", "root")
def test_who_asks_the_workload_to_end_can_do_nothing_else(tmp_path: Path) -> None:
    recorder = with_command(tmp_path, ticking(tmp_path))
    command = int(wait_for(tmp_path / "pid"))
    (guardian,) = (pid for pid in children(recorder.pid) if pid != command)
    status = Path(f"/proc/{guardian}/status").read_text()
    assert "CapEff:\t0000000000000020" in status and "CapPrm:\t0000000000000020" in status
    assert "CapBnd:\t0000000000000000" in status and "NoNewPrivs:\t1" in status
    held = sorted(os.readlink(f"/proc/{guardian}/fd/{fd}").partition(":")[0] for fd in range(3, 99) if os.path.lexists(f"/proc/{guardian}/fd/{fd}"))  # fmt: skip
    assert held in (["anon_inode", "pipe"], ["pidfd", "pipe"])
    os.kill(command, signal.SIGKILL)
    assert recorder.wait(30) == 128 + signal.SIGKILL
    assert not Path(f"/proc/{guardian}").exists()


def children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(entry.read_text().rpartition(")")[2].split()[1])
        except FileNotFoundError:
            continue
        if parent == pid:
            found.append(int(entry.parent.name))
    return found


@pytest.mark.usefixtures("bpf")
def test_a_signal_ends_it_cleanly(tmp_path: Path) -> None:
    for number, which in enumerate((signal.SIGINT, signal.SIGTERM, signal.SIGHUP)):
        path = tmp_path / str(number)
        recorder = start(path, interval=0.1)
        next(acknowledged(recorder))
        recorder.send_signal(which)
        assert recorder.wait(60) == 0
        assert [row["text"] for row in Recording(str(path)).rows("marks") if row["kind"] == "end"] == ["ended"]
        assert not list(path.glob("*.arrows"))


def start(path: Path, interval: float, segment_bytes: int = 16 << 20) -> subprocess.Popen[str]:
    """A recorder with small segments, saying on standard output what it has written."""
    script = (
        "import sys; from lazyobs.recorder.options import *; from lazyobs.recorder.run import run; "
        f"sys.exit(run(RecordOptions({str(path)!r}, {interval}, segment_bytes={segment_bytes}, progress='json', "
        "events=EventChoice(('fork', 'prepare')))))"
    )
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)


def acknowledged(recorder: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert recorder.stdout is not None
    for line in recorder.stdout:
        if line.endswith("\n"):
            yield json.loads(line)


@pytest.mark.usefixtures("bpf")
def test_killed_at_any_moment(tmp_path: Path) -> None:
    """50 recorders are killed. Every recording opens, and what was acknowledged is in it."""
    chance = random.Random(50)
    forms = set()
    for number in range(KILLS):
        path = tmp_path / str(number)
        recorder = start(path, interval=0.05, segment_bytes=60_000)
        acks = acknowledged(recorder)
        last = next(acks)
        ends = time.monotonic() + chance.random() * 0.7
        while time.monotonic() < ends:
            subprocess.run(["true"], check=True)
        recorder.kill()
        last = [last, *acks][-1]  # what it had said before it died
        assert recorder.wait(60) == -signal.SIGKILL
        recording = Recording(str(path))
        samples = list(recording.samples())
        assert len(samples) >= last["samples"] > 0
        assert [sample.time for sample in samples] == sorted(sample.time for sample in samples)
        assert sum(batch.num_rows for batch in recording.events()) >= last["events"]
        assert all(sample.processes for sample in samples)
        forms |= {file.suffix for file in path.glob("samples-*")}
        recording.close()
    assert forms >= {".arrows", ".parquet"}, "some were killed after a segment was finished"


@pytest.mark.usefixtures("bpf", "root")
def test_it_runs_as_nobody_and_gives_the_directory_to_the_caller(tmp_path: Path) -> None:
    recorder = start(tmp_path / "r", interval=0.1)
    next(acknowledged(recorder))
    status = Path(f"/proc/{recorder.pid}/status").read_text()
    recorder.terminate()
    recorder.wait(60)
    assert "Uid:\t65534\t65534\t65534\t65534" in status
    assert "CapEff:\t0000000000000000" in status
    assert (tmp_path / "r").stat().st_gid == os.getegid()
    assert (tmp_path / "r").stat().st_mode & 0o7777 == 0o2770


@pytest.mark.usefixtures("bpf")
def test_nobody_listens_to_its_progress(tmp_path: Path) -> None:
    recorder = start(tmp_path / "r", interval=0.05)
    assert recorder.stdout is not None
    recorder.stdout.readline()
    recorder.stdout.close()
    written = 0
    while written < 7:
        written = len(list(Recording(str(tmp_path / "r")).samples()))
    recorder.terminate()
    assert recorder.wait(60) == 0
    assert [row["text"] for row in Recording(str(tmp_path / "r")).rows("marks") if row["kind"] == "end"] == ["ended"]


@pytest.mark.usefixtures("root")
def test_nothing_is_left_where_it_is_not_permitted(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    for parent in list(tmp_path.parents)[:-2]:
        parent.chmod(parent.stat().st_mode | 0o011)

    def become_nobody() -> None:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)

    done = subprocess.run(
        [*LAZYOBS, "record", "-o", str(tmp_path / "r"), "--duration", "1", "--", "true"],
        capture_output=True, text=True, timeout=60, preexec_fn=become_nobody, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == EXIT_REFUSED
    assert len(done.stderr.splitlines()) == 1 and "needs root" in done.stderr
    assert not (tmp_path / "r").exists()


@pytest.mark.usefixtures("bpf")
def test_barrier_samples(tmp_path: Path) -> None:
    done = lazyobs("record", "-o", str(tmp_path / "r"), "--barrier", "0.05", "--interval", "0.1", "--duration", "0.5")
    assert done.returncode == 0, done.stderr
    recording = Recording(str(tmp_path / "r"))
    rows = list(recording.rows("slabs"))
    samples = len(list(recording.samples()))
    settled = [row for row in rows if row["barrier"]]
    if not settled:
        skip("kernel", f"no barrier samples: {recording.identity['not_recorded']}")
    assert len(rows) - len(settled) == 3 * samples
    assert {row["cache"] for row in settled} == {"anon_vma", "anon_vma_chain", "vm_area_struct"}
    assert all(row["objects_active"] <= row["objects"] for row in settled)


@pytest.mark.usefixtures("bpf")
def test_identity(tmp_path: Path) -> None:
    lazyobs("record", "-o", str(tmp_path / "r"), "--duration", "0.1", "--interval", "0.05")
    found = Recording(str(tmp_path / "r")).identity
    assert found["release"] == os.uname().release
    assert found["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert found["tainted"] == int(Path("/proc/sys/kernel/tainted").read_text())
    assert found["profile"] and found["bcc"] and found["lazyobs"]
    assert set(found["tiers"]) >= {"slab", "process", "census"}
    assert set(found["slab_merging"]) == {"anon_vma", "anon_vma_chain", "vm_area_struct"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--max-size", "1K"],
        ["--max-size", "1025T"],
        ["--max-size", "9" * 400],  # more than a float holds
        ["--max-age", "tomorrow"],
        ["--duration", "-5"],
        ["--duration", "nan"],
        ["--keep-on", "boredom"],
        ["--keep-on", "splat:none"],
        ["--interval", "nan"],
        ["--interval", "inf"],
        ["--barrier", "nan"],
        ["--barrier", "inf"],
        ["-e", "forks"],
        ["--min-us", "nan"],
        ["-p", "0"],
        ["-p", "4194303"],
    ],
)
def test_usage(tmp_path: Path, arguments: list[str]) -> None:
    done = lazyobs("record", "-o", str(tmp_path / "r"), *arguments)
    assert done.returncode == EXIT_USAGE
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "r").exists()


def test_the_directory_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear")
    done = lazyobs("record", "-o", str(tmp_path), "--duration", "1")
    assert done.returncode == EXIT_USAGE
    assert "is not empty" in done.stderr
    assert (tmp_path / "letter").read_text() == "dear"


NEVER = [
    (["--tier", "tracepoint"], ["--keep-on", "slow-walk"]),
    (["--tier", "tracepoint"], ["--keep-on", "splat", "--keep-on", "promotion-failure:3"]),
    (["--tier", "tracepoint"], ["--keep-on", "promotion-storm"]),
    (["--tier", "tracepoint", "--barrier", "0"], ["--keep-on", "violation"]),
    (["--tier", "tracepoint"], ["-e", "promotion"]),
    (["--tier", "tracepoint"], ["-e", "fork,rmap_walk"]),
    (["--tier", "tracepoint"], ["-e", "violation"]),
    (["--tier", "procfs"], ["-e", "fork"]),
    (["--tier", "procfs"], ["--keep-on", "fork-storm"]),
    (["--tier", "procfs"], ["--keep-on", "loss"]),
    (["-e", "fork"], ["--keep-on", "slow-walk"]),
    (["-e", "splat"], ["--keep-on", "loss"]),
]


@pytest.mark.usefixtures("bpf")
@pytest.mark.parametrize(("where", "asked"), NEVER)
def test_what_can_never_come_is_refused(tmp_path: Path, where: list[str], asked: list[str]) -> None:
    """At once, with the reason, and nothing is left; the command is not begun."""
    done = lazyobs("record", "-o", str(tmp_path / "in/r"), *where, *asked, "--", "touch", str(tmp_path / "begun"))
    assert (done.returncode, len(done.stderr.splitlines())) == (EXIT_REFUSED, 1), done.stderr
    assert asked[-1].rpartition(",")[2].partition(":")[0] in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("bpf")
def test_kinds_that_come_unasked_are_said_to_be_missing(tmp_path: Path) -> None:
    for tier, missing in (
        ("tracepoint", {"promotion", "promotion_failed", "rmap_walk", "violation"}),
        ("procfs", {"fork", "promotion", "promotion_failed", "rmap_walk", "violation", "lock_wait"}),
    ):
        done = lazyobs("record", "-o", str(tmp_path / tier), "--tier", tier, "--duration", "0.1")
        assert done.returncode == 0, done.stderr
        told = Recording(str(tmp_path / tier)).identity["not_recorded"]
        assert {key for key in told if key.startswith("events.")} == {f"events.{kind}" for kind in missing}
        assert all(told.values())


@pytest.mark.usefixtures("bpf")
def test_the_ledger_fires_where_no_probe_sees_a_violation(tmp_path: Path) -> None:
    options = ["--tier", "tracepoint", "--duration", "0.1"]
    if "slabs.barrier" in Surroundings().why_not():
        skip("kernel", "no barrier samples")
    done = lazyobs("record", "-o", str(tmp_path / "r"), *options, "--keep-on", "violation")
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("bpf")
def test_an_empty_directory_of_ours_is_taken(tmp_path: Path) -> None:
    """As mktemp -d makes one."""
    path = tmp_path / "own"
    path.mkdir(mode=0o700)
    for _ in range(2):  # it is nobody's the second time
        done = lazyobs("record", "-o", f"{path}/", "--duration", "0.1")
        assert done.returncode == 0, done.stderr
        for file in path.iterdir():
            file.unlink()
    os.chown(path, 2, 2)
    done = lazyobs("record", "-o", str(path), "--duration", "0.1")
    assert (done.returncode, len(done.stderr.splitlines())) == (EXIT_USAGE, 1)
    assert "belongs to somebody else" in done.stderr
    assert (path.stat().st_uid, list(path.iterdir())) == (2, [])


def test_nothing_else_is_taken(tmp_path: Path) -> None:
    """Its owner and mode stay: through a link, and for a file in its place."""
    (tmp_path / "own").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("own")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "file").write_text("dear")
    before = (tmp_path / "own").stat()
    for name, words in (
        ("link", "is a link"),
        ("link/", "is a link"),
        ("dangling", "is a link"),
        ("file", "is not a directory"),
        ("file/r", "is not a directory"),
        ("file/r/r", "is not a directory"),
    ):
        done = lazyobs("record", "-o", f"{tmp_path}/{name}", "--duration", "1")
        assert (done.returncode, len(done.stderr.splitlines())) == (EXIT_USAGE, 1), name
        assert words in done.stderr
    after = (tmp_path / "own").stat()
    assert (after.st_uid, after.st_gid, after.st_mode) == (before.st_uid, before.st_gid, before.st_mode)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dangling", "file", "link", "own"]


def test_a_directory_has_a_name(tmp_path: Path) -> None:
    done = subprocess.run(
        [*LAZYOBS, "record", "-o", "", "--duration", "1"],
        capture_output=True, text=True, timeout=60, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.returncode, len(done.stderr.splitlines())) == (EXIT_USAGE, 1)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("bpf")
def test_one_recorder_a_directory(tmp_path: Path) -> None:
    """Of several that are started at once one records; the others say what is there, and touch nothing."""
    recorders = [
        subprocess.Popen(
            [*LAZYOBS, "record", "-o", str(tmp_path / "r"), "--duration", "0.5"],
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    said = [recorder.communicate(timeout=120)[1] for recorder in recorders]
    codes = [recorder.returncode for recorder in recorders]
    assert sorted(codes) == [0, EXIT_USAGE, EXIT_USAGE], said
    for code, text in zip(codes, said):
        assert code == 0 or "is another recorder's" in text or "is not empty" in text
    assert [row["text"] for row in Recording(str(tmp_path / "r")).rows("marks") if row["kind"] == "end"] == ["ended"]


def test_what_was_made_for_nothing_is_taken_away(tmp_path: Path) -> None:
    """The directory and what it was to lie in; not what was there before."""
    (tmp_path / "before").mkdir()
    Directory(str(tmp_path / "before/a/b/c")).discard()
    assert not list((tmp_path / "before").iterdir())
    kept = Directory(str(tmp_path / "before/a/b/c"))
    os.close(kept.create("letter"))
    kept.discard()
    assert (tmp_path / "before/a/b/c/letter").exists()


def test_the_directory_cannot_be_made() -> None:
    done = lazyobs("record", "-o", "/proc/none/r", "--duration", "1")
    assert done.returncode == EXIT_REFUSED
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.usefixtures("bpf")
@pytest.mark.parametrize("mib", [60, 110, 130, 200, 260, 600])
def test_under_a_limit_on_memory_it_records_or_says_why_not(tmp_path: Path, mib: int) -> None:
    """pyarrow would end it with the status of a bad verdict, or of a shell that does not find a command."""
    limit = mib << 20
    done = subprocess.run(
        [*LAZYOBS, "record", "-o", str(tmp_path / "r"), "--duration", "0.5", "--progress", "none"],
        capture_output=True, text=True, cwd=ROOT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )  # fmt: skip
    assert done.returncode in (0, EXIT_REFUSED) and "Traceback" not in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) <= 3
    if done.returncode == EXIT_REFUSED:
        assert mib < 130 and "memory" in done.stderr
        return
    assert ("pyarrow may not fit" in done.stderr) is (mib < 512)
    shown = subprocess.run([*LAZYOBS, "census", "--replay", str(tmp_path / "r")], capture_output=True, cwd=ROOT)
    assert shown.returncode == 0
