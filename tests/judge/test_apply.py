# SPDX-License-Identifier: MIT
"""Series applied in memory, beside git apply, which is the second source for each answer."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from lazyobs.judge import apply, series
from tests.harness import need_programs
from tests.judge.mails import RMAP, changed, diff, mail, tree
from tests.judge.mails import series as of


def applied(text: str, folder: Path) -> apply.Applied:
    return apply.apply(series.of_bytes(text.encode(), "x"), apply.Folder(folder))


def test_a_series_applies_patch_by_patch(tmp_path: Path) -> None:
    done = applied("".join(of(200)), tree(tmp_path))
    assert done.fits and done.patches == 200
    content = done.files["mm/rmap.c"]
    assert content is not None and content.count(b"added") == 200
    assert done.originals == {"mm/rmap.c": RMAP.encode()}
    assert (tmp_path / "mm/rmap.c").read_text() == RMAP, "nothing is written"


def test_what_does_not_apply_is_named_by_patch_file_and_hunk(tmp_path: Path) -> None:
    tree(tmp_path)
    good = mail("[PATCH 1/2] good", diff("mm/rmap.c", RMAP, changed(23)))
    other = RMAP.replace("line 7\n", "another\n").replace("line 50\n", "one more\n")
    bad = mail(
        "[PATCH 2/2] bad",
        diff("mm/rmap.c", other, other.replace("line 8\n", "").replace("line 51\n", "").replace("line 30\n", "")),
    )
    done = applied(good + bad, tmp_path)
    assert done.patches == 1
    assert [(one.patch, one.file, one.hunk, one.line) for one in done.failures] == [
        ("2/2 bad", "mm/rmap.c", 1, 5),
        ("2/2 bad", "mm/rmap.c", 3, 48),
    ]
    assert str(done.failures[0]) == "mm/rmap.c hunk 1 (line 5): its lines are not there"
    assert done.files["mm/rmap.c"] == changed(23).encode(), "of a patch that does not apply nothing is kept"


def test_files_that_come_go_move_and_change_their_mode(tmp_path: Path) -> None:
    tree(tmp_path)
    new = diff("mm/new.c", None, "int x;\n")
    gone = diff("mm/Kconfig", (tmp_path / "mm/Kconfig").read_text(), None)
    moved = "diff --git a/mm/rmap.c b/mm/walk.c\nsimilarity index 98%\nrename from mm/rmap.c\nrename to mm/walk.c\n"
    moved += "".join(
        line + "\n"
        for line in diff("mm/rmap.c", RMAP, changed(23)).replace("b/mm/rmap.c", "b/mm/walk.c").splitlines()[1:]
    )
    mode = "diff --git a/scripts/none b/scripts/none\nold mode 100644\nnew mode 100755\n"
    done = applied(mail("[PATCH] x", new, gone, moved, mode), tmp_path)
    assert done.fits, done.failures
    assert done.files == {
        "mm/new.c": b"int x;\n", "mm/Kconfig": None, "mm/rmap.c": None, "mm/walk.c": changed(23).encode(), "scripts/none": b"",
    }  # fmt: skip
    assert done.executable["scripts/none"] is True


@pytest.mark.parametrize(
    "patch, said",
    [
        (diff("mm/none.c", "a\n", "b\n"), "mm/none.c: there is no such file"),
        (diff("mm/rmap.c", None, "a\n"), "mm/rmap.c: is there already"),
        (diff("link/x", "a\n", "b\n"), "link/x: it is, or lies behind, a symbolic link"),
        (diff("mm/link.c", "a\n", "b\n"), "mm/link.c: it is, or lies behind, a symbolic link"),
        (diff("mm", "a\n", "b\n"), "mm: is no regular file"),
        (diff("Makefile", "VERSION = 7\n", None), "Makefile hunk 1 (line 1): its lines are not there"),
        (
            "diff --git a/Makefile b/Makefile\ndeleted file mode 100644\n",
            "Makefile: goes, but has lines that the patch does not",
        ),
    ],
)
def test_a_file_that_is_not_as_the_patch_has_it(tmp_path: Path, patch: str, said: str) -> None:
    root = tree(tmp_path / "tree")
    (tmp_path / "x").write_text("a\n")
    (root / "link").symlink_to(tmp_path)
    (root / "mm/link.c").symlink_to(tmp_path / "x")
    done = applied(mail("[PATCH] x", patch), root)
    assert [str(failure) for failure in done.failures] == [said]
    assert (tmp_path / "x").read_text() == "a\n"


WORDS = some.lists(some.sampled_from(["a\n", "b\n", "c\n", "\n", "int x;\n"]), min_size=0, max_size=24)


@settings(max_examples=60, deadline=None)
@given(before=WORDS, after=WORDS, moved=WORDS, ends=some.booleans())
def test_git_comes_to_the_same(before: list[str], after: list[str], moved: list[str], ends: bool) -> None:
    """The patch on the text that it was made of with lines in front: it applies at another place, or not at all."""
    need_programs("git")
    old, new = "".join(before), "".join(after) + ("" if ends or not after else "last")
    if old == new or not old or not new:
        return
    there = "".join(moved) + old
    patch = diff("f", old, new)
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "f").write_text(there)
        done = applied(mail("[PATCH] x", patch), folder)
        git = subprocess.run(
            ["git", "apply", "-"], input=patch, text=True, cwd=folder, capture_output=True, check=False
        )
        assert done.fits == (git.returncode == 0), (patch, there, git.stderr)
        if done.fits:
            assert done.files["f"] == (folder / "f").read_bytes(), (patch, there)


NO_FILE = {"-0500": "1969-12-31 19:00:00.000000000", "+0000": "1970-01-01 00:00:00.000000000", "+0530": "1970-01-01 05:30:00"}  # fmt: skip


@pytest.mark.parametrize("zone", NO_FILE)
def test_a_file_that_diff_says_is_of_1970_is_not_there(tmp_path: Path, zone: str) -> None:
    """diff -N, whose names are those of files on both sides."""
    tree(tmp_path)
    no, then = f"{NO_FILE[zone]} {zone}", f"2026-11-26 20:03:42.000000000 {zone}"
    new = f"diff -ruN a/mm/new.c b/mm/new.c\n--- a/mm/new.c\t{no}\n+++ b/mm/new.c\t{then}\n@@ -0,0 +1 @@\n+int x;\n"
    gone = f"--- a/Makefile\t{then}\n+++ b/Makefile\t{no}\n@@ -1,4 +0,0 @@\n"
    gone += "".join(f"-{line}\n" for line in (tmp_path / "Makefile").read_text().splitlines())
    done = applied(new + gone, tmp_path)
    assert done.fits, done.failures
    assert done.files == {"mm/new.c": b"int x;\n", "Makefile": None}
    (tmp_path / "x.patch").write_text(new + gone)
    subprocess.run(["git", "apply", "x.patch"], cwd=tmp_path, check=True)
    assert (tmp_path / "mm/new.c").read_text() == "int x;\n" and not (tmp_path / "Makefile").exists()


def test_of_places_that_are_alike_it_takes_that_of_git(tmp_path: Path) -> None:
    """A hunk whose lines are there several times goes where its own head says, not as far from there as the one before."""
    alike = "}\n\n"
    lines = ("first\n" + alike * 9).splitlines(True)
    (tmp_path / "f").write_text("new\n" * 4 + "".join(lines))
    patch = "--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@ x\n first\n-}\n+{\n@@ -9,3 +9,3 @@\n \n-}\n+{\n \n"
    # The first one would begin the file: with a line in front, it may have moved.
    patch = patch.replace("@@ -1,2 +1,2 @@ x\n first\n-}\n+{\n", "@@ -2,3 +2,3 @@\n first\n-}\n+{\n \n")
    patch = patch.replace("@@ -9,3 +9,3 @@", "@@ -10,3 +10,3 @@")
    done = applied(patch, tmp_path)
    assert done.fits, done.failures
    (tmp_path / "x.patch").write_text(patch)
    subprocess.run(["git", "apply", "x.patch"], cwd=tmp_path, check=True)
    assert done.files["f"] == (tmp_path / "f").read_bytes()
