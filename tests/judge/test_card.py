# SPDX-License-Identifier: MIT
"""What a series changes, from two made-up images: the types and symbols of a kernel of three functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema

from lazyobs.judge import apply, build, letter, schema, series
from lazyobs.judge.card import _defined, card
from tests.judge.mails import diff, mail, tree
from tests.kernel.made_btf import Types

BEFORE = """
static bool invalid_vma(struct vm_area_struct *vma, void *arg)
{
	return !vma;
}

static inline int small(int a)
{
	return a + 1;
}

int anon_vma_clone(struct vm_area_struct *dst, struct vm_area_struct *src)
{
	return dst == src;
}
"""
AFTER = (
    BEFORE.replace("invalid_vma", "skipped_vma")
    .replace("struct vm_area_struct *src)\n{\n\treturn dst", "struct vm_area_struct *src,\n\t\t   int why)\n{\n\treturn why + dst")
    .replace("static inline int small", "static int promote(void)\n{\n\treturn 1;\n}\n\nstatic int inlined(void)\n{\n\treturn 2;\n}\n\nstatic inline int small")
)  # fmt: skip


def image(folder: Path, new: bool) -> build.Image:
    made = Types()
    number, boolean = made.integer("int"), made.integer("_Bool", 1)
    root = made.struct("rb_root_cached", 16)
    lock = made.struct("rw_semaphore", 40)
    members = [("root", made.pointer(), 0), ("rwsem", lock, 8), ("refcount", number, 48), ("rb_root", root, 56)]
    if new:
        members += [("lazy_root", root, 72), ("mm_live", boolean, 88)]
    anon_vma = made.struct("anon_vma", 96 if new else 72, members)
    made.struct("anon_vma_holder", 104 if new else 80, [("count", number, 0), ("inside", anon_vma, 8)])
    made.struct("not_touched", 8, [("count", number, 0)])
    vma = made.pointer(made.struct("vm_area_struct", 192))
    made.function("skipped_vma" if new else "invalid_vma", [("vma", vma), ("arg", made.pointer())], boolean)
    clone = [("dst", vma), ("src", vma), *([("why", number)] if new else [])]
    made.function("anon_vma_clone", clone, number)
    if new:
        made.function("promote", [], number)
    folder.mkdir()
    (folder / "btf").write_bytes(made.to_bytes())
    names = ["t skipped_vma", "t promote", "t __pfx_promote"] if new else ["t invalid_vma", "t lone.constprop.0"]
    lines = ["ffffffff81000000 T anon_vma_clone", *(f"ffffffff8100{at:04x} {name}" for at, name in enumerate(names, 1))]
    (folder / "System.map").write_text("".join(f"{line}\n" for line in lines))
    return build.Image(folder, ("its configuration does not take CONFIG_X=y",) if new else ())


def made(tmp_path: Path) -> dict[str, Any]:
    tree(tmp_path / "tree", {"mm/rmap.c": BEFORE})
    found = series.of_bytes(mail("[PATCH] x", diff("mm/rmap.c", BEFORE, AFTER)).encode(), "x")
    done = apply.apply(found, apply.Folder(tmp_path / "tree"))
    assert done.fits
    return card(found, done, image(tmp_path / "base", False), image(tmp_path / "new", True))


def test_functions_structs_and_prototypes(tmp_path: Path) -> None:
    found = made(tmp_path)
    jsonschema.validate(found, schema._card())
    functions = found["functions"]
    assert functions["new"] == [{"function": "promote", "static": True}]
    assert functions["renamed"] == [{"before": "invalid_vma", "after": "skipped_vma"}]
    assert (functions["gone"], functions["inlined_away"], functions["new_inlined"]) == ([], [], ["inlined"])
    assert functions["elsewhere"] == 1, "lone: the compiler's, of another file"
    assert [(row["struct"], row["before"], row["after"], row["own"]) for row in found["structs"]] == [
        ("anon_vma", 72, 96, True),
        ("anon_vma_holder", 80, 104, False),
    ]
    row = found["structs"][0]
    assert (row["holes_before"], row["holes_after"]) == (4, 11)
    assert [(one["field"], one["what"], one["type"], one["after"]) for one in row["fields"]] == [
        ("lazy_root", "added", "struct rb_root_cached", 72),
        ("mm_live", "added", "_Bool", 88),
    ]
    assert found["prototypes"] == [
        {
            "function": "anon_vma_clone",
            "before": "int anon_vma_clone(struct vm_area_struct *dst, struct vm_area_struct *src)",
            "after": "int anon_vma_clone(struct vm_area_struct *dst, struct vm_area_struct *src, int why)",
        }
    ]
    names = {row["name"]: row["what"] for row in found["probes"]["names"]}
    assert names == {"anon_vma_clone": "altered", "invalid_vma": "removed", "vm_area_struct": "used"}


def test_the_lines_of_the_letter(tmp_path: Path) -> None:
    assert letter.of_card(made(tmp_path))[:6] == [
        "functions new: promote (static)",
        "struct anon_vma: 72 -> 96 bytes (lazy_root added, mm_live added)",
        "structs that hold one of these: anon_vma_holder 80 -> 104",
        "functions new, and inlined: inlined",
        "renamed: invalid_vma -> skipped_vma",
        "prototype: int anon_vma_clone(struct vm_area_struct *dst, struct vm_area_struct *src) -> int "
        "anon_vma_clone(struct vm_area_struct *dst, struct vm_area_struct *src, int why)",
    ]


def test_definitions_are_told_from_calls_and_declarations() -> None:
    text = BEFORE + "int only_declared(void);\nDEFINE_X(y) {\n\tcalled(1);\n}\n#define macro(x) {\n" + "int long_one(\n\tint a,\n\tint (*f)(void))\n{\n}\n"  # fmt: skip
    assert _defined(text) == ["invalid_vma", "small", "anon_vma_clone", "DEFINE_X", "long_one"]
    hostile = "a * " * 5000 + "(" * 5000
    assert _defined(hostile) == []


def test_an_image_without_types_says_so(tmp_path: Path) -> None:
    base, new = image(tmp_path / "base", False), image(tmp_path / "new", True)
    (new.folder / "btf").write_bytes(b"\x9f\xeb damaged")
    found = card(series.Series([]), apply.Applied(), base, new)
    assert found["structs"] is None and found["why_not"].startswith("the types of an image cannot be read: ")


def test_functions_that_are_not_closed_are_given_up_soon() -> None:
    """Each was looked at over 4,000 letters, one by one: a file of 32 MiB took hours."""
    assert _defined("f(\n" * 100_000 + "int g(void)\n{\n}\n") == ["g"]
