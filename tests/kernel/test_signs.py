# SPDX-License-Identifier: MIT
"""A kernel with a lazy design that no profile describes is not taken for mainline, and its profile is proposed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lazyobs.bpf import plan
from lazyobs.kernel import profile, signs
from lazyobs.kernel.facts import Facts
from lazyobs.kernel.profile_draft import draft
from lazyobs.kernel.signs import Sign
from tests.kernel import lab_kernel
from tests.kernel.made_btf import Types

LAB = next(one for one in profile.built_in() if one.name == "lab")
DETECTED = (*LAB.functions, *LAB.types, *(member.split(".")[1] for member in LAB.members))
# Every name of the lab's design, so that nothing is left of it.
ALL = (*lab_kernel.FUNCTIONS, "mm_live", "lazy_root", "anon_vma_lazy", "lazy_anon_vma")


def other(*names: str) -> dict[str, str]:
    return {name: f"next_{number}" for number, name in enumerate(names)}


@pytest.fixture
def gather(tmp_path: Path) -> Callable[..., Facts]:
    """gather(names): the facts of the lab kernel with other names for these."""

    def facts(names: dict[str, str], known: list[profile.Profile] | None = None) -> Facts:
        return plan.gather(known, **lab_kernel.root(tmp_path / "kernel", names))

    return facts


def test_the_lab_kernel_itself_fits_its_profile_and_needs_no_signs(gather: Callable[..., Facts]) -> None:
    found = gather({})
    assert (found.profile.name, found.profile.unknown_design, found.signs) == ("lab", "", ())


@pytest.mark.parametrize("name", DETECTED)
def test_with_one_name_changed_it_is_an_unknown_design(gather: Callable[..., Facts], name: str) -> None:
    found = gather(other(name))
    assert found.profile.name == "unknown" and not found.profile.has_lazy
    assert {sign.kind for sign in found.signs} == {"function", "member"}
    assert name not in {sign.name.split(".")[-1] for sign in found.signs}
    assert "that profile mainline does not describe (function " in found.profile.unknown_design
    assert found.profile.unknown_design.isprintable()


@pytest.mark.parametrize("name", [name for name in ALL if name != "mm_live"])
def test_one_sign_is_enough(gather: Callable[..., Facts], name: str) -> None:
    """mm_live alone is a name that anything could have."""
    found = gather(other(*(one for one in ALL if one != name)))
    assert [sign.name.split(".")[-1] for sign in found.signs] == [name]
    assert found.profile.name == "unknown"


@pytest.mark.parametrize(
    ("usual", "kind", "name"),
    [
        ("vma_operation", "type", "anon_vma_lazy_reason"),
        ("VMA_OP_FORK", "enumerator", "ANON_VMA_LAZY_FORK"),
    ],
)
def test_types_and_enumerators_are_signs_too(gather: Callable[..., Facts], usual: str, kind: str, name: str) -> None:
    found = gather({**other(*ALL), usual: name})
    assert (found.profile.name, found.signs) == ("unknown", (Sign(kind, name),))


def test_without_any_it_is_mainline(gather: Callable[..., Facts]) -> None:
    found = gather(other(*ALL))
    assert (found.profile.name, found.signs) == ("mainline", ())


def test_this_kernel_has_none() -> None:
    """No released kernel has."""
    assert plan.gather().signs == ()


@pytest.mark.parametrize(
    ("file", "sign"),
    [
        ("sys/vm/anon_vma_lazy", Sign("sysctl", "vm.anon_vma_lazy")),
        ("vmstat", Sign("vmstat", "anon_vma_lazy_prepare")),
    ],
)
def test_proc_has_signs_too(tmp_path: Path, file: str, sign: Sign) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text("anon_vma_lazy_prepare 211\nnr_free_pages 7\n")
    assert signs.find(None, None, str(tmp_path)) == (sign,)


def test_an_anon_vma_that_is_no_pointer_is_a_sign() -> None:
    def found(word: bool) -> tuple[Sign, ...]:
        made = Types()
        kind = made.integer("unsigned long", 8) if word else made.pointer(made.struct("anon_vma", 104))
        made.struct("vm_area_struct", 160, [("anon_vma", kind, 8)])
        return signs.find(made.btf("vm_area_struct", "anon_vma"), None, "/nonexistent")

    assert found(word=True) == (Sign("changed member", "vm_area_struct.anon_vma"),)
    assert found(word=False) == ()


def test_a_profile_that_describes_the_design_or_denies_it_is_believed(
    gather: Callable[..., Facts], tmp_path: Path
) -> None:
    file = tmp_path / "mine.toml"
    for text, name in (
        ('[vma]\nlazy = "vma_flag"\nlazy_member = "anon_vma_lazy"', "mine"),
        ('[vma]\nlazy = "none"', "mine"),
        ("", "unknown"),
    ):
        file.write_text(f'name = "mine"\nabout = ""\n{text}\n')
        known = [profile.load(file)]
        roots = lab_kernel.root(tmp_path / name / str(len(text)), other("mm_live"))
        assert plan.gather(known, **roots).profile.name == name


def test_what_the_design_decides_is_null_in_the_plan(gather: Callable[..., Facts]) -> None:
    """This machine's own types with a function of the design: the plan attaches, and says what is null."""
    found = plan.gather()
    design = profile.Profile("unknown", "", unknown_design="because")
    made = plan.make(Facts(found.release, design, found.btf, "", found.kallsyms, ""))
    for number in (
        "anon_vma_allocs",
        "chain_frees",
        "fork_chains",
        "prepares",
        "promotions",
        "vmas_lazy",
        "saved_bytes",
    ):
        assert made.unknown[number] == "because", number
    assert {"vmas", "forks", "rmap_walks"}.isdisjoint(made.unknown)
    assert set(made.unjudged.values()) == {"because"} and "walk_complete" in made.unjudged
    assert set(made.dropped["census_vmas"].values()) == set(made.dropped["promotion"].values()) == {"because"}
    assert made.dropped["census"] == {}


class TestDraft:
    @pytest.fixture
    def text(self, gather: Callable[..., Facts], tmp_path: Path) -> str:
        found = gather(other("mm_live"))
        return draft(found, profile.built_in(), str(tmp_path / "kernel/sys"))

    def test_it_is_a_profile_that_makes_no_claim(self, text: str, tmp_path: Path) -> None:
        (tmp_path / "draft.toml").write_text(text)
        found = profile.load(tmp_path / "draft.toml")
        assert not found.has_lazy and not found.says_none
        assert found.stated[profile.LAZY_PREPARE] == (lab_kernel.FUNCTIONS[0],)
        assert found.stated[profile.PROMOTION] == (lab_kernel.FUNCTIONS[1],)
        assert found.enums == ("vma_operation",)
        assert set(found.functions) == set(lab_kernel.FUNCTIONS)

    def test_it_says_what_to_decide_and_what_shipped_profiles_miss(self, text: str) -> None:
        assert "# not lab: the kernel has no anon_vma.mm_live\n" in text
        assert '# lazy = "vma_flag"\n# lazy_member = "anon_vma_lazy"  one byte, as it must be\n' in text
        assert '# pool_member = "lazy_anon_vma"' in text
        assert "# made = ...  to decide" in text
        assert '# counted = ["exit_anon_vma_lazy", "mm_lazy_anon_vma"]\n' in text

    def test_decided_it_is_the_lab_profile(self, text: str, gather: Callable[..., Facts], tmp_path: Path) -> None:
        for line in ('lazy = "vma_flag"', 'lazy_member = "anon_vma_lazy"', 'pool_member = "lazy_anon_vma"'):
            text = text.replace(f"# {line}", f"{line} #")
        (tmp_path / "mine.toml").write_text(text)
        known = [profile.load(tmp_path / "mine.toml")]
        found = plan.gather(known, **lab_kernel.root(tmp_path / "again", other("mm_live"))).profile
        assert (found.lazy_test, found.lazy_member, found.pool_member) == ("vma_flag", "anon_vma_lazy", "lazy_anon_vma")
        assert found.has_lazy and not found.unknown_design

    def test_there_is_none_without_signs(self) -> None:
        assert draft(plan.gather(), profile.built_in()) == ""
