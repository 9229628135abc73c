# SPDX-License-Identifier: MIT
"""A series says what the recording's samples say one by one, as the replay reads them."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lazyobs.bpf import event
from lazyobs.model import CENSUS_NAMES, COUNTER_NAMES, HEALTH_NAMES
from lazyobs.recording.errors import RecordingError
from lazyobs.recording.reader import Recording
from lazyobs.soak import gate
from lazyobs.soak.engine import series_builder
from tests.harness import ROOT
from tests.recording import made
from tests.soak.engine.comparing import differences
from tests.soak.engine.conftest import SMALL
from tests.soak.generated import BARRIER_SAMPLES, BOOT_OFFSET, SLOT, Shape, events, make

pytestmark = pytest.mark.slow


def _column(path, name, table="samples"):
    recording = Recording(str(path))
    return np.array([row[name] for row in recording.rows(table)])


def test_every_sample(small, series):
    found = series(small)
    samples = list(Recording(str(small)).samples())
    assert len(samples) == SMALL.samples
    assert np.allclose(found.samples["time"], [sample.time for sample in samples], rtol=0, atol=1e-6)
    assert np.array_equal(found.samples["elapsed"], [sample.elapsed for sample in samples])
    assert np.array_equal(found.samples["processes"], [len(sample.processes) for sample in samples])
    for name in COUNTER_NAMES:
        assert np.array_equal(found.samples[name], [sample.totals[name] for sample in samples]), name
    for name in CENSUS_NAMES:
        assert np.array_equal(found.samples[name], _column(small, name)), name
    for name in HEALTH_NAMES:
        assert np.array_equal(found.samples["health_" + name], _column(small, "health_" + name)), name
    assert np.allclose(found.system.pop("time"), _column(small, "time", "system"), rtol=0, atol=1e-6)
    for name, values in found.system.items():
        assert np.array_equal(values, _column(small, name, "system")), name
    assert {"vmstat_pgfault", "pressure_memory_some_us"} < set(found.system)
    assert "vmstat_nr_mapped" not in found.system


@pytest.mark.parametrize("seconds", [-7200, 3600])
def test_a_clock_that_is_set_changes_nothing(small, tmp_path, series, seconds):
    """Not in the middle of a recording: its times go on from that of the first sample."""
    make(tmp_path / "small", 23, dataclasses.replace(SMALL, clock_set=seconds))
    assert np.ptp(np.diff(_column(tmp_path / "small", "time"))) > abs(seconds) - 1
    found, expected = series(tmp_path / "small"), series(small)
    for table in ("samples", "barriers", "system"):
        assert np.allclose(getattr(found, table)["time"], getattr(expected, table)["time"], rtol=0, atol=1e-6)
    assert [mark.time for mark in found.marks] == [mark.time for mark in expected.marks]


def test_bins(small, series, monkeypatch):
    """Counters and the system as at a bin's last sample, gauges their mean, health the highest, the first alone."""
    whole = series(small)
    monkeypatch.setattr(series_builder, "MOST_ROWS", 23)
    found = series(small)
    ends = [0, *range(10, SMALL.samples, 10)]
    assert SMALL.samples - 1 == ends[-1]
    parts = np.split(np.arange(SMALL.samples), np.array(ends[:-1]) + 1)
    assert [part[-1] for part in parts] == ends
    for name in ("time", *COUNTER_NAMES):
        assert np.array_equal(found.samples[name], whole.samples[name][ends]), name
    for name in CENSUS_NAMES:
        assert np.array_equal(found.samples[name], [whole.samples[name][part].mean() for part in parts]), name
    for name in HEALTH_NAMES:
        name = "health_" + name
        assert np.array_equal(found.samples[name], [whole.samples[name][part].max() for part in parts]), name
    for name in whole.system:
        assert np.array_equal(found.system[name], whole.system[name][ends]), name
    nanoseconds = np.rint(whole.samples["elapsed"] * 1e9)
    assert np.array_equal(found.samples["elapsed"], [nanoseconds[part].sum() / 1e9 for part in parts])
    assert np.array_equal(found.barriers["anon_vma"], whole.barriers["anon_vma"])


def test_barriers(small, series):
    found = series(small).barriers
    barriers = list(range(BARRIER_SAMPLES, SMALL.samples + 1, BARRIER_SAMPLES))
    rows = [row for row in Recording(str(small)).rows("slabs") if row["barrier"]]
    for cache in ("anon_vma", "vm_area_struct"):
        assert np.array_equal(found[cache], [row["objects_active"] for row in rows if row["cache"] == cache])
    assert np.isnan(found["anon_vma_chain"]).all()  # it shares its row
    assert len(found["anon_vma_chain"]) == len(barriers) == 3
    for cache in ("anon_vma", "anon_vma_chain"):
        orphans = [row["orphans"] for row in rows if row["cache"] == cache]
        assert np.array_equal(found[f"{cache}_orphans"], orphans) and len(set(orphans)) > 1
    spread = [row["orphans_spread"] for row in rows if row["cache"] == "anon_vma"]
    assert np.array_equal(found["anon_vma_orphans_spread"], spread) and len(set(spread)) > 1
    assert np.isnan(found["anon_vma_chain_orphans_spread"]).all()
    assert np.array_equal(found["vmas"], _column(small, "vmas")[np.array(barriers) - 1])
    assert np.array_equal(found["processes"], [SMALL.processes] * 3)


def test_a_recording_from_before_has_no_orphans(series):
    found = series(ROOT / "examples/lab").barriers
    for name in ("anon_vma_orphans", "anon_vma_chain_orphans", "anon_vma_orphans_spread"):
        assert len(found[name]) == len(found["time"]) > 0 and np.isnan(found[name]).all()


@pytest.mark.parametrize("warm_up", [0.0, 100.5, 1e6])
def test_events(small, series, warm_up):
    found = series(small, warm_up=warm_up)
    times = _column(small, "time")
    warm = min(np.searchsorted(times, times[0] + warm_up), len(times) - 1)
    stamps = _column(small, "stamp")
    all_of_them = events(23, SMALL)
    wanted = all_of_them[(all_of_them["stamp"] > stamps[warm]) & (all_of_them["stamp"] <= stamps[-1])]
    assert sum(found.events[kind.name].count for kind in event.KINDS if kind.name in found.events) == len(wanted)
    for place, kind in enumerate(event.KINDS):
        of_kind = wanted[wanted["kind"] == place]
        _same_events(found.events.get(kind.name), of_kind)
        for number, detail in enumerate(kind.details):
            _same_events(found.events.get(f"{kind.name}{{{detail}}}"), of_kind[of_kind["detail"] == number])
    for name, of in (("fork_seconds", "fork"), ("promotion_seconds", "promotion")):
        counts = found.distributions[name].counts  # the same events, counted by the kernel
        assert counts[SLOT] == counts.sum() == (found.events[of].count if of in found.events else 0)


def _same_events(found, wanted):
    if not len(wanted):
        assert found is None
        return
    durations = wanted["duration"][wanted["duration"] != event.UNKNOWN].astype(int)
    assert found.count == len(wanted)
    assert found.seconds.counts.sum() == len(durations)
    assert found.seconds.bounds[-1] == np.inf and found.seconds.counts[-1] == 0
    if len(durations):
        assert (found.longest, found.seconds.sum) == (durations.max() / 1e9, durations.sum() / 1e9)
        units = 10 ** np.maximum(0, [len(str(duration)) - 3 for duration in durations])
        uppers, counts = np.unique(-(-durations // units) * units, return_counts=True)
        assert np.array_equal(found.seconds.bounds[:-1], uppers / 1e9)
        assert np.array_equal(found.seconds.counts[:-1], counts)


def test_extreme_durations(tmp_path, series):
    """The shortest, the longest, and powers of ten: rounded up to three digits, and none lost."""
    durations = [0, 1, 999, 1000, 1001, 9_990, 9_991, 99_999_999, 1_000_000_000, event.MOST_NANOSECONDS, event.UNKNOWN]
    path = tmp_path / "recording"
    store = made.store(path)
    found = made.events(0, len(durations))
    found["stamp"], found["kind"], found["duration"] = 1_500_000_000, 0, durations
    made.append_sample(store, 1)
    store.append("events", made_rows(found))
    made.append_sample(store, 2)
    store.close()
    seconds = series(path).events["fork"].seconds
    assert np.rint(seconds.bounds[:-1] * 1e9).astype(int).tolist() == [
        0, 1, 999, 1000, 1010, 9_990, 10_000, 100_000_000, 1_000_000_000, 4_300_000_000
    ]  # fmt: skip
    assert seconds.counts[:-1].tolist() == [1] * 10
    assert seconds.sum == sum(durations[:-1]) / 1e9


def made_rows(found):
    from tests.recording.made import event_rows

    return event_rows(found, BOOT_OFFSET)


def test_facts_of_the_ends(small, series):
    found = series(small, warm_up=100.5)
    samples = list(Recording(str(small)).samples())
    for facts, sample in ((found.first, samples[0]), (found.warm, samples[101]), (found.last, samples[-1])):
        assert facts["totals"] == sample.totals
        assert facts["kernel"] == vars(sample.kernel)
        assert (facts["tiers"], facts["null_reasons"]) == (sample.tiers, sample.null_reasons)
    assert found.object_bytes == {"anon_vma": 104}
    assert [(mark.kind, mark.text) for mark in found.marks] == [("end", "ended")]
    assert (found.name, found.interval, found.splats, found.torn) == ("small", 1.0, [], ())


def test_what_the_kernel_said(tmp_path, series):
    store = made.store(tmp_path / "recording")
    made.append_sample(store, 1)
    line = {"time": [5.0, 5.0], "sequence": [1, 2], "level": [4, 4], "since_boot": [1.0, 1.0]}
    store.append("kernel_log", {**line, "kind": ["WARN", None], "text": ["WARNING: mm/rmap.c:23", "Call Trace:"]})
    store.append("marks", {"time": [6.0], "stamp": [6], "kind": ["lost"], "value": [101.0], "text": ["events"]})
    store.close()
    found = series(tmp_path / "recording")
    assert [(mark.time, mark.kind, mark.text) for mark in found.splats] == [(5.0, "WARN", "WARNING: mm/rmap.c:23")]
    since = (6 - int(_column(tmp_path / "recording", "stamp")[0])) / 1e9
    at = pytest.approx(found.samples["time"][0] + since)
    assert [(mark.time, mark.kind, mark.value) for mark in found.marks] == [(at, "lost", 101.0)]


def test_a_mark_that_has_lost_its_time_counts(tmp_path, series):
    store = made.store(tmp_path / "recording")
    made.append_sample(store, 1)
    made.append_sample(store, 2)
    store.append("marks", {"time": [None], "stamp": [None], "kind": ["suspend"], "value": [3.0], "text": ["slept"]})
    store.close()
    found = series(tmp_path / "recording")
    assert [(mark.time, mark.value) for mark in found.marks] == [(found.samples["time"][0], 3.0)]
    assert "3.0 s without samples in 1 gap" in gate._gaps(found, 0.0, 10).text


def test_killed_and_whole_are_the_same(tmp_path, series):
    """A recorder that was killed leaves streams: the same rows, less a batch that was cut off."""
    store = made.store(tmp_path / "whole")
    for number in range(1, 12):
        made.append_sample(store, number)
        store.append("events", made_rows(made.events(number * 101, 101)))
    shutil.copytree(tmp_path / "whole", tmp_path / "killed")
    shutil.copytree(tmp_path / "whole", tmp_path / "torn")
    store.close()
    whole, killed = series(tmp_path / "whole"), series(tmp_path / "killed")
    assert len(whole.samples["time"]) == 11
    assert differences(dataclasses.replace(killed, name="whole"), whole) == []
    stream = tmp_path / "torn/samples-000001.arrows"
    stream.write_bytes(stream.read_bytes()[:-101])
    torn = series(tmp_path / "torn")
    assert torn.torn == (stream.name,)
    assert np.array_equal(torn.samples["time"], whole.samples["time"][:10])
    assert torn.last["totals"]["forks"] == 10 * 101


def test_a_segment_that_is_finished_meanwhile(tmp_path):
    """Between the listing of the directory and the reading of a stream, a recorder may turn it into Parquet."""
    store = made.store(tmp_path / "running")
    for number in range(1, 12):
        made.append_sample(store, number)
    recording = Recording(str(tmp_path / "running"))
    assert recording.unfinished("samples") == [1]
    store.close()
    assert sum(len(batch) for batch in recording.batches("samples", 1)) == 11
    assert recording.torn == set()


def test_finished_segments_and_a_stream(tmp_path, series):
    """Rows of Parquet files and of the stream behind them are one table."""
    shape = Shape(samples=101, events=1009, processes=3, segment_samples=23)
    make(tmp_path / "finished", 7, shape)
    shutil.copytree(tmp_path / "finished", tmp_path / "running")
    for table in ("samples", "slabs", "processes", "system", "events"):
        parquet = tmp_path / f"running/{table}-000005.parquet"
        rows = pq.read_table(parquet)
        stream = pa.BufferOutputStream()
        with pa.ipc.new_stream(stream, rows.schema) as writer:
            writer.write_table(rows)
        end = 8  # bytes that say so, which a recorder never comes to write
        parquet.with_suffix(".arrows").write_bytes(stream.getvalue()[:-end])
        parquet.unlink()
    found = series(tmp_path / "running")
    assert differences(dataclasses.replace(found, name="finished"), series(tmp_path / "finished")) == []


def test_columns_of_other_versions(small, tmp_path, series):
    """A column that a recording lacks is not known; one that is not ours is left alone."""
    path = tmp_path / "small"
    shutil.copytree(small, path)
    for file in path.glob("samples-*"):
        rows = pq.read_table(file).drop_columns(["fork_chains", "health_map_full"])
        pq.write_table(rows.append_column("forks per\"'second", pa.array(["x"] * len(rows))), file)
    found, before = series(path), series(small)
    assert np.isnan(found.samples["fork_chains"]).all()
    assert np.isnan(found.samples["health_map_full"]).all()
    assert np.array_equal(found.samples["forks"], before.samples["forks"])
    rest = {name: before.samples[name] for name in ("fork_chains", "health_map_full")}
    found.samples.update(rest)
    assert differences(found, before) == []


def test_progress_rises_to_the_end(small, series):
    told: list[float] = []
    series(small, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) > 5


@pytest.mark.parametrize("count", [3, 11])
def test_several(tmp_path, duckdb_engine, count):
    """In the order they were asked for, each as it is alone; in this process, or as many by several."""
    paths = [tmp_path / f"recording-{seed}" for seed in range(count)]
    for seed, path in enumerate(paths):
        make(path, seed, Shape(samples=23 + seed, events=101, processes=3, segment_samples=11))
    told: list[float] = []
    found = duckdb_engine.all_series([str(path) for path in paths], told.append, warm_up=7.0)
    assert [len(series.samples["time"]) for series in found] == list(range(23, 23 + count))
    for series, path in zip(found, paths):
        assert differences(series, duckdb_engine.series(str(path), warm_up=7.0)) == []
    assert told == sorted(told) and told[-1] == 1.0
    with pytest.raises(RecordingError, match=r"^recording /.*/none: there is no such directory; name one"):
        duckdb_engine.all_series([*map(str, paths), str(tmp_path / "none")])


def test_names_that_a_shell_would_expand(small, tmp_path, series):
    """A directory's name is a name, no column, and its neighbours are not read."""
    shutil.copytree(small, tmp_path / "small")
    path = tmp_path / "number=23/sm[a]*?{l,x}'\"l"
    shutil.copytree(small, path)
    assert differences(dataclasses.replace(series(path), name="small"), series(small)) == []
