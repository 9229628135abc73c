# SPDX-License-Identifier: MIT
"""A recording as a source, for the commands that show one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from lazyobs.commands.replay_options import ReplayOptions
from lazyobs.errors import EXIT_REFUSED, EXIT_USAGE
from lazyobs.recording.errors import RecordingError
from lazyobs.recording.replay import open_replay
from lazyobs.recording.writer import Limits
from tests.harness import ROOT, lazyobs
from tests.recording import made
from tests.recording.samples import sample


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    store = made.store(tmp_path / "r", Limits(segment_bytes=1))
    for number in range(1, 8):
        made.append_sample(store, number, 23)
        store.maintain()
    store.close()
    return tmp_path / "r"


def test_to_the_end(recording: Path) -> None:
    source = open_replay(recording)
    assert [source.read().time for _ in range(7)] == [sample(number).time for number in range(1, 8)]
    for _ in range(2):
        with pytest.raises(EOFError):
            source.read()
    source.close()


def test_the_last_one(recording: Path) -> None:
    source = open_replay(recording, last=True)
    assert source.read().time == sample(7).time
    with pytest.raises(EOFError):
        source.read()


def test_no_sample_yet(tmp_path: Path) -> None:
    made.store(tmp_path / "r").close()
    for last in (False, True):
        with pytest.raises(RecordingError, match="holds no sample"):
            open_replay(tmp_path / "r", last)


def test_what_is_before_the_damage_is_shown(recording: Path) -> None:
    file = recording / "samples-000004.parquet"
    file.write_bytes(file.read_bytes()[:-11])
    done = lazyobs("top", "--replay", str(recording), "-o", "json")
    assert done.returncode == EXIT_REFUSED
    assert [json.loads(line)["time"] for line in done.stdout.splitlines()] == [sample(n).time for n in (1, 2, 3)]
    assert len(done.stderr.splitlines()) == 1 and "samples-000004.parquet is damaged" in done.stderr


@pytest.mark.parametrize("command", [["top", "-b"], ["top", "-b", "--view", "slabs,probes,promotions"], ["census"]])
def test_names_are_made_harmless(recording: Path, command: list[str]) -> None:
    """The recorded processes have escape sequences and tabs in their names."""
    done = lazyobs(*command, "--replay", str(recording))
    assert (done.returncode, done.stderr) == (0, "")
    assert all(line.isprintable() for line in done.stdout.splitlines())


def test_options_hold_for_a_recording(recording: Path) -> None:
    done = lazyobs("top", "--replay", str(recording), "-o", "json", "-n", "3", "-p", "2,5", "-r", "1")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [len(line["processes"]) for line in lines] == [1, 1, 1]
    done = lazyobs("census", "--replay", str(recording), "-o", "json", "-p", "8")
    assert [process["pid"] for process in json.loads(done.stdout)["processes"]] == [8]


def test_vmas_are_not_recorded(recording: Path) -> None:
    done = lazyobs("census", "--replay", str(recording), "--vmas", "-p", "8")
    assert done.returncode == EXIT_USAGE
    assert "--vmas needs a live kernel" in done.stderr


def test_speeds(recording: Path) -> None:
    source = open_replay(recording)
    for speed, on_screen, seconds in (
        (None, True, 1.0),
        (None, False, 0.0),
        (4.0, True, 0.25),
        (float("inf"), True, 0.0),
    ):
        assert ReplayOptions(recording, speed).seconds_between(source, on_screen) == seconds


@pytest.mark.parametrize("name", ["debian-6.12", "lab"])
def test_the_examples_can_be_shown(name: str) -> None:
    """They come with the source, for those whose machine forbids BPF."""
    path = ROOT / "examples" / name
    done = lazyobs("top", "--replay", str(path), "-o", "json")
    assert (done.returncode, done.stderr) == (0, "")
    samples = [json.loads(line) for line in done.stdout.splitlines()]
    first, last = samples[0], samples[-1]
    assert {one["kernel"]["profile"] for one in samples} == {"lab" if name == "lab" else "mainline"}
    # examples/workload.py: 11 rounds; 1 + 2 + ... + 11 children, 7 islands split and 5 moved in each
    assert last["totals"]["forks"] - first["totals"]["forks"] == 66
    assert last["health"]["ring_lost"] == 0
    traced = lazyobs("trace", "--replay", str(path), "--min-us", "0", "-o", "json")
    trace_events = [json.loads(line) for line in traced.stdout.splitlines()]
    assert sum(1 for one in trace_events if one["kind"] == "fork") == 66
    if name == "debian-6.12":
        assert last["totals"]["promotions"] is None
        return
    reasons = Counter(one["detail"] for one in trace_events if one["kind"] == "promotion")
    before, after = first["totals"]["promotions_by_reason"], last["totals"]["promotions_by_reason"]
    assert dict(reasons) == {reason: after[reason] - before[reason] for reason in after if after[reason]}
    assert reasons["mremap"] == 11 * 5
    assert reasons["split"] >= 11 * 7
    assert reasons["fork"] > 0


def test_a_live_view_does_not_load_what_recordings_need() -> None:
    """numpy and pyarrow are 60 MB that top and export have no use for."""
    script = (
        "import sys, lazyobs.commands.top, lazyobs.commands.census, lazyobs.commands.export, lazyobs.sources.live, "
        "lazyobs.views.top, lazyobs.exporter.run; "
        "print([name for name in ('numpy', 'pyarrow', 'lazyobs.bpf.ring') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


def test_on_the_plain_screen_it_stays_at_the_end_until_q(recording: Path) -> None:
    pid, terminal = os.forkpty()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        command = [sys.executable, "-m", "lazyobs", "top", "--replay", str(recording), "--speed", "max", "--plain"]
        os.execv(command[0], command)
    shown = b""
    while shown.count(b"\x1b[H") < 7:
        shown += os.read(terminal, 1 << 16)
    assert os.waitpid(pid, os.WNOHANG) == (0, 0)
    os.write(terminal, b"q")
    while True:
        try:
            if not os.read(terminal, 1 << 16):
                break
        except OSError:  # Linux says EIO when the other side has closed
            break
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
