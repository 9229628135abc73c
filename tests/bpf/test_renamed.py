# SPDX-License-Identifier: MIT
"""A kernel in which every function has another name: by aliases it is probed and counted like any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from lazyobs.bpf import plan, sites
from lazyobs.bpf.plan import Plan
from lazyobs.bpf.session import Loader, interpreters
from lazyobs.errors import NotSupported
from lazyobs.kernel import profile
from lazyobs.kernel.facts import Facts
from lazyobs.kernel.slab import Slabinfo
from lazyobs.sources.live import LiveSource
from tests.harness import process_of
from tests.kernel import renamed

HEAD = 'name = "renamed"\nabout = ""\n'
LAZY = HEAD + '[vma]\nlazy = "tag"\ntag_mask = 8\ntag_lazy = 8\n'
OBJECTS = ("anon_vma_allocs", "anon_vma_frees", "chain_allocs", "chain_frees")
NEEDED = [site for site in sites.SITES if site.functions and not site.optional]
COUNTED = (*OBJECTS, "prepares", "forks", "fork_chains")


@pytest.fixture(scope="module")
def roots(bpf_state: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {} if bpf_state else renamed.root(tmp_path_factory.mktemp("renamed"))


@pytest.fixture
def gather(bpf: None, roots: dict[str, str], tmp_path: Path):
    """A function that gathers the facts of the renamed kernel with a profile of this text."""

    def facts(text: str, **others: str) -> Facts:
        file = tmp_path / "renamed.toml"
        file.write_text(text)
        return plan.gather([profile.load(file)], **(others or roots))

    return facts


@pytest.fixture
def live_renamed(gather):
    """A function that opens a source of it at the tracepoint tier."""
    opened = []

    def open_source(text: str, **others: str) -> LiveSource:
        made = plan.make(gather(text, **others), "tracepoint")
        opened.append(LiveSource(made.subject, Loader(interpreters()[0]).load(made), Slabinfo()))
        return opened[-1]

    yield open_source
    for source in opened:
        source.close()


def with_old_names(points: list[dict]) -> list[dict]:
    for point in points:
        for candidate in point["candidates"]:
            for attach in candidate["attach"]:
                attach["target"] = attach["target"].removeprefix(renamed.PREFIX)
    return points


def test_the_plan_is_that_of_the_old_names(gather):
    ours = plan.make(plan.gather([profile.Profile("renamed", "")]))
    theirs = plan.make(gather(HEAD + renamed.aliases()))
    targets = {
        attach["target"]
        for point in theirs.points
        for candidate in point["candidates"]
        for attach in candidate["attach"]
    }
    assert {f"{renamed.PREFIX}__anon_vma_prepare", f"{renamed.PREFIX}try_to_migrate_one"} < targets
    assert with_old_names(theirs.points) == ours.points
    for name in (
        "source",
        "values",
        "switches",
        "dropped",
        "unjudged",
        "unknown",
        "knows_reason",
        "trial_function",
        "maps",
    ):
        assert getattr(theirs, name) == getattr(ours, name), name
    assert theirs.unknown == {} and len(theirs.switches["LOCK_PATH_OF"].rows) > 23
    assert Plan.from_bytes(theirs.to_bytes()) == theirs


def test_without_aliases_there_is_nothing_to_count(gather):
    """A symbol table with none of the names is more likely a stub than a kernel."""
    with pytest.raises(NotSupported, match="has none of the functions that handle anon_vmas"):
        plan.make(gather(HEAD))


def test_with_the_alias_of_one_function_the_others_are_named(gather):
    (prepare,) = (line for line in renamed.aliases().splitlines() if line.startswith("__anon_vma_prepare "))
    made = plan.make(gather(f"{HEAD}[aliases]\n{prepare}\n"))
    missing = made.dropped["slab"]["tracepoint"].removeprefix("not in kallsyms: ")
    assert missing == ", ".join(" or ".join(site.functions) for site in NEEDED if site.bit != "SITE_ANON_VMA_PREPARE")


def test_a_site_too_far_from_the_others_is_an_error_of_one_line(gather, tmp_path):
    near = renamed.kallsyms(Path("/proc/kallsyms").read_bytes())
    roots = renamed.root(tmp_path / "far", b"0000000000001000 T far\n0000000000001100 T end\n" + near)
    facts = gather(f"{HEAD}[sites]\ncounted = ['far']\n" + renamed.aliases(), **roots)
    with pytest.raises(NotSupported, match="the bound is 0x80000000; correct what profile renamed names"):
        plan.make(facts)


@pytest.mark.parametrize("site", NEEDED, ids=lambda site: site.bit)
def test_one_alias_that_is_not_there_is_named(gather, site):
    text = HEAD + renamed.aliases()
    for name in site.functions:
        text = text.replace(f'"{renamed.PREFIX}{name}"', f'"no_such_{name}"')
    why = " or ".join(f"no_such_{name} or {name}" for name in site.functions)
    assert plan.make(gather(text)).dropped["slab"] == {"tracepoint": f"not in kallsyms: {why}"}


@pytest.mark.parametrize("count", [101, 211])
def test_islands_are_counted_exactly(live_renamed, islands, count):
    source = live_renamed(HEAD + renamed.aliases())
    assert source.session.tiers["slab"] == "tracepoint"
    program = islands(count)
    assert gained(source, program, "touch") == {
        "anon_vma_allocs": count, "anon_vma_frees": 0, "chain_allocs": count, "chain_frees": 0,
        "prepares": count, "forks": 0, "fork_chains": 0,
    }  # fmt: skip
    anonymous = process_of(source.read(), program.pid).census["vmas_anon"]
    assert gained(source, program, "fork") == {
        "anon_vma_allocs": anonymous, "anon_vma_frees": 0, "chain_allocs": 2 * anonymous, "chain_frees": 0,
        "prepares": 0, "forks": 1, "fork_chains": anonymous,
    }  # fmt: skip
    program.tell("reap")
    freed = gained(source, program, "unmap")
    assert freed["anon_vma_frees"] == freed["chain_frees"] == count


def gained(source: LiveSource, program, command: str) -> dict[str, int]:
    before = process_of(source.read(), program.pid).counts
    program.tell(command)
    after = process_of(source.read(), program.pid).counts
    return {name: after[name] - before[name] for name in COUNTED}


@pytest.fixture
def fork_promotes(bpf: None, tmp_path: Path) -> dict[str, str]:
    """The renamed kernel, with anon_vma_fork() under the name of a promotion, and a function that allocates nothing
    under its name: what a fork makes for the child is made by "promotions" then."""
    text = renamed.kallsyms(Path("/proc/kallsyms").read_bytes())
    for name, other in ((b"anon_vma_fork", b"promote"), (b"panic", b"anon_vma_fork")):
        assert text.count(b" T v9_" + name + b"\n") == 1
        text = text.replace(b" T v9_" + name + b"\n", b" T v9_" + other + b"\n")
    return renamed.root(tmp_path, text)


@pytest.mark.parametrize("stated", ['[promotion]\nfunction = "promote"\n', '[sites]\npromotion = ["promote"]\n'])
def test_what_a_promotion_of_another_name_makes_is_counted(live_renamed, islands, fork_promotes, stated):
    source = live_renamed(LAZY + stated + renamed.aliases(["promote"]), **fork_promotes)
    program = islands(101)
    program.tell("touch")
    anonymous = process_of(source.read(), program.pid).census["vmas_anon"]
    change = gained(source, program, "fork")
    assert (change["anon_vma_allocs"], change["chain_allocs"]) == (anonymous, 2 * anonymous)
    assert change["fork_chains"] == anonymous >= 101


def test_a_promotion_that_is_not_there_makes_null_not_less(live_renamed, islands, fork_promotes):
    text = LAZY + '[promotion]\nfunction = "promote"\n' + renamed.aliases(["promote"]).replace("v9_promote", "gone")
    source = live_renamed(text, **fork_promotes)
    why = "not in kallsyms: gone or promote (promotion.function of profile renamed)"
    is_null(source, islands(101), why)


def test_a_lazy_design_without_a_stated_promotion_has_null_where_it_matters(live_renamed, islands):
    source = live_renamed(LAZY + renamed.aliases())
    is_null(source, islands(101), "profile renamed does not say which function promotes (promotion.function)")


def is_null(source: LiveSource, program, why: str) -> None:
    before = process_of(source.read(), program.pid).counts
    program.tell("touch")
    sample = source.read()
    counts = process_of(sample, program.pid).counts
    for name in OBJECTS:
        assert counts[name] is sample.totals[name] is None
        assert sample.null_reasons[f"totals.{name}"] == why
    assert sample.totals["promotions"] is sample.totals["lazy_prepares"] is None
    assert counts["prepares"] - before["prepares"] == 101
    assert sample.health["ledger_residual"] is None and source.why_not("account") == why
    assert sample.null_reasons["totals.violations_by_invariant.ledger"] == why


@pytest.mark.parametrize(
    ("table", "numbers"),
    [
        ("[lazy_prepare]\nfunction = 'gone'", OBJECTS),
        ("[sites]\ncounted = ['gone']", OBJECTS),
        ("[sites]\nclone = ['gone']", (*OBJECTS, "fork_chains")),
        ("[sites]\nprepare = ['gone']", (*OBJECTS, "prepares", "event.prepare")),
        ("[sites]\npromotion = ['__put_anon_vma', 'gone']", (*OBJECTS, "promotions", "event.promotion")),
    ],
)
def test_a_stated_site_that_is_not_there_is_named_for_each_number(gather, table, numbers):
    key = table.split("\n")[0].strip("[]") + "." + table.split("\n")[1].split(" ")[0]
    found = plan.make(gather(f"{HEAD}{table}\n" + renamed.aliases())).unknown
    assert set(numbers) <= set(found)
    assert set(found.values()) == {f"not in kallsyms: gone ({key} of profile renamed)"}


def test_each_site_that_is_not_there_is_named(gather):
    found = plan.make(gather(f"{LAZY}[sites]\ncounted = ['gone', 'lost']\n" + renamed.aliases())).unknown
    assert found == dict.fromkeys(
        OBJECTS,
        "not in kallsyms: gone (sites.counted of profile renamed); "
        "not in kallsyms: lost (sites.counted of profile renamed); "
        "profile renamed does not say which function promotes (promotion.function)",
    )
