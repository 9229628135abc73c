# SPDX-License-Identifier: MIT
"""What a recording has beside samples: gaps, columns of the machine, triggers, identity."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest

from lazyobs.errors import UsageError
from lazyobs.kernel import command_line
from lazyobs.kernel.log import LogLine
from lazyobs.kernel.slab_barrier import SlabBarrier
from lazyobs.recorder.gaps import Clocks, GapFinder
from lazyobs.recorder.identity import build_id, config_hash, identity
from lazyobs.recorder.recorder import Recorder, Surroundings
from lazyobs.recorder.system import System
from lazyobs.recorder.triggers import TRIGGERS, Tick, Watch, parse
from lazyobs.recording.reader import Recording
from tests.recording import made
from tests.recording.samples import sample
from tests.sources.handmade import HandmadeSource

_S = 1_000_000_000


class FakeClocks:
    def __init__(self) -> None:
        self.now = Clocks(1_800_000_000 * _S, 100 * _S, 100 * _S)

    def pass_by(self, real: float, monotonic: float, boot: float) -> None:
        now = self.now
        self.now = Clocks(now.real + round(real * _S), now.monotonic + round(monotonic * _S), now.boot + round(boot * _S))  # fmt: skip

    def __call__(self) -> Clocks:
        return self.now


@pytest.mark.parametrize(
    ("passed", "gaps"),
    [
        ((1, 1, 1), []),
        ((2.9, 2.9, 2.9), []),
        ((1.4, 1, 1), []),
        ((101, 1, 101), [("suspend", 100.0)]),
        ((24, 1, 1), [("clock_jump", 23.0)]),
        ((-22, 1, 1), [("clock_jump", -23.0)]),
        ((11, 11, 11), [("stall", 11.0)]),
        ((5, 1, 102), [("suspend", 101.0), ("clock_jump", -97.0)]),
    ],
)
def test_gaps(passed: tuple[float, float, float], gaps: list[tuple[str, float]]) -> None:
    clocks = FakeClocks()
    finder = GapFinder(1.0, clocks)
    clocks.pass_by(*passed)
    assert [(gap.kind, gap.seconds) for gap in finder.look()] == gaps
    clocks.pass_by(1, 1, 1)
    assert finder.look() == []


class FakeSource(HandmadeSource):
    def __init__(self) -> None:
        self.number = 0

    def read(self):
        self.number += 1
        return sample(self.number)


def test_a_suspend_is_a_mark_in_the_recording(tmp_path: Path) -> None:
    clocks = FakeClocks()
    around = Surroundings(str(proc(tmp_path)), str(tmp_path), "/does/not/exist")
    store = made.store(tmp_path / "r")
    recorder = Recorder(FakeSource(), store, around, None, 1.0, triggers=[parse("fork-storm:1e-9")], read_clocks=clocks)
    recorder.tick()
    clocks.pass_by(3601, 1, 3601)
    recorder.tick()
    store.close()
    recording = Recording(str(tmp_path / "r"))
    assert [
        (row["kind"], row["value"]) for row in recording.rows("marks") if row["kind"] not in ("trigger", "shed")
    ] == [("suspend", 3600.0)]
    assert [row["text"] for row in recording.rows("marks") if row["kind"] == "trigger"] == ["fork-storm"]
    assert len(list(recording.samples())) == 2
    assert set(around.why_not()) == {"kernel_log", "slabs.barrier", "system.pressure/io", "system.pressure/cpu"}


def test_time_and_stamp_of_a_sample_are_one_instant(tmp_path: Path) -> None:
    """On a loaded machine seconds pass before and after the counts are read."""
    clocks = FakeClocks()

    class Slow(FakeSource):
        def read(self):
            clocks.pass_by(3, 3, 3)
            found = super().read()
            found.time = clocks.now.real / _S
            clocks.pass_by(2, 2, 2)
            return found

    around = Surroundings(str(proc(tmp_path)), str(tmp_path), "/does/not/exist")
    store = made.store(tmp_path / "r")
    recorder = Recorder(Slow(), store, around, None, 10.0, read_clocks=clocks)
    for _ in range(2):
        recorder.tick()
    store.close()
    rows = list(Recording(str(tmp_path / "r")).rows("samples"))
    assert [row["stamp"] for row in rows] == [103 * _S, 108 * _S]
    assert [row["time"] for row in rows] == [1_800_000_003, 1_800_000_008]


def proc(root: Path) -> Path:
    """A captured /proc, as far as the columns need it."""
    (root / "proc/pressure").mkdir(parents=True)
    (root / "proc/vmstat").write_text("nr_free_pages 101\npgfault 18446744073709\n")
    (root / "proc/meminfo").write_text("MemTotal:  24681 kB\nActive(anon):  23 kB\nHugePages_Total:  7\n")
    (root / "proc/pressure/memory").write_text(
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=211\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=53\n"
    )
    (root / "proc/sys/kernel").mkdir(parents=True)
    (root / "proc/sys/kernel/tainted").write_text("4609\n")
    return root / "proc"


def test_columns_of_the_machine(tmp_path: Path) -> None:
    root = proc(tmp_path)
    system = System(str(root))
    assert dict(zip(system.columns, system.read())) == {
        "vmstat_nr_free_pages": 101,
        "vmstat_pgfault": 18446744073709,
        "meminfo_MemTotal_bytes": 24681 * 1024,
        "meminfo_Active_anon_bytes": 23 * 1024,
        "meminfo_HugePages_Total": 7,
        "kernel_tainted": 4609,
        "pressure_memory_some_us": 211,
        "pressure_memory_full_us": 53,
    }
    assert set(system.why_not) == {"pressure/cpu", "pressure/io"}
    (root / "vmstat").write_text("pgfault 23\n")
    assert system.read()[:2] == [None, 23]
    system.close()


def tick(number: int, **more) -> Tick:
    return Tick(sample(number), [], 0, **more) if "log" not in more else Tick(sample(number), more["log"], 0)


def test_a_splat_fires_once() -> None:
    watch = Watch([TRIGGERS["splat"]])
    line = LogLine(1, 4, 1.0, "WARN", "WARNING: x")
    follows = LogLine(2, 4, 1.0, None, "Call Trace:")
    assert watch.look(tick(1)) == []
    assert watch.look(tick(2, log=[line, follows])) == [(TRIGGERS["splat"], 1.0)]
    assert watch.look(tick(3, log=[line])) == []
    assert watch.look(tick(4, log=[follows])) == []
    assert watch.look(tick(5, log=[line, line])) == [(TRIGGERS["splat"], 2.0)]


def test_thresholds() -> None:
    slow = parse("slow-walk:0.5")
    watch = Watch([slow])
    assert watch.look(tick(1, longest_walk=0.49)) == []
    assert watch.look(tick(1, longest_walk=0.5)) == [(slow, 0.5)]
    assert Watch([slow]).look(tick(1)) == [], "no walks seen is not a slow walk"
    for text in ("boredom", "splat:", "splat:-1", "splat:nan", "splat:inf", ":5"):
        with pytest.raises(UsageError):
            parse(text)


def test_build_id(tmp_path: Path) -> None:
    (tmp_path / "kernel").mkdir()
    other = struct.pack("=III", 6, 4, 1) + b"Linux\0\0\0" + bytes(4)
    ours = struct.pack("=III", 4, 20, 3) + b"GNU\0" + bytes(range(20))
    (tmp_path / "kernel/notes").write_bytes(other + ours)
    assert build_id(str(tmp_path)) == bytes(range(20)).hex()
    (tmp_path / "kernel/notes").write_bytes(other)
    assert build_id(str(tmp_path)) is None
    (tmp_path / "kernel/notes").write_bytes(struct.pack("=III", 0xFFFFFFFF, 0xFFFFFFFF, 3))
    assert build_id(str(tmp_path)) is None


def test_config_hash_ignores_order_and_comments(tmp_path: Path) -> None:
    for name, text in (("a", "CONFIG_X=y\n# CONFIG_Y is not set\nCONFIG_Z=m\n"), ("b", "# made today\nCONFIG_Z=m\nCONFIG_X=y\n")):  # fmt: skip
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "config-6.1").write_text("CONFIG_X=y\nCONFIG_Z=m\n")
    hashes = {config_hash("6.1", str(tmp_path / name), str(tmp_path)) for name in ("a", "b", "none")}
    assert len(hashes) == 1 and None not in hashes
    assert config_hash("6.2", str(tmp_path / "none"), str(tmp_path)) is None


@pytest.mark.parametrize("whole", [False, True])
def test_the_command_line_is_recorded_whole_on_request_alone(tmp_path: Path, whole: bool) -> None:
    (tmp_path / "cmdline").write_text("slab_nomerge password=tr0ub4dor\n")
    found = identity("mainline", None, {}, None, str(tmp_path), str(tmp_path), whole_cmdline=whole)
    assert found["cmdline"] == ("slab_nomerge password=tr0ub4dor" if whole else "slab_nomerge")
    assert found["cmdline_sha256"] == command_line.digest("slab_nomerge password=tr0ub4dor")


def test_identity_of_nothing(tmp_path: Path) -> None:
    """Every fact may be missing; none is made up."""
    found = identity("mainline", None, {}, None, str(tmp_path), str(tmp_path))
    assert {key for key, value in found.items() if value is None} >= {
        "release",
        "cmdline",
        "cmdline_sha256",
        "boot_id",
        "memory_bytes",
        "tainted",
    }


def test_no_shrinking_here(tmp_path: Path) -> None:
    barrier = SlabBarrier(str(tmp_path))
    assert "shrink: No such file or directory" in barrier.why_not
    assert not barrier.settle()


def test_a_trigger_can_fire_while_one_of_its_needs_is_there() -> None:
    kinds = ("fork", "rmap_walk")
    violation, walk, loss = TRIGGERS["violation"], TRIGGERS["slow-walk"], TRIGGERS["loss"]
    assert violation.why_never({"violation": "no probes"}, kinds) == ""
    assert violation.why_never({"violation": "no probes", "ledger": "no barrier"}, kinds) == "no probes; no barrier"
    assert walk.why_never({}, kinds) == "" and "-e" in walk.why_never({}, ("fork",))
    assert loss.why_never({"fork": "x"}, kinds) == "" and "-e" in loss.why_never({}, ())
    assert TRIGGERS["fork-storm"].why_never({}, ()) == "", "counted, whatever is recorded"
