# SPDX-License-Identifier: MIT
"""Profiles: files that do not fit are refused by name, and a design's tags come from the kernel's own types."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from lazyobs.bpf import lazy_design, plan
from lazyobs.errors import UsageError
from lazyobs.kernel import facts, profile
from lazyobs.kernel.btf import Btf
from lazyobs.kernel.kallsyms import Kallsyms
from tests.harness import skip

V1 = next(one for one in profile.built_in() if one.name == "lazy-v1")
FUNCTIONS = "0000000000001000 T vma_prepare_anon_vma_lazy\n0000000000002000 T vma_upgrade_anon_vma_lazy\n"
# The shape of the public series: a typedef, a tagged word in the VMA, and the tags as enumerators.
TAGGED = """
typedef unsigned long anon_vma_tree_t;
enum some_name { ANON_VMA_TREE_REGULAR, ANON_VMA_TREE_LAZY, ANON_VMA_TREE_PARENT } tags;
struct vm_area_struct { unsigned long vm_start; anon_vma_tree_t anon_vma; } vma;
"""


@pytest.fixture
def types(tmp_path: Path):
    """A function that compiles C to the type data a kernel with those types would have."""
    if not shutil.which("pahole") or not shutil.which("objcopy"):
        skip("lab", "pahole is not installed (make lab installs it)")

    def compile_types(text: str) -> Btf:
        source, compiled, raw = tmp_path / "t.c", tmp_path / "t.o", tmp_path / "t.btf"
        source.write_text(text)
        subprocess.run(["gcc", "-g", "-c", "-o", compiled, source], check=True)
        subprocess.run(["pahole", "-J", compiled], check=True)
        subprocess.run(["objcopy", "--dump-section", f".BTF={raw}", compiled], check=True)
        return Btf(raw.read_bytes(), ["vm_area_struct", *V1.types])

    return compile_types


@pytest.mark.parametrize("text", ["detect = 3", "[detect]\nfunctions = 3", "vma = []", "aliases = 'a'"])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine").write_text(f'name = "a"\nabout = "b"\n{text}\n')
    with pytest.raises(UsageError, match="does not fit the format"):
        profile.load(tmp_path / "mine")


@pytest.fixture
def symbols(tmp_path: Path) -> Kallsyms:
    path = tmp_path / "kallsyms"
    path.write_text(FUNCTIONS)
    return Kallsyms.read(set(V1.functions), str(path))


def test_the_public_series_is_found_by_its_types(types, symbols) -> None:
    tagged = types(TAGGED)
    assert facts.fits(V1, tagged, symbols)
    assert lazy_design.tags(V1, tagged) == lazy_design.Tags(mask=3, lazy=1, shared=2)
    assert lazy_design.why_unknown(V1, tagged) == ""
    text = lazy_design.c_design(V1, tagged, None, None)
    assert "#define ANON_VMA_TAG_MASK 0x3ULL" in text
    assert "#define ANON_VMA_TAG_SHARED 0x2ULL" in text


def test_other_values_of_the_tags_are_taken_as_they_are(types) -> None:
    tagged = types(TAGGED.replace("REGULAR, ANON", "REGULAR, ANON_VMA_TREE_SPARE, ANON"))
    assert lazy_design.tags(V1, tagged) == lazy_design.Tags(mask=3, lazy=2, shared=3)


def test_without_the_typedef_it_is_another_design(types, symbols) -> None:
    assert not facts.fits(V1, types("struct vm_area_struct { void *anon_vma; } vma;"), symbols)
    assert not facts.fits(V1, None, symbols)


def test_tags_that_cannot_be_known_are_not_guessed(types) -> None:
    untold = types(TAGGED.replace("ANON_VMA_TREE_", "OTHER_"))
    assert lazy_design.tags(V1, untold) is None
    assert "no enumerator ANON_VMA_TREE_..LAZY" in lazy_design.why_unknown(V1, untold)


def test_points_that_ask_for_lazy_vmas_say_so_then(bpf) -> None:
    """This kernel's own facts, with a design whose tags its types do not have."""
    unknown = profile.Profile("made-up", "", lazy_test="tag", tag_prefix="NO_SUCH_TAG_")
    made = plan.make(plan.gather([unknown]))
    for name in ("census", "census_vmas", "lazy_prepare", "promotion"):
        assert all("no enumerator NO_SUCH_TAG_..LAZY" in why for why in made.dropped[name].values()), name
        assert next(point for point in made.points if point["name"] == name)["candidates"] == []
    assert next(point for point in made.points if point["name"] == "slab")["candidates"]


@pytest.mark.parametrize("count", [23, 211])
def test_tags_of_a_profile_file_are_what_the_census_goes_by(live, islands, tmp_path: Path, count: int) -> None:
    """A bit that this kernel's anon_vma pointers have or have not, by chance, stands for the tag."""
    file = tmp_path / "tagged.toml"
    file.write_text('name = "tagged"\nabout = ""\n[vma]\nlazy = "tag"\ntag_mask = 8\ntag_lazy = 8\n')
    program = islands(count)
    program.tell("touch")
    source = live(profile_file=file)
    rows = [row for row in source.vmas(program.pid) if row.state != "plain"]
    assert len(rows) >= count
    assert {row.state == "lazy" for row in rows} == {True, False}
    assert all((row.state == "lazy") == bool(row.anon_vma & 8) for row in rows)


@pytest.mark.parametrize(
    "vma, why",
    [
        ('lazy = "tag"', "tag_prefix or vma.tag_mask"),
        ('lazy = "none"\ntag_mask = 3', "tag_prefix or vma.tag_mask"),
        ('lazy = "vma_flag"', "lazy_member"),
        ('lazy = "perhaps"', "not one of"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, vma: str, why: str) -> None:
    file = tmp_path / "p.toml"
    file.write_text(f'name = "p"\nabout = ""\n[vma]\n{vma}\n')
    with pytest.raises(UsageError, match=why):
        profile.load(file)
