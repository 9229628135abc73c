# SPDX-License-Identifier: MIT
"""The patch series: put on and taken off a source tree, or refused with the reason."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lab import kernels, source
from lab.cache import LAB
from lab.errors import LabError
from lab.packages import unpacking
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
    unpacked, originals = source.tree(row.packages[0]), source.originals(row.packages[0])
    if not originals.is_dir():
        skip("lab-source", "its source is not unpacked; run: make lab")
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


def test_the_series_to_be_posted_is_small() -> None:
    """At most 300 added lines outside tests, in at most 8 files, and no patch of the lab among them."""
    patches = sorted((LAB / "patches").glob("v2-*.patch"))
    assert len(patches) == 2
    added: dict[str, int] = {}
    for patch in patches:
        name = ""
        for line in patch.read_text().splitlines():
            if line.startswith("+++ b/"):
                name = line[len("+++ b/") :]
            elif line.startswith("+") and not name.startswith("tools/testing/"):
                added[name] = added.get(name, 0) + 1
    assert 200 < sum(added.values()) <= 300 and len(added) <= 8, added


def test_trees_of_two_packages_live_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each keeps its objects when the other is built, and loses them with its own next version."""
    monkeypatch.setenv("LAZYOBS_LAB_CACHE", str(tmp_path))

    def fetch(package: str, version: str, suite: str = "") -> Path:
        folder = tmp_path / "packages" / package
        (folder / "usr/src").mkdir(parents=True)
        (folder / package).mkdir()
        (folder / package / "version").write_text(f"{version} of {suite}")
        subprocess.run(["tar", "-cJf", f"usr/src/{package}.tar.xz", package], cwd=folder, check=True)
        return folder

    monkeypatch.setattr(source, "fetch", fetch)
    for package, suite in (("linux-source-1", ""), ("linux-source-2", "sid")):
        unpacked = source.unpack(package, "5", suite)
        assert (unpacked / "version").read_text() == f"5 of {suite}"
        source.objects(package).mkdir(parents=True)
    assert source.unpack("linux-source-1", "5") == source.tree("linux-source-1")
    assert source.objects("linux-source-1").is_dir()
    source.unpack("linux-source-2", "6", "sid")
    assert source.objects("linux-source-1").is_dir() and not source.objects("linux-source-2").exists()
    assert (source.tree("linux-source-2") / "version").read_text() == "6 of sid"


def test_an_archive_that_cannot_be_unpacked_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the next try begins anew."""
    monkeypatch.setenv("LAZYOBS_LAB_CACHE", str(tmp_path))

    def fetch(package: str, _version: str, _suite: str = "") -> Path:
        folder = tmp_path / "packages" / package
        (folder / "usr/src").mkdir(parents=True)
        (folder / f"usr/src/{package}.tar.xz").write_bytes(b"no archive")
        return folder

    monkeypatch.setattr(source, "fetch", fetch)
    with pytest.raises(LabError, match=r"^cannot unpack linux-source-1\.tar\.xz: "):
        source.unpack("linux-source-1", "5")
    assert not (source.tree("linux-source-1").parent / "linux-source-1.version").exists()
    with pytest.raises(LabError, match=r"cannot unpack x\.deb: no-such-program: No such file or directory"):
        unpacking(["no-such-program"], tmp_path / "x.deb")
