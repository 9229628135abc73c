# SPDX-License-Identifier: MIT
"""The controls of judge: which are to be judged, what a patch of each is, and when an outcome is right."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lab import controls, controls_page, mutations
from lab.cache import LAB
from lab.controls import Run
from lab.errors import LabError
from lab.source import restore
from lazyobs.judge import apply, series
from tests.harness import need_programs

HEADER = "DECLARE_STATIC_KEY_FALSE(mm_mutation_key);\n\tif (!static_branch_unlikely(&mm_mutation_key) || !mm ||\n\t    !mm_flags_test(MMF_MUTANT, mm))\n\t\treturn 0;\n"  # fmt: skip
MUTANT = {
    "mm/mutation.c": "DEFINE_STATIC_KEY_FALSE(mm_mutation_key);\nint sysctl_mm_mutation __read_mostly;\n",
    "mm/mutation.h": HEADER,
    "mm/rmap.c": "static int sysctl_anon_vma_lazy_fault __read_mostly;\n",
}


@pytest.fixture
def mutant(tmp_path: Path) -> Path:
    for name, text in MUTANT.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_there_are_as_many_as_the_issue_of_trust_asks_for() -> None:
    table = controls.controls()
    assert sum(one.runs for one in table.values() if one.word != "FAIL") == 20
    seen = [row.name for row in mutations.mutations().values() if not row.unseen]
    assert [one.name for one in table.values() if one.number] == seen and len(seen) > 40
    assert {"slow-fork", "leak", "blind"} < set(table)
    for one in table.values():
        assert bool(one.patch) + bool(one.fault) + bool(one.number) == 1, one.name
        assert (one.word == "FAIL") == bool(one.first)
        assert not one.patch or (controls.PATCHES / one.patch).is_file()


def test_a_mistake_is_made_from_the_start(mutant: Path) -> None:
    control = controls.controls()["walk_file"]
    done = apply.apply(series.of_bytes(controls.patch_text(control, mutant).encode(), "x"), apply.Folder(mutant))
    assert done.fits, done.failures
    assert done.files["mm/mutation.c"] == b"DEFINE_STATIC_KEY_TRUE(mm_mutation_key);\nint sysctl_mm_mutation __read_mostly = 2;\n"  # fmt: skip
    assert done.files["mm/mutation.h"] == b"DECLARE_STATIC_KEY_TRUE(mm_mutation_key);\n\tif (!static_branch_likely(&mm_mutation_key) || !mm)\n\t\treturn 0;\n"  # fmt: skip
    blind = controls.controls()["blind"]
    done = apply.apply(series.of_bytes(controls.patch_text(blind, mutant).encode(), "x"), apply.Folder(mutant))
    assert done.files == {"mm/rmap.c": b"static int sysctl_anon_vma_lazy_fault __read_mostly = 7;\n"}


def test_a_mutant_that_has_changed_is_said(mutant: Path) -> None:
    (mutant / "mm/mutation.c").write_text("int other;\n")
    with pytest.raises(LabError, match=r"mm/mutation\.c of the mutant has no line 'DEFINE_STATIC_KEY_FALSE"):
        controls.patch_text(controls.controls()["walk_file"], mutant)


def test_the_lines_of_the_real_mutant_are_those() -> None:
    text = (LAB / "patches/mutations-7.3.patch").read_text() + (LAB / "patches/lab-7.3.patch").read_text()  # fmt: skip
    pairs = [pair for file in controls._FLIPPED.values() for pair in file] + [controls._FAULT]
    assert [was for was, _ in pairs if f"\n+{was}\n" not in text] == []


@pytest.mark.parametrize(
    "name, word, said, right",
    [
        ("leak", "FAIL", "leak, plain: anon_vma objects are lost: 5 in 5,003 forks, then 5 in as many", True),
        ("leak", "FAIL", "boot, plain: the kernel hung", False),
        ("leak", "PASS", "no difference", False),
        ("slow-fork", "FAIL", "later fork and exit, 101 VMAs: +5.1%, margin +5.0%: worse", True),
        ("slow-fork", "FAIL", "munmap of a VMA: +5.1%, margin +5.0%: worse", False),
        ("walk_child", "FAIL", "kselftest, plain: a walk of the reverse map missed a mapping: x", True),
        ("walk_child", "FAIL", "boot, plain: the kernel did not come up", False),
        ("rename-function", "PASS", "no difference", True),
        ("rename-function", "INCONCLUSIVE", "not decided", True),
        ("rename-function", "FAIL", "page in: +9.0%", False),
    ],
)
def test_when_an_outcome_is_right(name: str, word: str, said: str, right: bool) -> None:
    assert controls.controls()[name].is_right(word, said) == right


def test_what_has_a_row_is_not_judged_again(tmp_path: Path) -> None:
    path = tmp_path / "controls.json"
    names = ["rename-function", "leak", "walk_child"]
    assert [run.key for run in controls.waiting(names, [])] == [
        ("rename-function", 1), ("leak", 1), ("walk_child", 1),
        ("rename-function", 2), ("rename-function", 3), ("rename-function", 4), ("rename-function", 5),
    ]  # fmt: skip
    row: dict[str, Any] = {"control": "leak", "run": 1, "word": "FAIL", "right": True}
    controls.keep([{**row, "control": "rename-function", "run": 2}, row], path)
    controls.keep([{**row, "right": False}], path)
    assert [(one["control"], one["right"]) for one in controls.kept(path)] == [
        ("rename-function", True),
        ("leak", False),
    ]
    assert ("leak", 1) not in [run.key for run in controls.waiting(names, controls.kept(path))]
    assert len(controls.waiting(names, controls.kept(path))) == 5
    assert controls.kept(tmp_path / "none") == []


def test_one_judgement_has_one_base_and_no_control_twice() -> None:
    groups = list(controls.judgements(controls.waiting(list(controls.controls()), [])))
    for group in groups:
        assert len({(run.control.base, run.control.until, run.number) for run in group}) == 1
        assert len({run.arm for run in group}) == len(group) <= controls._ARMS
    assert sum(map(len, groups)) == sum(one.runs for one in controls.controls().values())


def test_the_words_that_judge_is_given(tmp_path: Path) -> None:
    runs = [Run(controls.controls()[name], 1) for name in ("walk_child", "blind")]
    words = controls.command(runs, tmp_path / "tree", tmp_path / "out", None)[4:]
    assert words == [
        "--base", str(tmp_path / "tree"), "--flavour", "plain", "--until", "checks", "--budget", "12h", "-o", str(tmp_path / "out"),
        "--base-config", "CONFIG_ANON_VMA_LAZY=y",
        "--arm", f"walk-child={tmp_path}/out.patches/walk-child.patch", "--arm", f"blind={tmp_path}/out.patches/blind.patch",
    ]  # fmt: skip


def test_a_row_is_what_judge_says() -> None:
    run = Run(controls.controls()["walk_child"], 1)
    boots = {
        "walk-child-plain-checks": ("walk-child", 100.0),
        "base-plain-checks": ("base", 200.0),
        "x": ("other", 9.0),
    }
    document = {
        "arms": [{"arm": "walk-child", "word": "FAIL", "said": "kselftest, plain: x"}, {"arm": "other", "word": "PASS", "said": ""}],
        "boots": {name: {"arm": arm, "seconds": seconds} for name, (arm, seconds) in boots.items()},
        "base": {"version": "7.3.4"},
    }  # fmt: skip
    (row,) = controls.rows_of([run], document)
    assert (row["control"], row["right"], row["boots"], row["seconds"]) == ("walk_child", True, 2, 300)
    assert json.dumps(row)


def test_judge_that_could_not_is_no_outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controls, "base", lambda _kind, _work: tmp_path)
    monkeypatch.setattr(controls, "command", lambda *_of: ["sh", "-c", "exit 3"])
    with pytest.raises(LabError, match="judge ended with status 3 on leak 1; run it again to go on"):
        controls.judge([Run(controls.controls()["leak"], 1)], tmp_path, None)


def test_a_copy_is_made_what_the_package_had(tmp_path: Path) -> None:
    for name, text in (("copy/mm/a.c", "patched"), ("copy/mm/new.c", "added"), ("copy/mm/b.c", "b"), ("kept/mm/a.c", "a"), ("kept/mm/new.c.absent", "")):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    restore(tmp_path / "copy", tmp_path / "kept")
    found = {path.name: path.read_text() for path in (tmp_path / "copy/mm").iterdir()}
    assert found == {"a.c": "a", "b.c": "b"}


def test_the_page_shows_what_went_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"control": "rename-function", "run": number, "word": word, "said": "no | difference", "right": word == "PASS", "boots": 14, "date": "2026-11-27"}
        for number, word in ((1, "PASS"), (2, "FAIL"))
    ]  # fmt: skip
    monkeypatch.setattr(controls, "kept", lambda: rows)
    text = controls_page.page()
    assert "- Of 20 patches that only rename and move code: 2 judged, 1 right.\n" in text
    assert (
        "| `rename-function` | a function has another name | not FAIL | 1 of 2 | FAIL no \\| difference | 14 |" in text
    )
    assert "| `leak` | one fork in a thousand loses an anon_vma | FAIL | not judged yet |  |  |  |" in text


def test_the_patches_are_patches() -> None:
    need_programs("git", feature="lab")
    for path in controls.PATCHES.glob("*.patch"):
        found = series.read([path])
        assert len(found.patches) == 1 and found.patches[0].changes
        done = subprocess.run(["git", "apply", "--numstat", str(path)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
