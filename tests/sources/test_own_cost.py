# SPDX-License-Identifier: MIT
"""The budget on the running kernel: what is shed is detached and null, what is exact stays exact, all of it comes back.

The load is this process itself, which is the consumer: what it burns between two samples is own cost, on any machine.
"""

from __future__ import annotations

import json
import mmap
import os
import time

import pytest

from lazyobs.bpf.event_filter import EventFilter
from lazyobs.bpf.points import POINTS
from lazyobs.sources import budget
from lazyobs.sources.own_cost import is_exit
from tests.harness import lazyobs, process_of, skip

INTERVAL = 0.2
BUDGET = (
    0.05  # of the machine: more than a sample every two INTERVALs costs, less than what is burnt, on a busy one, too
)
OPTIONAL = ("lock",)  # attached on every kernel that has the tracepoint, and not required
TOTALS = ("forks", "anon_vma_allocs", "anon_vma_frees", "chain_allocs", "chain_frees")


def burn(seconds: float) -> None:
    """With anon_vmas, so that the programs run on a machine that has nothing else to do."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        with mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as page:
            page[0] = 1


def samples(source, count: int, load: bool) -> list:
    """So many samples; with ``load`` lazyobs burns more than its budget between any two."""
    found = []
    for _ in range(count):
        if load:
            burn(INTERVAL * 0.25 * (os.cpu_count() or 1))
        else:
            time.sleep(2 * INTERVAL)
        found.append(source.read())
    return found


def until(source, holds, load: bool, most: int = 150):
    """The first sample for which it holds."""
    for _ in range(most):
        (sample,) = samples(source, 1, load)
        if holds(sample):
            return sample
    pytest.fail(f"not within {most} samples: {budget.words(sample.health)}")


@pytest.fixture
def source(live):
    found = live(budget=BUDGET, events=True)
    if not all(found.tiers.get(point) for point in OPTIONAL):
        skip("bpf", "no optional point is attached")
    found.events().begin(EventFilter(kinds=("fork",)))
    samples(found, 2, load=False)
    return found


def all_shed(sample) -> bool:
    return sample.health["census_every"] == budget.MOST_EVERY and sample.health["floor_share"] is not None


def nothing_shed(sample) -> bool:
    return not budget.shed_words(sample.health)


def test_over_the_budget_all_is_shed_marked_and_taken_back(source):
    before = source.read()
    assert before.health["budget_share"] == BUDGET and nothing_shed(before)
    shed = until(source, all_shed, load=True)
    health = shed.health
    assert health["events_shed"] == 1 and health["points_shed"] >= len(OPTIONAL) and health["shed_seconds"] > 0
    assert health["own_cpu_share"] + health["bpf_share"] > BUDGET and health["floor_share"] > 0
    for point in OPTIONAL:
        assert shed.tiers[point] is None
    reason = budget.why(BUDGET)
    for name in ("lock_waits", "lock_write_waits", "lock_waited_ns"):
        assert shed.totals[name] is None and shed.rates[name] is None, name
        assert reason in shed.null_reasons[f"totals.{name}"]
        assert all(process.counts[name] is None for process in shed.processes)
    assert shed.totals["lock_waits_by_path"] is None
    assert all(shed.histograms[name] is None for name in shed.histograms if name.startswith("lock_wait_seconds"))

    back = until(source, nothing_shed, load=False)
    back = source.read()
    assert back.tiers == before.tiers and back.null_reasons.keys() == before.null_reasons.keys()
    assert isinstance(back.totals["lock_waits"], int) and back.totals["lock_waits"] >= before.totals["lock_waits"]
    assert back.health["shed_seconds"] >= health["shed_seconds"]
    assert back.census["vmas"] and not source.session.refused["lock"]


def test_nothing_that_is_shed_stays_attached(source):
    shed = until(source, all_shed, load=True)
    samples(source, 1, load=True)
    left = {name for name in source.session.links if name.startswith("lock_")}
    assert not left and shed.health["probes_missing"] == 0
    until(source, nothing_shed, load=False)
    assert {name.partition(":")[0] for name in source.session.links if name.startswith("lock_")} == {
        "lock_wait_begins",
        "lock_wait_ends",
    }


def test_exact_totals_stay_exact_while_everything_else_is_shed(source, islands):
    count = 211
    program = islands(count)
    until(source, all_shed, load=True)

    def counts():
        return process_of(source.read(), program.pid).counts

    first = counts()
    program.tell("touch")
    second = counts()
    program.tell("fork")
    third = counts()
    program.tell("reap")
    program.tell("unmap")
    fourth = counts()
    gained = [{name: now[name] - then[name] for name in TOTALS} for then, now in ((first, second), (second, third), (third, fourth))]  # fmt: skip
    assert gained[0] == {"forks": 0, "anon_vma_allocs": count, "anon_vma_frees": 0, "chain_allocs": count, "chain_frees": 0}  # fmt: skip
    assert gained[1]["forks"] == 1 and gained[1]["chain_allocs"] == 2 * gained[1]["anon_vma_allocs"]
    assert gained[2]["anon_vma_frees"] == gained[2]["chain_frees"] == count
    assert source.read().health["points_shed"]


def test_a_sample_without_a_census_lists_the_processes_and_says_nothing_of_their_vmas(source, islands):
    program = islands(23)
    sample = until(source, lambda one: all_shed(one) and "census" in one.null_reasons, load=True)
    assert budget.leaves_out_census(sample)
    assert set(sample.census.values()) == {None}
    mine = process_of(sample, os.getpid())
    assert set(mine.census.values()) == {None} and mine.comm and mine.cgroup is not None
    assert all(set(process.census.values()) == {None} for process in sample.processes)
    prepared = process_of(sample, program.pid).counts["prepares"]
    program.tell("touch")
    assert process_of(source.read(), program.pid).counts["prepares"] == prepared + 23
    whole = until(source, nothing_shed, load=False)
    assert process_of(source.read(), os.getpid()).census["vmas"] and whole.health["census_every"] == 1


def test_no_event_comes_while_events_are_shed_and_each_comes_afterwards(source, islands):
    program = islands(3)
    stream = source.events()
    until(source, lambda one: one.health["events_shed"] == 1, load=True)
    stream.ring.read()
    program.tell("fork")
    program.tell("reap")
    assert not [one for one in stream.ring.read() if program.pid in one]
    stream.begin(EventFilter(kinds=("fork",)))  # whoever asks for events gets none either
    program.tell("fork")
    program.tell("reap")
    assert not [one for one in stream.ring.read() if program.pid in one]
    until(source, nothing_shed, load=False)
    stream.ring.read()
    program.tell("fork")
    assert [one for one in stream.ring.read() if program.pid in one]


def test_without_a_loader_that_stays_nothing_more_is_measured_and_the_reason_says_so(source):
    until(source, all_shed, load=True)
    source.session.meter.close()
    sample = until(source, lambda one: one.health["bpf_share"] is None, load=True)
    assert "has ended" in sample.null_reasons["health.bpf_share"]
    assert sample.health["own_cpu_share"] > BUDGET


def test_without_a_budget_every_number_of_it_is_null_with_a_reason(live):
    source = live()
    assert source.session.meter is None
    sample = samples(source, 2, load=False)[-1]
    for name in ("budget_share", "floor_share", "events_shed", "points_shed", "census_every", "shed_seconds", "loader_rss_bytes"):  # fmt: skip
        assert sample.health[name] is None and sample.null_reasons[f"health.{name}"], name
    assert sample.health["own_cpu_share"] > 0 and sample.health["loader_cpu_seconds"] > 0
    assert sample.health["map_bytes"] > 1 << 20


def test_statistics_are_on_within_the_windows_alone(source):
    """Another reader of the same programs: their run counts stand still between two windows."""
    from lazyobs.bpf.program_info import program_stats

    fd = next(fd for name, fd in source.session.programs.items() if name.startswith("slab_alloc:"))
    sysctl = "/proc/sys/kernel/bpf_stats_enabled"
    with open(sysctl, encoding="ascii") as file:
        if file.read().strip() != "0":
            skip("bpf", "kernel.bpf_stats_enabled is 1")
    time.sleep(1.0)
    source.read()  # begins a window
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        os.close(os.open("/dev/null", os.O_RDONLY))
    before = program_stats(fd)[1]
    os.close(os.open("/dev/null", os.O_RDONLY))
    assert program_stats(fd)[1] == before > 0


def test_every_point_has_programs_that_begin_or_none_that_end():
    """What ends is detached last; a point of ends alone would leave what another one began."""
    for point in POINTS:
        programs = [fixed.program for fixed in point.fixed]
        assert not programs or not all(is_exit(name) for name in programs), point.name


def test_top_shows_it_in_every_form():
    done = lazyobs("top", "-b", "-n", "3", "-d", "0.3", "-o", "json", "--budget", "25%")
    assert done.returncode == 0, done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["health"]["budget_share"] == 0.25 and last["health"]["bpf_share"] is not None
    assert last["health"]["loader_rss_bytes"] > 1 << 20
    table = lazyobs("top", "-b", "-n", "3", "-d", "0.3", "--budget", "25%").stdout
    assert "budget 25%  shed nothing" in table


@pytest.mark.parametrize("command", ["top", "record", "export"])
@pytest.mark.parametrize("value", ["0.5", "0%", "many", "101%"])
def test_what_is_no_budget_is_refused(command, value, tmp_path):
    more = {"top": [], "record": ["-o", str(tmp_path / "r")], "export": []}[command]
    done = lazyobs(command, *more, "--budget", value)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "0.5%" in done.stderr


def decide(source, state):
    """As if the policy had."""
    source._own._policy.state = state
    assert source._own._apply(state)
    source._table.refresh()


@pytest.mark.parametrize("tier", ["fentry", "kprobe", "tracepoint"])
def test_points_of_every_tier_are_detached_and_attached_again(live, islands, tier, monkeypatch):
    """Without a load: what the policy would decide is said here, so that it holds on an emulated machine, too."""
    monkeypatch.setenv("LAZYOBS_ALSO", "all")
    source = live(cap=tier, budget=1.0)
    program = islands(211)
    first = source.read()
    links = set(source.session.links)
    decide(source, budget.State((budget.ALSO, budget.POINTS)))
    shed = source.read()  # exits are detached after the next sample
    required = {point.name for point in POINTS if point.required}
    assert {point for point, at in shed.tiers.items() if at} == {
        p for p in required | {"census_vmas"} if first.tiers[p]
    }
    assert shed.health["points_shed"] == sum(map(bool, first.tiers.values())) - sum(map(bool, shed.tiers.values())) > 0
    assert not [name for name in source.session.links if "cow" in name or "prepare" in name or "lock_" in name]
    program.tell("touch")  # nothing counts it but the slab point
    decide(source, budget.State())
    back = source.read()
    assert back.tiers == first.tiers and set(source.session.links) == links
    before = process_of(back, program.pid).counts
    program.tell("fork")
    after = process_of(source.read(), program.pid).counts
    program.tell("reap")
    program.tell("unmap")
    last = process_of(source.read(), program.pid).counts
    assert after["forks"] - before["forks"] == 1
    assert after["chain_allocs"] - before["chain_allocs"] == 2 * (after["anon_vma_allocs"] - before["anon_vma_allocs"])
    assert last["chain_frees"] - after["chain_frees"] == 211
    if first.tiers["prepare"]:
        whole = source.read().histograms["prepare_seconds"]
        assert whole["sum"] < 60 * max(whole["count"], 1)  # no call that began before the point was shed
