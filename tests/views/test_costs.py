# SPDX-License-Identifier: MIT
"""What summary says, of samples whose numbers are known."""

from __future__ import annotations

import csv
import dataclasses
import io
import json

import pytest

from lazyobs.model import Slab
from lazyobs.views import summary as view
from lazyobs.views.costs import costs
from tests.views.handmade import process, sample

ANON_VMA, CHAIN = 104, 64
MEMORY = {"Slab_bytes": 1 << 20, "MemTotal_bytes": 1 << 30}


def _sample(*processes, anon_vmas=0, chains=0, time=100.0, **changed):
    made = sample(*processes)
    made.time = time
    made.slabs = [Slab("anon_vma", 999, 999, ANON_VMA), Slab("anon_vma_chain", 999, 999, CHAIN, ["fs_cache"])]
    made.census.update(anon_vmas_held=anon_vmas, chains_held=chains, vmas=1000, vmas_private=31, savable_bytes=31 * 168, savable_low_bytes=31 * 168, savable_high_bytes=31 * 168)  # fmt: skip
    return dataclasses.replace(made, **changed)


def _between(first, last, memory):
    return costs(first, last, memory, last.time - first.time)


def _holder(pid, anon_vmas, chains, **more):
    return process(pid, anon_vmas_held=anon_vmas, chains_held=chains, **more)


def test_held_bytes_are_objects_times_their_room():
    found = _between(_sample(), _sample(_holder(3, 7, 11), anon_vmas=7, chains=11, time=102.0), MEMORY)
    total = 7 * ANON_VMA + 11 * CHAIN
    assert (found.held.anon_vma_bytes, found.held.chain_bytes, found.bytes) == (7 * ANON_VMA, 11 * CHAIN, total)
    assert (found.share_of_slab, found.share_of_memory) == (total / (1 << 20), total / (1 << 30))
    assert (found.bytes_per_process, found.bytes_per_vma) == (total, total / 1000)
    assert (found.grown_anon_vmas, found.grown_chains, found.grown_bytes) == (7, 11, total)


def test_the_largest_holders_come_first_with_their_growth():
    first = _sample(_holder(3, 1, 1), _holder(5, 2, 2))
    last = _sample(
        _holder(3, 11, 13, cgroup="/a"), _holder(5, 2, 2, cgroup="/b"), _holder(7, 3, 3, cgroup="/b"), _holder(9, 0, 0),
        anon_vmas=16, chains=18, time=102.0,
    )  # fmt: skip
    found = _between(first, last, {})
    assert [(one.pid, one.grown) for one in found.largest_processes] == [
        (3, 10 * ANON_VMA + 12 * CHAIN), (7, None), (5, 0),
    ]  # fmt: skip
    assert [(one.name, one.processes) for one in found.largest_cgroups] == [("/a", 1), ("/b", 2)]
    assert sum(one.share for one in found.largest_processes) == pytest.approx(1.0)


def test_forks_are_those_between_the_samples():
    first, last = _sample(), _sample(time=104.0)
    first.totals.update(forks=10, fork_chains=100)
    last.totals.update(forks=17, fork_chains=191)
    for made, count in ((first, 10), (last, 17)):
        made.histograms["fork_duration_seconds"] = {"buckets": [], "sum": count * 0.5, "count": count}
    forks = _between(first, last, {}).forks
    assert (forks.count, forks.per_second, forks.chains_per_second, forks.chains_each) == (7, 7 / 4, 91 / 4, 13.0)
    assert forks.seconds_each == pytest.approx(0.5)


def test_what_is_not_known_has_a_reason():
    reasons = {"census": "iter: not attached", "totals": "counting needs BPF", "histograms": "measuring needs BPF"}
    blind = _sample(process(3, **dict.fromkeys(("anon_vmas_held", "chains_held"))), time=102.0, null_reasons=reasons)
    blind.census = dict.fromkeys(blind.census)
    blind.totals = dict.fromkeys(blind.totals)
    found = _between(blind, dataclasses.replace(blind, time=104.0), {})
    document = found.as_json()
    for name in ("bytes", "unshared_vmas", "spared_low", "spared_high", "saved_bytes", "grown_bytes", "vmas"):
        assert document[name] is None
    assert found.null_reasons["held"] == "iter: not attached; slabinfo counts anon_vma_chain together with fs_cache"
    assert found.null_reasons["unshared_vmas"] == "iter: not attached"
    assert found.null_reasons["forks"] == "counting needs BPF"
    text = "\n".join(view.summary(found))
    assert "999 anon_vmas" in text and " 0 " not in text  # slabinfo knows one of the two, and no zero is invented


def test_one_sample_has_no_rates():
    only = _sample(_holder(3, 7, 11), anon_vmas=7, chains=11)
    found = _between(only, only, MEMORY)
    assert found.forks.count is None and found.grown_bytes is None
    assert found.null_reasons["forks"] == "one sample alone has no rate"


def test_without_a_census_slabinfo_is_named_as_the_source():
    reasons = {"census": "iter: refused"}
    last = _sample(time=102.0, null_reasons=reasons)
    last.census = dict.fromkeys(last.census)
    last.slabs = [Slab("anon_vma", 10, 20, ANON_VMA), Slab("anon_vma_chain", 30, 40, CHAIN)]
    found = _between(last, dataclasses.replace(last, time=104.0), {})
    assert (found.held.source, found.bytes) == ("slabinfo", 10 * ANON_VMA + 30 * CHAIN)
    assert "by slabinfo, which counts some free objects" in view.summary(found)[0]


def _family(children, anon_vmas):
    parent = _holder(100, 10, 10, comm="postgres", ppid=1)
    return [parent, *(_holder(101 + number, anon_vmas, anon_vmas, comm="postgres", ppid=100) for number in range(children))]  # fmt: skip


def test_advice_names_the_family_that_holds_most():
    rows = [*_family(6, 10), _holder(7, 20, 20)]
    found = _between(_sample(), _sample(*rows, anon_vmas=90, chains=90, time=102.0), {})
    assert (found.largest_family.parent, found.largest_family.children) == (100, 6)
    assert view.advice(found).startswith("postgres: 6 children of 100 and itself hold 78%; ")


@pytest.mark.parametrize("rows", [_family(4, 10)[:2], [_holder(pid, 10, 10) for pid in range(3, 9)]])
def test_no_advice_where_nothing_stands_out(rows):
    found = _between(_sample(), _sample(*rows, _holder(500, 9, 9), anon_vmas=90, chains=90, time=102.0), {})
    assert view.advice(found) is None


def test_a_lazy_kernel_says_what_it_saves_and_a_switch_that_is_off_what_it_would():
    def line(enabled):
        last = _sample(time=102.0)
        last.kernel = dataclasses.replace(last.kernel, lazy_enabled=enabled)
        last.census["saved_bytes"] = 5 << 20
        return next(line for line in view.summary(_between(_sample(), last, {})) if line.startswith("lazy"))

    assert "saves 5.0M now" in line(True)
    assert "switched off; it would save 5.1K" in line(False)
    assert "a kernel with lazy anon_vmas would save 5.1K" in line(None)


def test_hostile_names_do_not_reach_the_terminal(capsys):
    hostile = _holder(3, 7, 11, comm="\x1b]0;owned\x07\u202e", cgroup="/\x1b[2J")
    found = _between(_sample(), _sample(hostile, _holder(5, 1, 1), anon_vmas=7, chains=11, time=102.0), {})
    for output in ("table", "json", "csv"):
        view.show(found, output)
        assert not {"\x1b", "\x07", "\u202e"} & set(capsys.readouterr().out)


def test_json_and_csv_have_the_same_numbers(capsys):
    found = _between(_sample(), _sample(_holder(3, 7, 11), anon_vmas=7, chains=11, time=102.0), MEMORY)
    view.show(found, "json")
    document = json.loads(capsys.readouterr().out)
    view.show(found, "csv")
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert document["bytes"] == int(row["bytes"]) == 7 * ANON_VMA + 11 * CHAIN
    assert document["held"]["chains"] == int(row["held.chains"]) == 11


def test_waits_are_those_between_the_samples_with_the_busiest_path():
    first, last = _sample(), _sample(time=104.0)
    first.totals.update(lock_waits=10, lock_waited_ns=10**6)
    last.totals.update(lock_waits=33, lock_waited_ns=10**6 + 23 * 2000)
    for made, fork in ((first, 1e-3), (last, 1e-3 + 30e-6)):
        made.histograms["lock_wait_seconds{fork}"] = {"buckets": [], "sum": fork, "count": 10}
        made.histograms["lock_wait_seconds{unmap}"] = {"buckets": [], "sum": fork / 3, "count": 10}
    found = _between(first, last, {})
    assert (found.waits.count, found.waits.per_second) == (23, 23 / 4)
    assert found.waits.seconds_each == pytest.approx(2e-6) and found.waits.cpu_share == pytest.approx(46e-6 / 4)
    assert (found.waits.busiest, found.waits.busiest_share) == ("fork", pytest.approx(0.75))
    line = next(line for line in view.summary(found) if line.startswith("waits"))
    assert line == "waits    5.8/s for an anon_vma's lock, 2us each, 75% of the time in fork; lazyobs top --view locks"


def test_growth_names_its_culprit_and_says_where_to_look():
    first = _sample(_holder(3, 100, 100), _holder(5, 40, 40), anon_vmas=140, chains=140)
    last = _sample(_holder(3, 1100, 1100, prepares=1000, chain_allocs=1000), _holder(5, 41, 41), anon_vmas=1141, chains=1141, time=160.0)  # fmt: skip
    found = _between(first, last, {})
    assert found.culprit is not None and (found.culprit.pid, found.culprit.chains) == (3, 1000)
    lines = view.summary(found)
    change = next(place for place, line in enumerate(lines) if line.startswith("change"))
    assert lines[change + 1] == (
        "         prog (pid 3): +1,000 chains and +1,000 anon_vmas (2000/min), 100% of the growth: by new anonymous VMAs"
    )
    assert view.advice(found) == "lazyobs census -p 3 --vmas lists the VMAs of prog (3), which pile up"
    assert _between(first, first, {}).null_reasons["culprit"] == "one sample alone shows no growth"
    assert _between(first, dataclasses.replace(first, time=160.0), {}).null_reasons["culprit"] == "nothing has grown"
