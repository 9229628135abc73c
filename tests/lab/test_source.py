# SPDX-License-Identifier: MIT
"""The patch series: put on and taken off a source tree, or refused with the reason."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab import kernels, source
from lab.cache import root
from lab.errors import LabError
from tests.harness import skip

pytestmark = pytest.mark.lab

ONE = """Why.

--- a/mm/a.c
+++ b/mm/a.c
@@ -1,3 +1,3 @@
 1
-2
+two
 3
"""
TWO = """--- a/mm/a.c
+++ b/mm/a.c
@@ -2,2 +2,3 @@
 two
 3
+4
--- /dev/null
+++ b/mm/new.c
@@ -0,0 +1 @@
+new
"""
WRONG = """--- a/mm/b.c
+++ b/mm/b.c
@@ -1,1 +1,1 @@
-x
+y
@@ -40,3 +40,3 @@ here
 p
-q
+r
 s
"""


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAZYOBS_LAB_CACHE", str(tmp_path))
    folder = tmp_path / "tree" / "linux"
    (folder / "mm").mkdir(parents=True)
    (folder / "mm" / "a.c").write_text("1\n2\n3\n")
    (folder / "mm" / "b.c").write_text("x\n")
    for name in ("one", "two", "wrong"):
        (tmp_path / name).write_text({"one": ONE, "two": TWO, "wrong": WRONG}[name])
    return folder


def test_a_series_goes_on_and_off_again(tree: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    source.apply_series(tree, [one, two], "1.0")
    assert (tree / "mm/a.c").read_text() == "1\ntwo\n3\n4\n"
    assert (tree / "mm/new.c").read_text() == "new\n"
    source.apply_series(tree, [one], "1.0")
    assert (tree / "mm/a.c").read_text() == "1\ntwo\n3\n"
    assert not (tree / "mm/new.c").exists()
    source.apply_series(tree, [], "1.0")
    assert (tree / "mm/a.c").read_text() == "1\n2\n3\n"


def test_only_what_changes_is_written(tree: Path, tmp_path: Path) -> None:
    source.apply_series(tree, [tmp_path / "one"], "1.0")
    os.utime(tree / "mm/a.c", (1, 1))
    source.apply_series(tree, [tmp_path / "one"], "1.0")
    assert (tree / "mm/a.c").stat().st_mtime == 1


def test_a_patch_that_does_not_apply_names_version_and_hunk(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(LabError) as error:
        source.apply_series(tree, [tmp_path / "one", tmp_path / "wrong"], "6.12.999-1")
    assert "wrong does not apply to kernel source 6.12.999-1: mm/b.c hunk 2 (line 40)" in str(error.value)
    assert (tree / "mm/a.c").read_text() == "1\n2\n3\n"  # nothing was written


def test_the_series_applies_to_the_unpacked_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = kernels.kernel("lab")
    unpacked, originals = source.tree(row.packages[0]), root() / "tree" / "originals"
    if not originals.is_dir():
        skip("lab-source", "no kernel source is unpacked; run: make lab")
    copy = tmp_path / "tree" / "linux"
    for name in source.touched(row.patch_files()):
        kept = originals / name
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((kept if kept.exists() else unpacked / name).read_bytes())
    monkeypatch.setenv("LAZYOBS_LAB_CACHE", str(tmp_path))
    source.apply_series(copy, row.patch_files(), "of the cache")
    assert "vma_upgrade_anon_vma_lazy" in (copy / "mm/rmap.c").read_text()


def test_patches_say_why_and_carry_little_context() -> None:
    for patch in kernels.kernel("lab").patch_files():
        text = patch.read_text()
        head, diff = text.split("\ndiff --git", 1)
        message = head.split("\n\n", 1)[1].split("\n---\n")[0]
        assert len(message.split()) > 40, patch.name
        context = run = 0
        for line in diff.splitlines():
            run = run + 1 if line.startswith(" ") else 0
            context = max(context, run)
        assert context <= 4, patch.name  # two lines after a change, two before the next
