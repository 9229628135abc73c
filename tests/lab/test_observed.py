# SPDX-License-Identifier: MIT
"""Every tier on the lab kernel: counts that must be exact, against known workloads and the kernel's own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lazyobs.bpf import optional
from lazyobs.model import CENSUS_NAMES
from tests.harness import ROOT
from tests.lab.guests import GUEST, REASONS, arguments, need

pytestmark = pytest.mark.lab

ISLANDS, PAGES, CHILDREN = 211, 101, 3  # of guest/observe.py
THREADS, EACH = 401, 23
FORKS, SHARED, COPIED = 23, 211, 101  # of guest/anatomy.py
# Callers of the functions of the point "holds".
HOLDERS = {"anon_vma_fork", "dup_mmap", "free_pgtables", "unmap_region", "exit_mmap", "__split_vma"}
FUNCTION_POINTS = ("prepare", "anon_vma_fork", "rmap_walk", "rmap_one")
LAZY_POINTS = ("lazy_prepare", "promotion")


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    workloads = ROOT / "tests/workloads"
    for source in (
        workloads / "islands.c",
        workloads / "crowd.c",
        workloads / "copier.c",
        workloads / "contend.c",
        workloads / "contested.c",
        GUEST / "walks.c",
        GUEST / "promote.c",
    ):
        command = ["gcc", "-O2", "-static", "-pthread", "-o", str(folder / source.stem), str(source)]
        subprocess.run(command, check=True)
    folder.chmod(0o755)
    return folder


def observe(programs: Path, kernel: str, steps: str, timeout: int = 850) -> dict[str, Any]:
    need(kernel)
    command = [
        "env",
        f"PYTHONPATH={ROOT}",
        str(ROOT / ".venv/bin/python"),
        str(GUEST / "observe.py"),
        steps,
        "/mnt/share",
    ]
    options = ["--share", str(programs), "--fail-on-splat"]
    answer = subprocess.run(
        arguments(kernel, *command, timeout=timeout, options=options), capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


@pytest.fixture(scope="module")
def lab(programs: Path) -> dict[str, Any]:
    steps = "islands:fentry,islands:kprobe,reasons:fentry,reasons:kprobe,walks:fentry,walks:kprobe,prepares,crowd:fentry,crowd:kprobe,hashed:fentry,anatomy:fentry,anatomy:kprobe"
    return observe(programs, "lab", steps)


@pytest.mark.parametrize("tier", ["fentry", "kprobe"])
class TestLazyIslands:
    def test_every_point_is_at_its_tier(self, lab, tier):
        tiers = lab[f"islands:{tier}"]["tiers"]
        assert {tiers[name] for name in FUNCTION_POINTS + LAZY_POINTS} == {tier}
        assert tiers["slab"] == tiers["process"] == "tracepoint" and tiers["census"] == "iter"

    def test_touching_makes_lazy_vmas_and_allocates_nothing(self, lab, tier):
        counts = lab[f"islands:{tier}"]["touch"]["counts"]
        assert counts["lazy_prepares"] == ISLANDS
        assert counts["prepares"] == counts["anon_vma_allocs"] == counts["chain_allocs"] == 0

    def test_a_fork_promotes_exactly_the_lazy_vmas(self, lab, tier):
        steps = lab[f"islands:{tier}"]
        lazy = steps["touch"]["census"]["vmas_lazy"]
        fork = steps["fork"]
        assert lazy >= ISLANDS
        assert fork["counts"]["promotions"] == lazy
        assert fork["totals"]["promotions_by_reason"] == {"fork": lazy}
        assert fork["counts"]["forks"] == 1
        assert fork["counts"]["fork_chains"] == steps["touch"]["census"]["vmas_anon"]
        assert fork["census"]["vmas_lazy"] == 0

    def test_a_second_fork_promotes_nothing(self, lab, tier):
        assert lab[f"islands:{tier}"]["fork again"]["counts"]["promotions"] == 0

    def test_latencies_are_counted_once_each(self, lab, tier):
        histograms = lab[f"islands:{tier}"]["histograms"]
        forks = 2
        assert histograms["fork_seconds"]["count"] == forks
        assert histograms["promotion_seconds"]["count"] >= lab[f"islands:{tier}"]["fork"]["counts"]["promotions"]
        assert all(histograms[name]["sum"] > 0 for name in ("fork_seconds", "promotion_seconds"))

    def test_nothing_was_missed(self, lab, tier):
        health = lab[f"islands:{tier}"]["health"]
        assert health["map_full"] == 0 and health["probes_missing"] == 0


@pytest.mark.parametrize("tier", ["fentry", "kprobe"])
def test_promotions_by_reason_are_those_the_kernel_counts(lab, tier):
    found = lab[f"reasons:{tier}"]
    # The kernel has no counter of a reason that it never promotes for.
    counted = {name: count for name, count in found["probes"].items() if count or name in found["kernel"]}
    assert counted == found["kernel"]
    assert found["failed"] == 0
    for reason in REASONS:
        assert found["probes"][reason] >= 23, reason


@pytest.mark.parametrize("tier", ["fentry", "kprobe"])
class TestAnatomy:
    """With every point that is left out otherwise (guest/anatomy.py)."""

    def test_nothing_is_left_out(self, lab, tier):
        tiers = lab[f"anatomy:{tier}"]["tiers"]
        assert {tiers[name] for name in optional.COSTS} == {tier}

    def test_each_fork_has_its_page_tables(self, lab, tier):
        found = lab[f"anatomy:{tier}"]["forks"]
        assert found["forks"] == found["fork_seconds"] == found["fork_page_table_seconds"] == FORKS

    def test_the_parts_of_a_fork_are_the_whole(self, lab, tier):
        fork = lab[f"anatomy:{tier}"]["forks"]["slow"][0]
        parts = [fork[name] for name in ("anon_seconds", "page_table_seconds", "rest_seconds")]
        assert all(part > 0 for part in parts) and sum(parts) == pytest.approx(fork["seconds"], abs=1e-9)

    def test_a_child_copies_the_pages_that_it_writes_to(self, lab, tier):
        found = lab[f"anatomy:{tier}"]["copies"]
        assert found["child"]["counts"]["cow_copies"] == found["child"]["faults"] == COPIED
        assert found["child"]["totals"]["cow_copies_by_page"] == {"inherited": COPIED}
        assert found["again"]["counts"]["cow_copies"] == found["again"]["faults"] == 0

    def test_the_parent_copies_those_that_are_still_shared(self, lab, tier):
        """The others are its alone by now: a write makes them writable, which is a fault and no copy."""
        found = lab[f"anatomy:{tier}"]["copies"]["parent"]
        assert found["counts"]["cow_copies"] == SHARED - COPIED and found["faults"] == SHARED
        assert found["totals"]["cow_copies_by_page"] == {"own": SHARED - COPIED}

    def test_of_a_huge_page_single_pages_are_copied(self, lab, tier):
        found = lab[f"anatomy:{tier}"]["huge"]
        assert found["huge"] == 2048  # KiB
        assert found["counts"]["cow_copies"] == found["faults"] == COPIED
        assert found["totals"]["cow_copies_by_page"] == {"inherited": COPIED}

    def test_the_lock_is_held_once_for_each_vma(self, lab, tier):
        found = lab[f"anatomy:{tier}"]["holds"]
        assert found["fork"] == {"fork": found["clones"], "unmap": 0, "clone": 0} and found["clones"] > ISLANDS
        assert found["exit"] == {"fork": 0, "unmap": found["in_child"], "clone": 0} and found["in_child"] > ISLANDS

    def test_first_faults_and_those_that_mmap_lock_made_begin_again(self, lab, tier):
        """The kernel gives a fault up in __vmf_anon_prepare(), as a kretprobe of its own counts it."""
        found = lab[f"anatomy:{tier}"]["first faults"]
        assert found["counts"]["first_faults"] == ISLANDS <= found["timed"]
        assert found["counts"]["first_fault_retries"] == found["given_up"] > 0
        assert 0 < found["counts"]["first_fault_retried_ns"] < found["seconds"] * 1e9

    def test_a_long_wait_has_the_stacks_of_both_sides(self, lab, tier):
        """Of a holder those in the two functions of "holds", where the probe sees the end of the hold."""
        waits = lab[f"anatomy:{tier}"]["stacks"]
        assert waits and all(wait["waiter"] for wait in waits)
        both = [wait for wait in waits if wait["holder"]]
        assert both
        for wait in both:
            assert wait["path"] in ("fork", "unmap", None) and wait["pid"] != wait["holder_pid"]
            assert {name.partition("+")[0] for name in wait["holder"]} & HOLDERS, wait

    def test_each_copy_is_timed(self, lab, tier):
        found = lab[f"anatomy:{tier}"]["copies"]
        assert found["timed"] == found["copied"] >= SHARED


@pytest.mark.parametrize("step", ["crowd:fentry", "hashed:fentry"])
def test_a_crowd_in_one_function_is_counted_one_by_one(lab, step):
    """With the slots of its tasks, and with the hash alone."""
    found = lab[step]
    assert found["probes"] == found["kernel"] >= THREADS * EACH
    assert found["map_full"] == 0


def test_returns_without_a_free_kretprobe_are_missed(lab):
    """A function that is returned from has ten of them here. What a thread misses is found at its next call, so that
    of its last one is not."""
    found = lab["crowd:kprobe"]
    lacking = found["kernel"] - found["probes"]
    assert found["kernel"] >= THREADS * EACH and found["map_full"] == 0
    assert 0 <= lacking <= found["missed"] + THREADS


@pytest.fixture(scope="module")
def renamed(programs: Path) -> dict[str, Any]:
    """And, in the same boot, no profile at all."""
    return observe(programs, "lab", "renamed:fentry,renamed:tracepoint,unfitted", timeout=1200)


class TestEveryFunctionHasAnotherName:
    """Known by a profile of aliases alone."""

    def test_every_point_is_at_its_tier(self, renamed):
        tiers = renamed["renamed:fentry"]["tiers"]
        assert {tiers[name] for name in FUNCTION_POINTS + LAZY_POINTS} == {"fentry"}

    def test_promotions_are_counted_exactly(self, renamed):
        steps = renamed["renamed:fentry"]
        lazy = steps["touch"]["census"]["vmas_lazy"]
        assert steps["touch"]["counts"]["lazy_prepares"] == ISLANDS <= lazy
        assert steps["fork"]["counts"]["promotions"] == lazy
        assert steps["fork"]["totals"]["promotions_by_reason"] == {"fork": lazy}

    @pytest.mark.parametrize("tier", ["fentry", "tracepoint"])
    def test_their_chains_are_counted_exactly(self, renamed, tier):
        """A fork makes a chain for each promotion, a cloned one for each of the parent's, and one for the child's own."""
        steps = renamed[f"renamed:{tier}"]
        lazy, anonymous = (steps["touch"]["census"][name] for name in ("vmas_lazy", "vmas_anon"))
        counts = steps["fork"]["counts"]
        assert counts["fork_chains"] == anonymous
        assert counts["chain_allocs"] == lazy + 2 * anonymous
        assert counts["anon_vma_allocs"] == anonymous


def test_both_ways_to_count_prepares_agree(lab):
    assert lab["prepares"]["prepares"] == lab["prepares"]["prepares_by_site"] > ISLANDS


@pytest.mark.parametrize("tier", ["fentry", "kprobe"])
class TestWalks:
    def walked(self, lab, tier, step) -> tuple[dict[str, int], dict[str, int]]:
        totals = lab[f"walks:{tier}"][step]["totals"]
        return totals["rmap_walks_by_walker"], totals["rmap_walk_vmas_by_walker"]

    def test_pageout_unmaps_each_page_from_its_one_vma(self, lab, tier):
        assert lab[f"walks:{tier}"]["pageout"]["answer"] == str(PAGES)
        assert self.walked(lab, tier, "pageout") == ({"unmap": PAGES}, {"unmap": PAGES})

    def test_migration_walks_there_and_back(self, lab, tier):
        both = {"migrate": PAGES, "remove_migration": PAGES}
        assert self.walked(lab, tier, "move") == (both, both)

    def test_after_forks_each_walk_visits_the_children_too(self, lab, tier):
        walks, vmas = self.walked(lab, tier, "shared move")
        assert walks == {"migrate": PAGES, "remove_migration": PAGES}
        assert vmas == dict.fromkeys(walks, PAGES * (1 + CHILDREN))

    def test_one_ksm_page_is_walked_through_all_its_mappings(self, lab, tier):
        walks, vmas = self.walked(lab, tier, "ksm move")
        assert walks == {"ksm": 2}  # migrate, and its undoing
        assert vmas == {"ksm": 2 * PAGES}

    def test_a_huge_page_is_split_by_one_walk_and_put_back_in_pieces(self, lab, tier):
        walks, vmas = self.walked(lab, tier, "huge split")
        assert walks == vmas == {"migrate": 1, "remove_migration": 512}


@pytest.fixture(scope="module")
def saved(programs: Path) -> dict[str, Any]:
    return observe(programs, "lab-nomerge", "savings")["savings"]


@pytest.mark.parametrize("workload", ["islands", "python"])
def test_saved_bytes_are_what_slabinfo_shows_between_off_and_on(saved, workload):
    """Slab bytes that the same processes take more with the switch off, against saved_bytes with it on."""
    found = saved[workload]
    assert found["saved_bytes"] == pytest.approx(found["slab_bytes_off"] - found["slab_bytes_on"], rel=0.05)
    assert found["saved_bytes"] > 20_000


@pytest.mark.parametrize("position", ["on", "off"])
@pytest.mark.parametrize("workload", ["islands", "python"])
def test_summary_has_the_bytes_of_slabinfo(saved, workload, position):
    """All of the machine, in caches that are not merged: the objects on VMAs against the live ones. With laziness on
    there are few."""
    summed, live = saved[workload][f"all_{position}"]
    assert summed == pytest.approx(live, rel=0.05) and live > (100_000 if position == "off" else 1_000)


@pytest.fixture(scope="module")
def unfitted(renamed: dict[str, Any]) -> dict[str, Any]:
    return renamed["unfitted"]


class TestNoProfileFits:
    """The lab kernel without its profile: 307 lazy VMAs are not "vmas_lazy 0"."""

    UNKNOWN = (
        "prepares", "lazy_prepares", "anon_vma_allocs", "anon_vma_frees", "chain_allocs", "chain_frees", "fork_chains",
        "promotions", "promotions_failed", "violations",
    )  # fmt: skip

    def test_every_number_that_depends_on_the_design_is_null_with_the_reason(self, unfitted):
        sample, row = unfitted["sample"], unfitted["process"]
        why = unfitted["doctor"]["design"]["why_not"]
        assert sample["kernel"]["profile"] == "unknown"
        assert "(function anon_vma_lazy_init, " in why and "doctor proposes a profile" in why
        for name in self.UNKNOWN:
            assert sample["totals"][name] is row[name] is None, name
            assert name == "violations" or sample["null_reasons"][f"totals.{name}"] == why, name
        for name in CENSUS_NAMES:
            assert (row[name] is None) == (sample["census"][name] is None) == (name != "vmas"), name
            assert name == "vmas" or sample["null_reasons"][f"census.{name}"] == why
        assert row["vmas"] > 2 * 307
        assert sample["totals"]["promotions_by_reason"] is None

    def test_table_and_metrics_say_nothing_in_its_place(self, unfitted):
        line = next(line for line in unfitted["table"] if line.startswith("VMAs"))
        assert "anon -  lazy -  private -  shared -  saved -  savable -" in line
        metrics = unfitted["metrics"]
        assert 'profile="unknown"' in metrics and "lazyobs_forks_total " in metrics
        for name in (
            "lazy_prepares_total",
            "promotions_total",
            "saved_bytes",
            "savable_bytes",
            "anon_vma_allocs_total",
        ):
            assert f"\nlazyobs_{name}" not in metrics, name
        assert 'state="lazy"' not in metrics
        assert unfitted["notice"].startswith("lazyobs: profile unknown, much is null: this kernel has signs")

    def test_doctor_names_the_signs_and_proposes_a_profile(self, unfitted):
        design = unfitted["doctor"]["design"]
        signs = {(sign["kind"], sign["name"]) for sign in design["signs"]}
        assert {
            ("function", "vma_upgrade_anon_vma_lazy"), ("member", "vm_area_struct.anon_vma_lazy"),
            ("member", "mm_struct.lazy_anon_vma"), ("sysctl", "vm.anon_vma_lazy"), ("vmstat", "anon_vma_lazy_prepare"),
        } <= signs  # fmt: skip
        assert 'sysctl = "vm.anon_vma_lazy"' in design["draft"]
        assert not any(row["watched"] for row in unfitted["doctor"]["invariants"])


def doctor(kernel: str, *options: str) -> list[dict[str, Any]]:
    """What it says in one boot, once with each of these options."""
    need(kernel)
    command = f"{ROOT}/.venv/bin/lazyobs doctor -o json"
    script = " && ".join(f"{command} {option}" for option in options or [""])
    answer = subprocess.run(
        arguments(kernel, "sh", "-c", script), capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    documents = [json.loads(line) for line in answer.stdout.splitlines()]
    for document in documents:
        document["points"] = {point["point"]: point for point in document["points"]}
    return documents


class TestTiersOfOtherKernels:
    def test_without_kprobes_fentry_remains(self):
        found, capped = doctor("lab-nokprobe", "", "--tier kprobe")
        assert {found["points"][name]["tier"] for name in FUNCTION_POINTS} == {"fentry"}
        assert {capped["points"][name]["tier"] for name in FUNCTION_POINTS} == {None}
        assert "CONFIG_KPROBE_EVENTS" in capped["points"]["prepare"]["why_not_better"]["kprobe"]

    def test_without_btf_only_procfs_remains(self):
        (found,) = doctor("lab-nobtf")
        assert found["points"]["census"]["tier"] == "procfs"
        assert "CONFIG_DEBUG_INFO_BTF" in found["points"]["census"]["why_not_better"]["bpf"]

    def test_locked_down_only_procfs_remains(self):
        """Programs load, but may not read kernel memory, which each of ours does."""
        (found,) = doctor("lab-lockdown")
        assert found["kernel"]["lockdown"] == "confidentiality"
        assert found["points"]["slab"]["tier"] is None
        assert found["points"]["census"]["tier"] == "procfs"
        assert "refused" in found["points"]["slab"]["why_not_better"]["bpf"]

    def test_a_stock_kernel_with_other_names_counts_exactly(self, programs):
        steps = observe(programs, "debian-6.12", "renamed:fentry")["renamed:fentry"]
        assert {steps["tiers"][name] for name in FUNCTION_POINTS} == {"fentry"}
        assert steps["touch"]["counts"]["prepares"] == steps["touch"]["counts"]["chain_allocs"] == ISLANDS
        assert steps["fork"]["counts"]["fork_chains"] == steps["touch"]["census"]["vmas_anon"]
        assert steps["unmap"]["counts"]["anon_vma_frees"] == ISLANDS


@pytest.fixture(scope="module", params=["debian-6.1", "debian-6.12"])
def stock(programs: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    """One boot of each; ``tier``: at which compiled programs and those of the images are compared."""
    tier = {"debian-6.1": "kprobe", "debian-6.12": "fentry"}[request.param]
    steps = f"islands:fentry,islands:tracepoint,compiled:{tier},without_compiler:{tier}"
    return {"tier": tier, **observe(programs, request.param, steps, timeout=1700)}


@pytest.mark.timeout(1800)  # a dozen starts in an emulated machine
class TestStockKernels:
    @pytest.mark.parametrize("tier", ["fentry", "tracepoint"])
    def test_islands_are_counted_exactly(self, stock, tier):
        counts_islands_at(stock[f"islands:{tier}"], tier)

    def test_compiled_programs_count_the_same(self, stock):
        found = stock[f"compiled:{stock['tier']}"]
        assert found["image"] == ""
        counts_islands_at(found, stock["tier"])

    def test_each_command_works_without_a_compiler(self, stock):
        found = stock[f"without_compiler:{stock['tier']}"]
        assert not any(one["version"][:1].isdigit() for one in found["bcc"])
        assert found["probes"].startswith("from plain.img")
        assert {"top", "census", "trace", "record", "export"} == {name for name, n in found["gave"].items() if n}
        assert found["gave"]["trace"] == 3


def counts_islands_at(steps: dict[str, Any], tier: str) -> None:
    expected = None if tier == "tracepoint" else tier
    assert {steps["tiers"][name] for name in FUNCTION_POINTS} == {expected}
    assert steps["touch"]["counts"]["prepares"] == ISLANDS
    assert steps["touch"]["counts"]["anon_vma_allocs"] == ISLANDS
    assert steps["fork"]["counts"]["fork_chains"] == steps["touch"]["census"]["vmas_anon"]
    assert steps["unmap"]["counts"]["anon_vma_frees"] == ISLANDS
    assert "lazy_prepares" not in steps["touch"]["counts"]
