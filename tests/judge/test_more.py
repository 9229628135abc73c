# SPDX-License-Identifier: MIT
"""What not every judgement has: the tests of mm/vma.c, the kernel's own selftests, allocations that fail, waits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lazyobs.errors import UsageError
from lazyobs.judge import checks, confined, inside, inside_programs, measure, more, own, programs, run, state, vma_tests
from lazyobs.judge.apply import Applied
from lazyobs.judge.libraries import Library
from lazyobs.judge.progress import Progress
from lazyobs.judge.tree import Tree
from lazyobs.judge.trial import Trial, extras
from tests.harness import need_programs
from tests.judge.folders import add_checks, boot, complete, folder
from tests.judge.mails import tree
from tests.judge.test_verdict import first, said
from tests.judge.trees import FILES

OLD = Path(__file__).parent / "old"
HERE = Library("liburcu-dev", Path("/usr"))
TESTS = (
    '#include <stdio.h>\n#include "../../../mm/vma.c"\nint main(void)\n{\n\tint good = answer() == 23;\n'
    '\tif (!good)\n\t\tprintf("Assert FAILED at main.c:7:test(): answer() == 23 is FALSE\\n");\n'
    '\tprintf("2 tests run, %d passed, %d failed.\\n", 1 + good, !good);\n\treturn !good;\n}\n'
)
MAKE = "vma: main.c ../../../mm/vma.c\n\t$(CC) -o $@ main.c\nclean:\n\trm -f vma\n"
VMA = "static int answer(void)\n{\n\treturn 23;\n}\n"


# --- folders that an older lazyobs has written ---


@pytest.mark.parametrize("name", ["passed", "failed"])
def test_an_older_folder_is_said_anew_byte_for_byte(tmp_path: Path, name: str) -> None:
    """``old`` has what the first lazyobs with judge said of these folders."""
    found = complete(tmp_path, version=None)
    if name == "failed":
        add_checks(found, "new", "plain", {"stress": "2 of 211 pages held what they must not (status 1)"})
        died = measure.document(boot(output="begin\n", status=None, failure="died during the command: Oops: 0000"))
        found.add_boot("new-007", {"arm": "new", "kind": "measure", "flavour": "plain", "number": 7, "seconds": 60.0, **died}, "console")  # fmt: skip
    assert run.again(tmp_path) == (name == "failed")
    assert (tmp_path / state.LETTER).read_text() == (OLD / f"{name}.txt").read_text()


# --- tools/testing/vma ---


@pytest.fixture
def place(tmp_path: Path) -> Iterator[vma_tests.Place]:
    need_programs("make", "gcc", feature="lab")
    cache = tmp_path / "cache"
    (cache / "tmp").mkdir(parents=True)
    made = Tree(cache, SimpleNamespace(key="0"))  # type: ignore[arg-type]
    tree(made.source, {**FILES, "mm/vma.c": VMA, f"{vma_tests.PLACE}/main.c": TESTS, f"{vma_tests.PLACE}/Makefile": MAKE})  # fmt: skip
    yield vma_tests.Place(made, "0", Applied(), ())


def outcome_of(place: vma_tests.Place, tmp_path: Path, vma: str | None = None, urcu: Library = HERE) -> dict[str, Any]:
    applied = Applied({"mm/vma.c": vma.encode()}, {"mm/vma.c": VMA.encode()}) if vma else Applied()
    tests = vma_tests.VmaTests(tmp_path / "cache", tmp_path, urcu, lambda *_of: None)
    return tests.run("new", vma_tests.Place(place.tree, "0", applied, ()))


def test_the_tests_of_a_tree_are_built_and_run(place: vma_tests.Place, tmp_path: Path) -> None:
    found = outcome_of(place, tmp_path)
    assert (found["outcome"], found["tests"], found["passed"]) == ("pass", 2, 2)
    assert (tmp_path / "cache/vma" / found["program"] / "vma").is_file()
    assert not (place.tree.source / vma_tests.PLACE / "vma").exists(), "the tree stays as it is"
    found = outcome_of(place, tmp_path, VMA.replace("23", "11"))
    assert (found["outcome"], found["why"]) == ("fail", "1 of 2 tests failed; first: Assert FAILED at main.c:7:test(): answer() == 23 is FALSE")  # fmt: skip
    assert outcome_of(place, tmp_path)["outcome"] == "pass", "and back"


@pytest.mark.parametrize(
    "vma, why",
    [
        ("int answer(void) { return zero; }\n", "does not build: ../../../mm/vma.c:1:27: error: 'zero' undeclared"),
        ("#include <stdlib.h>\nstatic int answer(void) { abort(); }\n", "ended with status -6"),
        ("#include <stdlib.h>\nstatic int answer(void) { exit(0); }\n", "ended with status 0"),
    ],
)
def test_what_does_not_build_is_none_and_what_ends_early_fails(
    place: vma_tests.Place, tmp_path: Path, vma: str, why: str
) -> None:
    found = outcome_of(place, tmp_path, vma)
    assert found["why"].startswith(why)
    assert found["outcome"] == ("none" if "build" in why else "fail")


def test_a_test_that_does_not_end(place: vma_tests.Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vma_tests, "_RUN_SECONDS", 0.6)
    found = outcome_of(place, tmp_path, "static int answer(void)\n{\n\tfor (;;)\n\t\t;\n}\n")
    assert (found["outcome"], found["why"]) == ("fail", "ended with no end within the time")


def test_a_test_that_prints_for_ever(place: vma_tests.Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "MOST_PRINTED", 7 << 20)
    found = outcome_of(
        place, tmp_path, '#include <stdio.h>\nstatic int answer(void)\n{\n\tfor (;;)\n\t\tputs("x");\n}\n'
    )
    assert (found["outcome"], found["why"]) == ("fail", "ended with no end of its output")
    assert (tmp_path / "build-new-vma.log").stat().st_size < 2 << 20, "the log does not fill the disk"


def test_a_tree_without_them_and_a_machine_without_a_library(place: vma_tests.Place, tmp_path: Path) -> None:
    missing = Library("liburcu-dev", None, "liburcu-dev is not installed: apt-get install liburcu-dev")
    assert outcome_of(place, tmp_path, urcu=missing)["why"] == f"does not build: {missing.why_not}"
    (place.tree.source / vma_tests.PLACE / "Makefile").unlink()
    found = outcome_of(place, tmp_path)
    assert (found["outcome"], found["why"]) == ("none", "the tree has no tools/testing/vma")


GOOD = {"outcome": "pass", "why": "", "tests": 26, "passed": 26, "program": "0"}
BAD = {"outcome": "fail", "why": "1 of 26 tests failed", "tests": 26, "passed": 25, "program": "1"}
NONE = {"outcome": "none", "why": "does not build: x.c:1:1: error: y", "tests": 0, "passed": 0, "program": ""}


@pytest.mark.parametrize(
    "base, new, word, text",
    [
        (GOOD, GOOD, "PASS", "26 of 26 of tools/testing/vma passed"),
        (GOOD, BAD, "FAIL", "tools/testing/vma: 1 of 26 tests failed"),
        (BAD, BAD, "INCONCLUSIVE", "-- but the base fails it, too: 1 of 26 tests failed"),
        (NONE, BAD, "FAIL", "tools/testing/vma: 1 of 26 tests failed"),
        (GOOD, NONE, "PASS", "does not build: x.c:1:1: error: y (the base's passes 26 of 26)"),
        (NONE, NONE, "PASS", "does not build: x.c:1:1: error: y"),
    ],
)
def test_only_a_failure_that_the_base_does_not_have_counts(
    tmp_path: Path, base: dict[str, Any], new: dict[str, Any], word: str, text: str
) -> None:
    found = complete(tmp_path)
    found.write(vma_tests.RESULTS, {"base": base, "new": new})
    document = said(found)
    (row,) = [one for one in document["arms"][0]["findings"] if one["name"] == "vma, plain"]
    assert document["word"] == word and text in row["text"]
    trial = Trial(found, {}, tmp_path, Progress(), 0.0, ("plain",))
    assert trial.failed("new") == (word == "FAIL"), "one that fails is not booted"
    run.again(tmp_path)
    line = "  lazyobs judge --resume DIR --repeat new-plain-vma\n"
    assert (line in (tmp_path / state.LETTER).read_text()) == (word == "FAIL")


# --- the kernel's own selftests ---


@pytest.mark.parametrize(
    "files, programs",
    [
        (["mm/rmap.c"], list(own.AFFECTED)),
        (["mm/ksm.c"], ["rmap", "merge", "ksm_functional_tests", "cow"]),
        (["mm/huge_memory.c", "Documentation/x.rst"], ["split_huge_page_test", "cow"]),
        (["drivers/net/x.c", "mm/slub.c"], []),
        ([], list(own.AFFECTED)),
    ],
)
def test_those_that_a_series_affects(files: list[str], programs: list[str]) -> None:
    assert own.affected(files) == programs


def ran(monkeypatch: pytest.MonkeyPatch, outputs: list[tuple[int | None, str]]) -> inside.Result:
    given = iter(outputs)
    monkeypatch.setenv(inside_programs.OWN, "own/0:merge,cow")
    monkeypatch.setattr(inside_programs, "run", lambda *_of: inside_programs.Ended(*next(given)))
    monkeypatch.setattr(inside.Inside, "observed", lambda _self, _result, work: work())
    result = inside.Result("own")
    inside_programs.own(inside.Inside([]), result)
    assert next(given, None) is None
    return result


def test_a_test_fails_that_fails_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = "TAP version 13\n1..3\nok 1 merge.one\nnot ok 2 merge.two\nok 3 merge.three # SKIP no uprobes\n"
    worse = bad.replace("ok 1 merge.one", "not ok 1 merge.one")
    result = ran(monkeypatch, [(1, worse), (1, bad), (0, "ok 1 - [RUN] Basic COW\n")])
    assert (result.outcome, result.why) == ("fail", "the kernel's own selftest fails: merge merge.two")
    assert result.numbers["failed"] == ["merge merge.two"] and result.numbers["once"] == ["merge merge.one"]
    assert result.numbers["counts"] == {"pass": 1, "fail": 1, "skip": 1}
    result = ran(monkeypatch, [(0, "ok 1 merge.one\n"), (None, "ok 1 a\n"), (-11, "ok 1 a\n")])
    assert (result.outcome, result.numbers["failed"]) == ("pass", []), "the second run ended another way"
    result = ran(monkeypatch, [(0, "ok 1 merge.one\n"), (-11, ""), (-11, "")])
    assert result.numbers["failed"] == ["cow was ended by signal 11"]


def test_nothing_at_all_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    result = ran(monkeypatch, [(0, ""), (0, "")])
    assert (result.outcome, result.why) == ("fail", "the kernel's own selftests said nothing")


@pytest.mark.parametrize(
    "new, word",
    [
        (["merge uprobe"], "INCONCLUSIVE"),
        (["merge uprobe", "cow of a page"], "FAIL own, plain: the kernel's own selftest fails, and does not on the base: cow of a page"),
    ],
)  # fmt: skip
def test_one_that_fails_on_the_base_hides_no_other(tmp_path: Path, new: list[str], word: str) -> None:
    found = complete(tmp_path)
    for arm, failed in (("base", ["merge uprobe"]), ("new", new)):
        add_checks(found, arm, "plain", {"own": failed[0]}, more=("own",), numbers={"failed": failed})
    assert first(found).startswith(word)
    trial = Trial(found, {}, tmp_path, Progress(), 0.0, ("plain",))
    assert trial.failed("new") == word.startswith("FAIL")


def test_what_the_guest_says_is_the_reason_where_the_base_passes(tmp_path: Path) -> None:
    found = complete(tmp_path)
    document = found.read("boots/base-plain-checks.json")
    assert document is not None
    (row,) = [one for one in document["results"] if one["step"] == "kselftest"]
    row["numbers"] = {"failed": []}
    found.write("boots/base-plain-checks.json", document)
    add_checks(
        found, "new", "plain", {"kselftest": "a walk missed a mapping"}, numbers={"failed": ["anon_rmap.migrate"]}
    )
    assert first(found) == "FAIL kselftest, plain: a walk missed a mapping"


@pytest.mark.parametrize(
    "numbers",
    [{"failed_allocations": "x"}, {"checked": []}, {"counts": {"pass": 7}}, {"counts": 7}, {"orphans": 1}, {"failed_share": "1"}],
)  # fmt: skip
def test_numbers_of_a_hostile_guest_are_no_traceback(tmp_path: Path, numbers: dict[str, Any]) -> None:
    found = complete(tmp_path)
    document = found.read("boots/new-plain-checks.json")
    assert document is not None
    document["results"][1]["numbers"] = numbers
    found.write("boots/new-plain-checks.json", document)
    (arm,) = said(found)["arms"]
    (row,) = [one for one in arm["findings"] if one["name"] == "kselftest, plain"]
    assert (row["outcome"], row["text"]) == ("PASS", "no complaint of the kernel; its numbers cannot be read")


@pytest.mark.parametrize("failed", [None, 7, [[], {}], ["a\x1b[31m" * 99]])
def test_names_of_a_hostile_guest_are_text(tmp_path: Path, failed: Any) -> None:
    found = complete(tmp_path)
    add_checks(found, "base", "plain", {"own": "x"}, more=("own",), numbers={"failed": ["x"]})
    add_checks(found, "new", "plain", {"own": "x"}, more=("own",), numbers={"failed": failed})
    run.again(tmp_path)
    text = (tmp_path / state.LETTER).read_text()
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert text.startswith("lazyobs judge: FAIL" if isinstance(failed, list) else "lazyobs judge: INCONCLUSIVE")


def test_a_guest_is_told_what_to_run() -> None:
    guest = {"script": "script-0", "own": {"new": {"folder": "own/0", "programs": ["cow", "rmap"], "notes": []}}}
    found = extras(guest, "new")
    assert found.steps("plain")[-2:] == ("script", "own") and found.steps("debug")[-1] == "script"
    assert found.environment() == ("LAZYOBS_JUDGE_SCRIPT=script-0", "LAZYOBS_JUDGE_OWN=own/0:cow,rmap")
    assert extras({}, "new").steps("plain") == checks.STEPS["plain"]
    assert set(checks.STEPS["debug"] + found.steps("plain")) == set(inside.STEPS)


@pytest.mark.parametrize(
    "second, failed",
    [
        ("ok 1 a.page_out\nnot ok 2 b.migrate\n", ["b.migrate"]),
        ("ok 1 a.page_out\nok 2 b.migrate\n", []),
        ("not ok 1 a.page_out\nnot ok 2 b.migrate\n", ["a.page_out", "b.migrate"]),
        ("ok 1 a.page_out\n", ["b.migrate"]),  # it died
        ("", ["a.page_out", "b.migrate"]),
    ],
)
def test_a_walk_has_missed_what_it_misses_twice(monkeypatch: pytest.MonkeyPatch, second: str, failed: list[str]) -> None:  # fmt: skip
    outputs = iter(["not ok 1 a.page_out\nnot ok 2 b.migrate\nok 3 c.write\nok 4 d # SKIP no swap\n", second])
    words: list[tuple[str, ...]] = []

    def program(_self: object, *given: str, seconds: float) -> SimpleNamespace:
        words.append(given)
        return SimpleNamespace(stdout=next(outputs), stderr="", returncode=1)

    monkeypatch.setattr(inside.Inside, "program", program)
    monkeypatch.setattr(inside.Inside, "observed", lambda _self, _result, work: work())
    result = inside.Result("kselftest")
    inside._kselftest(inside.Inside([]), result)
    assert words[1][3:] == ("-r", "a.page_out", "-r", "b.migrate")
    assert result.numbers["failed"] == failed and result.outcome == ("fail" if failed else "pass"), result.why
    assert result.numbers["counts"] == {"pass": 1, "fail": len(failed), "skip": 1}


@pytest.mark.parametrize("passing, tried", [(0, 12), (11, 12), (12, 24), (40, 40)])
def test_behind_a_walk_that_missed_none_is_tried_again(monkeypatch: pytest.MonkeyPatch, passing: int, tried: int) -> None:  # fmt: skip
    """The first ``passing`` of 40 that fail pass the second time."""
    again: list[str] = []

    def program(_self: object, *given: str, seconds: float) -> SimpleNamespace:
        names = given[4::2] or [f"t{number}" for number in range(40)]
        again.extend(given[4::2])
        lines = [f"{'ok' if given[4:] and int(name[1:]) < passing else 'not ok'} 1 {name}" for name in names]
        return SimpleNamespace(stdout="\n".join(lines), stderr="", returncode=1)

    monkeypatch.setattr(inside.Inside, "program", program)
    monkeypatch.setattr(inside.Inside, "observed", lambda _self, _result, work: work())
    result = inside.Result("kselftest")
    inside._kselftest(inside.Inside([]), result)
    assert again == [f"t{number}" for number in range(tried)]
    assert result.numbers["failed"] == [f"t{number}" for number in range(passing, 40)]
    assert result.numbers["once"] == [f"t{number}" for number in range(passing)]


# --- allocations that fail ---


@pytest.fixture
def knobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("task-filter", "times", "probability"):
        (tmp_path / name).write_text("0")
    monkeypatch.setattr(inside_programs, "_FAILSLAB", tmp_path)
    monkeypatch.setattr(inside.Inside, "observed", lambda _self, _result, work: work())
    return tmp_path


@pytest.mark.parametrize(
    "output, failed, outcome, why",
    [
        ("rounds 211 refused 97 wrong 0 died 0\n", 977, "pass", ""),
        ("rounds 211 refused 97 wrong 2 died 0\n", 977, "fail", "2 pages held what they must not after an allocation had failed"),
        ("rounds 211 refused 97 wrong 0 died 3\n", 977, "fail", "3 of 211 processes died when an allocation failed"),
        ("rounds 211 refused 0 wrong 0 died 0\n", 0, "skip", "no allocation failed, so nothing was tried"),
        ("workload: fork: Cannot allocate memory\n", 5, "fail", "processes whose allocations fail: status 0: workload: fork: Cannot allocate memory"),
    ],
)  # fmt: skip
def test_processes_whose_allocations_fail(
    knobs: Path, monkeypatch: pytest.MonkeyPatch, output: str, failed: int, outcome: str, why: str
) -> None:
    if not Path("/proc/self/make-it-fail").exists():
        real = Path.exists
        monkeypatch.setattr(Path, "exists", lambda path: str(path) == "/proc/self/make-it-fail" or real(path))

    def work(*_of: object) -> inside_programs.Ended:
        assert (knobs / "task-filter").read_text() == "Y", "of marked processes alone"
        assert 0 < int((knobs / "probability").read_text()) < 10
        (knobs / "times").write_text(str(int((knobs / "times").read_text()) - failed))
        return inside_programs.Ended(0, output)

    monkeypatch.setattr(inside_programs, "run", work)
    result = inside.Result("failslab")
    inside_programs.failslab(inside.Inside([]), result)
    assert (result.outcome, result.why) == (outcome, why)
    assert result.numbers["failed_allocations"] == failed and (knobs / "probability").read_text() == "0"


def test_a_kernel_without_failslab_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inside_programs, "_FAILSLAB", tmp_path / "none")
    result = inside.Result("failslab")
    inside_programs.failslab(inside.Inside([]), result)
    assert result.outcome == "skip" and "this kernel has no failslab" in result.why


# --- waits for locks ---


def waits(found: state.Folder, arm: str, number: int, said: str, **ended: Any) -> None:
    document = measure.waits_document(boot(output=said, **ended))
    found.add_boot(f"{arm}-{number:03}-waits", {"arm": arm, "kind": "waits", "flavour": "plain", "number": number, "seconds": 9.0, **document}, "console")  # fmt: skip


def counted(count: int) -> str:
    return json.dumps({"waits": {"forks": 1006, "waits": count, "waited_ns": 1000 * count, "why_not": ""}}) + "\n"


def table(found: state.Folder) -> list[list[Any]]:
    (arm,) = said(found)["arms"]
    return [row for one in arm["tables"] if one["title"].startswith("waits") for row in one["rows"]]


def test_waits_are_in_a_table_and_judge_nothing(tmp_path: Path) -> None:
    found = complete(tmp_path)
    for number in range(1, 6):
        waits(found, "base", number, counted(1006))
        waits(found, "new", number, counted(2012))
    rows = table(found)
    assert rows[0] == ["waits for the lock of a root anon_vma, per fork", "1.0000", "2.0000", "+100.0%", "1.0000 to 1.0000"]  # fmt: skip
    assert rows[1][:4] == ["nanoseconds that they took, per fork", "1,000", "2,000", "+100.0%"]
    assert first(found) == "PASS no difference"


@pytest.mark.parametrize(
    "output, why",
    [
        ("", "nothing was said of them"),
        ('{"waits": {"forks": null, "waits": null, "waited_ns": null, "why_not": "probe point lock cannot be attached to this kernel"}}\n', "probe point lock cannot be attached to this kernel"),
        ('{"waits": {"forks": 1006, "waits": -1, "waited_ns": 0, "why_not": ""}}\n', "what was said of them is no number"),
        ('{"waits": {"forks": 0, "waits": 0, "waited_ns": 0, "why_not": ""}}\n', "what was said of them is no number"),
        ('{"waits": {"forks": true, "waits": 0, "waited_ns": 0, "why_not": ""}}\n', "what was said of them is no number"),
        ('{"waits": []}\n[]\n7\n{"waits": {"forks": 1e999}}\n', "nothing was said of them"),
    ],
)  # fmt: skip
def test_what_a_kernel_cannot_say_is_null_with_its_reason(tmp_path: Path, output: str, why: str) -> None:
    found = complete(tmp_path)
    waits(found, "base", 1, counted(3))
    waits(found, "new", 1, output)
    assert [row[2] for row in table(found)] == [None, None]
    (arm,) = said(found)["arms"]
    (row,) = [one for one in arm["findings"] if one["name"] == "waits for locks"]
    assert row["text"] == f"not known in 1 of 1 boots of new: {why}"


def test_a_kernel_that_dies_of_forks_at_the_same_time_fails(tmp_path: Path) -> None:
    found = complete(tmp_path)
    waits(found, "base", 1, counted(3))
    waits(found, "new", 1, "", status=None, failure="died during the command: Oops: 0000")
    assert first(found) == "FAIL forks at the same time, plain: died during the command: Oops: 0000"
    assert run.again(tmp_path) == 1
    assert "  lazyobs judge --resume DIR --repeat new-plain-waits\n" in (tmp_path / state.LETTER).read_text()


def test_waits_are_counted_once_for_each_of_the_first_boots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = complete(tmp_path)
    done: list[tuple[str, int]] = []

    def counts(image: Path, _share: Path) -> tuple[dict[str, Any], Any]:
        done.append((image.name, len(done)))
        return measure.waits_document(boot(output=counted(3))), boot()

    monkeypatch.setattr(measure, "waits", counts)
    images = {f"{arm}-plain": Path(arm) for arm in ("base", "new")}
    for _ in range(2):
        Trial(found, images, tmp_path, Progress(), 7200.0, ("plain",)).measure(["new"])
    assert [name for name, _ in done] == ["base", "new"] * measure.WAITS_BOOTS


# --- again ---


@pytest.mark.parametrize("step", ["vma", "workload", "waits"])
@pytest.mark.parametrize("which", ["new-debug", "rival-plain"])
def test_only_what_was_done_is_done_again(
    tmp_path: Path, step: str, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confined, "confine", lambda *_places: [])
    with pytest.raises(UsageError, match=r"is no boot of that folder; take ARM-FLAVOUR-STEP, with a step of boot, .*own, vma, workload, waits$"):  # fmt: skip
        run.repeat(folder(tmp_path).path, f"{which}-{step}", tmp_path)
    assert step in more.BESIDES


@pytest.mark.parametrize(
    "fails, lines",
    [
        ("build", [""]),
        ("patch", [""]),
        ("cost", [" --repeat base-plain-workload", " --repeat new-plain-workload"]),
        ("died", [" --repeat new-plain-workload"]),
        ("debug", [" --repeat new-debug-failslab"]),
    ],
)
def test_each_failure_has_a_line_to_see_it_again(tmp_path: Path, fails: str, lines: list[str]) -> None:
    found = complete(tmp_path, costs={"fork": 11_000.0} if fails == "cost" else {})
    if fails in ("build", "patch"):
        found.add_build("new-plain" if fails == "build" else "new.1-plain", {"image": "", "seconds": 0, "why": "does not build: x"})  # fmt: skip
    elif fails == "debug":
        add_checks(found, "new", "debug", {"failslab": "2 pages held what they must not"}, more=("failslab",))
    elif fails == "died":
        died = measure.document(boot(status=None, failure="died during the command: Oops: 0000"))
        found.add_boot("new-007", {"arm": "new", "kind": "measure", "flavour": "plain", "number": 7, "seconds": 60.0, **died}, "console")  # fmt: skip
    assert run.again(tmp_path) == 1
    text = (tmp_path / state.LETTER).read_text()
    assert re.findall(r"^  lazyobs judge --resume DIR(.*)$", text, re.M) == lines
