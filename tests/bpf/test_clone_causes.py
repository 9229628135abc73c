# SPDX-License-Identifier: MIT
"""What anon_vma_clone() is called for: by the words of the kernel's enumerators, or as the profile says."""

from __future__ import annotations

import pytest

from lazyobs.bpf import clone_causes, outlook, plan
from lazyobs.bpf.plan import Plan
from lazyobs.errors import UsageError
from lazyobs.kernel import profile
from lazyobs.kernel.btf import Btf
from lazyobs.kernel.profile import Profile
from lazyobs.model import CLONE_CAUSES
from lazyobs.sources.why_not import counted_as
from tests.bpf.switches import looked_up
from tests.kernel import made_kernel
from tests.kernel.made_btf import Types

MAINLINE = {"VMA_OP_SPLIT": 0, "VMA_OP_MERGE_UNFAULTED": 1, "VMA_OP_REMAP": 2, "VMA_OP_FORK": 3}
PLAIN = Profile("plain", "")


def types(enumerators: dict[str, int]) -> Btf:
    made = Types()
    operation = made.enum("vma_operation", enumerators)
    vma = made.pointer()
    made.function("anon_vma_clone", (("dst", vma), ("src", vma), ("operation", operation)), made.integer("int"))
    return made.btf("vma_operation", "anon_vma_clone")


def causes(enumerators: dict[str, int], known: Profile = PLAIN) -> dict[int, str]:
    """{value: cause} as the probes are made to see it."""
    found = types(enumerators)
    table = clone_causes.switches(found, found.function("anon_vma_clone"), known)["CLONE_CAUSE_OF"]
    assert not table.moves
    return {value: CLONE_CAUSES[looked_up(table, value)] for value in enumerators.values()}


def test_the_words_of_mainline() -> None:
    assert causes(MAINLINE) == {0: "split", 1: "merge", 2: "mremap", 3: "fork"}


def test_a_word_that_is_not_known_is_other() -> None:
    assert causes({"VMA_OP_SPLITTING": 7, "VMA_OP_FORK": 3}) == {7: "other", 3: "fork"}


def test_a_profile_says_otherwise(tmp_path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('name = "own"\nabout = ""\n[clones]\nsplit = ["VMA_OP_REMAP", "VMA_OP_CUT"]\n')
    own = profile.load(file)
    assert causes({**MAINLINE, "VMA_OP_CUT": 4}, own) == {0: "split", 1: "merge", 2: "split", 3: "fork", 4: "split"}


@pytest.mark.parametrize("line", ['thp = ["A"]', 'fork = "A"', 'fork = ["a b"]'])
def test_a_profile_with_another_key_or_no_names_is_refused(tmp_path, line: str) -> None:
    file = tmp_path / "own.toml"
    file.write_text(f'name = "own"\nabout = ""\n[clones]\n{line}\n')
    with pytest.raises(UsageError):
        profile.load(file)


def test_without_the_argument_nothing_attaches_and_the_reason_is_said() -> None:
    found = outlook.of(made_kernel.types(), b"", "made", None, None)
    why = "anon_vma_clone() has no argument vma_operation here"
    assert found.refused["clone"] == {"fentry": why, "kprobe": why}
    assert counted_as("clones", found, found.facts.profile) == ("", f"fentry: {why}; kprobe: {why}")


def test_a_plan_keeps_what_the_profile_says(bpf: None) -> None:
    facts = plan.gather([Profile("own", "", clones={"fork": ("A", "B")})])
    made = plan.make(facts)
    assert Plan.from_bytes(made.to_bytes()).subject.profile == facts.profile


@pytest.mark.parametrize(
    ("enumerator", "cause"),
    [
        ("VMA_OP_FORK", "fork"),
        ("VMA_OP_SPLIT", "split"),
        ("VMA_OP_MERGE_UNFAULTED", "merge"),
        ("VMA_OP_REMAP", "mremap"),
        ("CLONE_FOR_MREMAP", "mremap"),
        ("VMA_OP_FORKED_KSM", "other"),
    ],
)
def test_a_cause_is_a_word_of_the_enumerator(enumerator: str, cause: str) -> None:
    assert cause in CLONE_CAUSES and clone_causes.cause(enumerator, Profile("p", "")) == cause
