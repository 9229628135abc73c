# SPDX-License-Identifier: MIT
"""Profiles: files that do not fit are refused by name, and a design's tags come from the kernel's own types."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lazyobs.bpf import lazy_design, plan
from lazyobs.errors import NotSupported, UsageError
from lazyobs.kernel import facts, profile
from lazyobs.kernel.btf import Btf
from lazyobs.kernel.kallsyms import Kallsyms
from tests.harness import ROOT, skip

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
        return Btf(raw.read_bytes(), ["vm_area_struct", "mm_struct", *V1.types])

    return compile_types


TAG = '[vma]\nlazy = "tag"\n'


def loaded(tmp_path: Path, text: str) -> profile.Profile:
    (tmp_path / "mine").write_text(f'name = "a"\nabout = "b"\n{text}\n')
    return profile.load(tmp_path / "mine")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("detect = 3", "detect is not a table"),
        ("[detect]\nfunctions = 3", "detect.functions: 3 is not a list of names"),
        ('[detect]\nfunctions = "f"', "detect.functions: 'f' is not a list of names"),
        ("vma = []", "vma is not a table"),
        ("aliases = 'a'", "aliases is not a table"),
        ("[aliases]\nf = 'g'", "'g' is not a list of names"),
        ("[aliases]\nf = [['g']]", "is not plain text"),
        ('[aliases]\n"f g" = []', "'f g' is not a name of the kernel"),
        ("[surprise]", "unknown table 'surprise'"),
        ("[sites]\nclones = []", "unknown key 'clones' in sites"),
        ('[detect]\nmembers = ["noDot"]', "detect.members: 'noDot' is not of the form"),
        ('[detect]\nmembers = ["a..b"]', "'a..b' is not a member of a struct"),
        ('[detect]\nfunctions = ["f\\u009b31m"]', "is not plain text"),
        ('[vma]\nlazy = "vma_flag"\nlazy_member = "x; }"', "'x; }' is not a member of a struct"),
        (f"{TAG}tag_mask = inf", "vma.tag_mask: not a whole number from 0 to 18446744073709551615"),
        (f"{TAG}tag_mask = nan", "vma.tag_mask: not a whole number"),
        (f"{TAG}tag_mask = 1.0", "vma.tag_mask: not a whole number"),
        (f"{TAG}tag_mask = true", "vma.tag_mask: not a whole number"),
        (f"{TAG}tag_mask = -1", "vma.tag_mask: not a whole number"),
        (f"{TAG}tag_mask = 0x1{'0' * 5000}", "vma.tag_mask: not a whole number"),
        (f"{TAG}tag_mask = 3\ntag_lazy = 4", "vma.tag_lazy has bits that vma.tag_mask has not"),
        ("[lazy_prepare]\nmade = 2147483648", "lazy_prepare.made: not a whole number"),
        ("[lazy_prepare]\nfunction = ['f']", "lazy_prepare.function: "),
        (f"[promotion]\nfunction = '{'f' * 256}'", "is not a name of the kernel"),
    ],
)
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(UsageError, match="does not fit the format") as error:
        loaded(tmp_path, text)
    assert why in str(error.value) and str(error.value).isprintable()


def test_a_number_that_has_no_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds a number of thousands of digits"):
        loaded(tmp_path, f"{TAG}tag_mask = {'9' * 5000}")


@pytest.mark.parametrize(
    ("head", "why"),
    [
        ('name = "x\\u009b31m"\nabout = ""', "is not plain text"),
        ('name = "x\\u202e"\nabout = ""', "is not plain text"),
        ('name = "x"\nabout = "\\u001b]0;"', "is not plain text"),
        (f'name = "{"x" * 65}"\nabout = ""', "name has more than 64 letters"),
        ('name = "x"', "no 'about'"),
        ("name = 3\nabout = ''", "3 is not plain text"),
    ],
)
def test_names_that_are_shown_are_short_and_printable(tmp_path: Path, head: str, why: str) -> None:
    (tmp_path / "mine").write_text(head)
    with pytest.raises(UsageError, match=why) as error:
        profile.load(tmp_path / "mine")
    assert str(error.value).isprintable()


SYSCTLS = ("/etc/shadow", "vm/anon_vma_lazy", "..", "vm..x", "vm.../../etc", ".vm", "vm.", "vm", "a b.c", "vm.x\\u0000")


@pytest.mark.parametrize("name", SYSCTLS)
def test_a_switch_is_a_sysctl_by_its_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"switch\.sysctl"):
        loaded(tmp_path, f'[switch]\nsysctl = "{name}"')


def test_a_switch_is_read_below_proc_sys_and_never_waited_for(tmp_path: Path) -> None:
    design = loaded(tmp_path, '[switch]\nsysctl = "vm.anon_vma_lazy"')
    folder = tmp_path / "sys/vm"
    folder.mkdir(parents=True)
    switch = folder / "anon_vma_lazy"
    assert facts.lazy_switch(design, str(tmp_path)) is None
    for content, position in (("0\n", False), ("1\n", True)):
        switch.write_text(content)
        assert facts.lazy_switch(design, str(tmp_path)) is position
    switch.unlink()
    os.mkfifo(switch)
    assert facts.lazy_switch(design, str(tmp_path)) is None


def test_a_lazy_design_without_a_switch_is_always_on(tmp_path: Path) -> None:
    """But not where /proc/sys is hidden: then nobody knows."""
    folder = Path(profile.__file__).parent / "profiles"
    design = profile.load(folder / "lab.toml")
    assert design.has_lazy and design.sysctl
    assert facts.lazy_switch(design, str(tmp_path)) is None
    (tmp_path / "sys/vm").mkdir(parents=True)
    assert facts.lazy_switch(design, str(tmp_path)) is True
    assert facts.lazy_switch(replace(design, sysctl=""), str(tmp_path)) is True
    assert facts.lazy_switch(profile.load(folder / "mainline.toml"), str(tmp_path)) is None


def test_the_number_of_names_is_bounded(tmp_path: Path) -> None:
    names = [f"f{number}" for number in range(profile.MOST_NAMES - 1)]
    assert loaded(tmp_path, f"[aliases]\nf = {names}").aliases["f"][-1] == names[-1]
    with pytest.raises(UsageError, match=f"more than {profile.MOST_NAMES} names"):
        loaded(tmp_path, f"[aliases]\nf = {[*names, 'one_more']}")
    for table in ("[detect]\nfunctions", "[detect]\ntypes", "[promotion]\nreasons", "[sites]\nclone"):
        with pytest.raises(UsageError, match="more than"):
            loaded(tmp_path, f"{table} = {[f'f{number}' for number in range(60_000)]}")
    with pytest.raises(UsageError, match="more than"):
        loaded(tmp_path, "[aliases]\n" + "".join(f"f{number} = []\n" for number in range(60_000)))


def test_shipped_designs_state_their_functions() -> None:
    shipped = {one.name: one for one in profile.built_in()}
    for design in shipped.values():
        assert design.has_lazy == bool(design.stated.get(profile.PROMOTION)) == bool(design.stated)
    assert shipped["lab"].stated == {
        profile.LAZY_PREPARE: ("vma_prepare_anon_vma_lazy",),
        profile.PROMOTION: ("vma_upgrade_anon_vma_lazy",),
        profile.SITES_COUNTED: ("mm_lazy_anon_vma",),
    }


LAB_BEFORE = """
[detect]
functions = ["vma_prepare_anon_vma_lazy"]
[vma]
lazy = "vma_flag"
lazy_member = "anon_vma_lazy"
pool_member = "lazy_anon_vma"
[aliases]
vma_upgrade_anon_vma_lazy = ["vma_promote"]
"""


def test_a_file_from_before_functions_were_stated_means_what_it_meant(tmp_path: Path) -> None:
    before = loaded(tmp_path, LAB_BEFORE)
    assert before.stated == next(one for one in profile.built_in() if one.name == "lab").stated
    assert before.names(profile.PROMOTION) == ("vma_promote", "vma_upgrade_anon_vma_lazy")
    now = loaded(tmp_path, LAB_BEFORE + '[sites]\ncounted = []\n[promotion]\nfunction = "mine"')
    assert now.stated[profile.SITES_COUNTED] == () and now.stated[profile.PROMOTION] == ("mine",)


def test_the_example_in_the_documentation_is_a_profile(tmp_path: Path) -> None:
    page = (ROOT / "docs/profiles.md").read_text()
    for number, example in enumerate(re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)):
        (tmp_path / str(number)).write_text(example)
        assert profile.load(tmp_path / str(number)).has_lazy
    assert number >= 0
    for table, keys in profile._FORMAT.items():
        for key in keys:
            assert f"`{table}.{key}`" in page, key


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
    values = lazy_design.values(V1, tagged, None)
    assert (values["LAZY_BY_TAG"], values["ANON_VMA_TAG_MASK"], values["ANON_VMA_TAG_SHARED"]) == (1, 3, 2)


def test_other_values_of_the_tags_are_taken_as_they_are(types) -> None:
    tagged = types(TAGGED.replace("REGULAR, ANON", "REGULAR, ANON_VMA_TREE_SPARE, ANON"))
    assert lazy_design.tags(V1, tagged) == lazy_design.Tags(mask=3, lazy=2, shared=3)


def test_without_the_typedef_it_is_another_design(types, symbols) -> None:
    assert not facts.fits(V1, types("struct vm_area_struct { void *anon_vma; } vma;"), symbols)
    assert not facts.fits(V1, None, symbols)


def test_a_profile_that_does_not_fit_says_what_the_kernel_lacks(tmp_path: Path) -> None:
    (tmp_path / "kallsyms").write_text("0000000000001000 T __anon_vma_prepare\n")
    names = ("__anon_vma_prepare", "one", "two", "three", "four", "five")
    with pytest.raises(NotSupported, match=r"the kernel has no one, two, three and 2 more, which \[detect\] demands"):
        plan.gather([replace(profile.built_in()[-1], functions=names)], str(tmp_path))
    (tmp_path / "kallsyms").write_text("")
    with pytest.raises(NotSupported, match=r"what it demands cannot be looked up: .*/kallsyms has none of"):
        plan.gather([replace(profile.built_in()[-1], functions=names)], str(tmp_path))


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


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"lazy_member": "no_such_member"}, "BTF has no member vm_area_struct.no_such_member"),
        ({"lazy_member": "vm_start"}, "vm_area_struct.vm_start has 64 bits, not 8"),
        ({"lazy_member": "vm_start", "pool_member": "no_such_member"}, "vm_area_struct.vm_start has 64 bits, not 8"),
    ],
)
def test_points_that_ask_for_a_member_that_is_not_there_say_so(bpf, members: dict[str, Any], why: str) -> None:
    design = profile.Profile("made-up", "", lazy_test="vma_flag", **members)
    made = plan.make(plan.gather([design]))
    for name in ("census", "census_vmas", "lazy_prepare", "promotion"):
        assert set(made.dropped[name].values()) == {why}, name
    for name in ("HAVE_vm_area_struct_lazy_mark", "HAVE_mm_struct_pool", "HAVE_anon_vma_pool_live"):
        assert made.values[name] == 0


FLAGS = """
struct vm_area_struct { unsigned long vm_start; _Bool lazy; _Bool bit : 1; } vma;
struct mm_struct { void *pool; int count; } mm;
"""


def test_members_are_read_in_their_own_size(types) -> None:
    found = types(FLAGS)

    def why(lazy: str, pool: str) -> str:
        design = profile.Profile("p", "", lazy_test="vma_flag", lazy_member=lazy, pool_member=pool)
        return lazy_design.why_unknown(design, found)

    assert why("lazy", "pool") == why("lazy", "") == ""
    assert why("bit", "pool") == "vm_area_struct.bit has 1 bits, not 8"
    assert why("lazy", "count") == "mm_struct.count has 32 bits, not 64"
    assert why("lazy", "gone") == "BTF has no member mm_struct.gone"


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
