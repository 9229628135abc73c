# SPDX-License-Identifier: MIT
"""``lazyobs summary`` on this kernel and on the recordings of the repository."""

from __future__ import annotations

import json
from pathlib import Path

from lazyobs.views.costs import costs
from tests.harness import ROOT, lazyobs, need_open_checkout
from tests.recording.test_mutations import make

COUNT = 5003


def test_it_names_the_process_that_holds_most(bpf, islands):
    """5,003 VMAs that share nothing: an anon_vma and a chain each, more than anything else here."""
    program = islands(COUNT)
    program.tell("touch")
    done = lazyobs("summary", "-o", "json", "-d", "0.3")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    largest = found["largest_processes"][0]
    assert largest["pid"] == program.pid
    object_bytes = found["held"]["anon_vma_bytes"] // found["held"]["anon_vmas"], found["held"]["chain_bytes"] // found["held"]["chains"]  # fmt: skip
    # The program itself has a few more VMAs with anonymous pages: stack, heap, libc, data.
    assert 0 <= largest["bytes"] - COUNT * sum(object_bytes) < 50 * sum(object_bytes)
    assert found["bytes"] >= largest["bytes"] and found["unshared_vmas"] >= COUNT
    assert f"islands ({program.pid})" in found["advice"]


def test_growth_and_forks_are_those_of_the_time_that_was_watched(live, islands):
    source = live()
    program = islands(COUNT)
    program.tell("touch")
    first = source.read()
    program.tell("fork")
    last = source.read()
    found = costs(first, last, source.memory(), last.elapsed)
    own = next(one for one in found.largest_processes if one.pid == program.pid)
    assert found.forks.count >= 1 and found.forks.count * found.forks.chains_each >= COUNT
    # A fork gives each VMA of the child two chains: its own, and its parent's. Other processes end meanwhile.
    assert found.grown_chains > 1.8 * COUNT
    assert found.grown_chains == last.census["chains_held"] - first.census["chains_held"]
    assert own.bytes > 0 and found.share_of_memory > 0
    program.tell("reap")


def test_a_recording_is_summed_up_from_its_first_to_its_last_sample():
    done = lazyobs("summary", "--replay", str(ROOT / "examples/debian-6.12"), "-o", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["seconds"] > 10 and found["forks"]["count"] > 0
    assert found["held"]["anon_vmas"] > 0  # slabinfo has a row for them
    assert found["bytes"] is None and "slabinfo counts anon_vma_chain together" in found["null_reasons"]["held"]


def test_without_bpf_it_says_what_is_not_known():
    done = lazyobs("summary", "--tier", "procfs", "-d", "0.1")
    assert done.returncode == 0 and "counting needs BPF" in done.stdout and "tier procfs" in done.stderr


def test_a_delay_has_no_meaning_for_a_recording():
    done = lazyobs("summary", "--replay", str(ROOT / "examples/lab"), "-d", "3")
    assert done.returncode == 2 and "has no meaning with --replay" in done.stderr


def test_the_list_of_commands_ends_with_the_answer(bpf):
    done = lazyobs()
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    begin = lines.index("This machine, in short; lazyobs summary has more:")
    assert [line.split()[0] for line in lines[begin + 1 :]] == ["holds", "lazy", "most"]


def test_the_list_of_commands_names_the_command_to_who_may_not_see(root):
    need_open_checkout()
    done = lazyobs(user=65534, group=65534, extra_groups=[])
    assert done.stderr.rstrip().endswith("What it costs this machine, and who: sudo lazyobs summary")


def test_top_begins_with_what_it_costs(bpf, islands):
    program = islands(COUNT)
    program.tell("touch")
    lines = lazyobs("top", "-b", "-n", "1").stdout.splitlines()
    assert lines[1].startswith("holds    ") and lines[2].startswith("lazy     a kernel with lazy anon_vmas would save ")
    assert lines[3].startswith("most     ") and f"{program.pid} islands {COUNT}" in lines[3]


def test_a_recording_without_an_end_is_told_once(tmp_path: Path) -> None:
    make(tmp_path / "r", "decade", finish=False)
    done = lazyobs("summary", "--replay", str(tmp_path / "r"))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("has no end") == 1 and len(done.stderr.splitlines()) == 1
