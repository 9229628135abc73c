# SPDX-License-Identifier: MIT
"""``selftest --kernel``: a selftest program of the kernel is found, run test by test, and its results passed on."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from lazyobs.errors import UsageError
from lazyobs.selftest import kernel_program
from lazyobs.selftest.kernel_program import Outcome, find, own_tests, read_ktap
from tests.harness import lazyobs
from tests.selftest.ktap import parse_ktap

# As kselftest_harness.h prints it: columns side by side, of fixtures with and without variants.
LISTED = """\
# FIXTURE            VARIANT                   TEST
global                                         
--------------------------------------------------------------------------------
one                  alone                     move
                     with_child                write
                     gone                      
--------------------------------------------------------------------------------
two                                            first
                                               second
"""  # noqa: W291 - it pads the columns

# A program with the harness's head in it, which lists its tests, or runs the one that -r names.
HARNESS = """#!/bin/sh
# FIXTURE
if [ "$1" = -l ]; then cat >&2 <<'LIST'
{listed}LIST
exit 4; fi
echo TAP version 13; echo 1..1
/bin/true
case "$2" in
one.gone.*) echo "ok 1 $2 # SKIP needs a # machine"; exit 4;;
two.second) echo "# it says why"; echo "not ok 1 $2"; exit 1;;
one.alone.write) exit 9;;
*) echo "ok 1 $2";;
esac
"""
NAMES = ["one.alone.move", "one.alone.write", "one.with_child.move", "one.with_child.write"]
NAMES += ["one.gone.move", "one.gone.write", "two.first", "two.second"]


def script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def harness(tmp_path: Path) -> Path:
    return script(tmp_path / "anon_rmap", HARNESS.format(listed=LISTED))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return lazyobs("selftest", "--kernel", "--tier", "procfs", *arguments)


def test_the_tests_of_a_harness_are_listed_in_its_order(harness: Path, tmp_path: Path) -> None:
    assert own_tests(harness) == NAMES
    # Anything else might take -l for nothing at all and run.
    assert own_tests(script(tmp_path / "plain", "#!/bin/sh\nrm -f $0\n")) == []


def test_results_of_every_form_are_read() -> None:
    text = "ok 1 a.b # SKIP no swap\nok 2 - with a dash\n# ok 3 said\nnot ok 4 d e\nok 5 e # XFAIL\n ok 6 indented\n"
    assert read_ktap(text) == [
        Outcome("a.b", "skip", "no swap"),
        Outcome("with a dash", "pass"),
        Outcome("d e", "fail"),
        Outcome("e", "skip"),
    ]


def test_it_is_found_where_the_lab_builds_it(harness: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAZYOBS_LAB_CACHE", str(tmp_path / "cache"))
    places = list(kernel_program.places())
    monkeypatch.setattr(kernel_program, "places", lambda: iter(places))
    with pytest.raises(UsageError, match=r"not installed.*make -C lab kselftest"):
        find(None)
    monkeypatch.undo()
    monkeypatch.setenv("LAZYOBS_LAB_CACHE", str(tmp_path / "cache"))
    for number, name in enumerate(("old", "new")):
        built = tmp_path / "cache/kselftest" / name / "anon_rmap"
        built.parent.mkdir(parents=True)
        script(built, "")
        os.utime(built, (number, number))
    assert find(None) == tmp_path / "cache/kselftest/new/anon_rmap"
    assert find(str(harness)) == harness
    with pytest.raises(UsageError, match="no such program"):
        find(str(tmp_path / "none"))


def test_every_test_is_passed_on_as_ktap(harness: Path) -> None:
    answer = run(str(harness))
    assert answer.returncode == 1, answer.stderr
    lines = answer.stdout.splitlines()
    assert lines[:3] == ["KTAP version 1", "1..8", f"# {harness}"]
    results = [line for line in lines if not line.startswith("# ")][2:]
    assert [line.split(" # ")[0] for line in results] == [
        f"{'not ok' if name in ('one.alone.write', 'two.second') else 'ok'} {number} {name}"
        for number, name in enumerate(NAMES, 1)
    ]
    assert results[4] == "ok 5 one.gone.move # SKIP needs a no. machine"
    assert "# it says why" in lines
    assert lines[-1] == "# Totals: pass:4 fail:2 xfail:0 xpass:0 skip:2 error:0"


def test_a_program_without_the_harness_is_run_whole(tmp_path: Path) -> None:
    program = script(tmp_path / "cow", "#!/bin/sh\necho TAP version 13\necho 1..2\necho ok 1 a\necho ok 2 b\n")
    answer = run(str(program))
    assert answer.returncode == 0
    assert [(outcome, name) for outcome, name, _ in parse_ktap(answer.stdout)] == [("pass", "a"), ("pass", "b")]


def test_a_program_that_says_nothing_has_failed(tmp_path: Path) -> None:
    answer = run(str(script(tmp_path / "mute", "#!/bin/sh\nkill -SEGV $$\n")), "-o", "json")
    assert answer.returncode == 1
    document, summary = map(json.loads, answer.stdout.splitlines())
    assert (document["outcome"], document["exit_status"], document["paths"]) == ("fail", 139, None)
    assert "status 139" in document["reason"] and summary["summary"] == {"pass": 0, "fail": 1, "skip": 0}


def test_it_takes_one_program(harness: Path) -> None:
    for arguments in (["--observe", "--", str(harness)], [str(harness), "more"]):
        assert lazyobs("selftest", "--kernel", *arguments).returncode == 2


@pytest.mark.bpf
def test_the_paths_of_each_test_are_its_own(bpf: None, islands_program: Path, tmp_path: Path) -> None:
    """Tests that touch 101 and 211 VMAs apart, one after the other, in one session of the probes."""
    text = HARNESS.replace("/bin/true", 'case "$2" in two.first) n=101;; one.alone.move) n=211;; *) n=1;; esac\n'
                           f'printf "touch\\\\n" | {islands_program} $n >/dev/null')  # fmt: skip
    program = script(tmp_path / "islands", text.format(listed=LISTED))
    answer = lazyobs("selftest", "--kernel", "-o", "json", str(program))
    documents = [json.loads(line) for line in answer.stdout.splitlines()]
    paths = {document["test"]: document["paths"] for document in documents[:-1]}
    first = "lazy_prepares" if "lazy_prepares" in paths["two.first"] else "prepares"
    few = paths["one.with_child.move"][first]
    assert paths["two.first"][first] - few == 100
    assert paths["one.alone.move"][first] - few == 210
    assert documents[-1]["tests_by_path"][first] == 8
    assert documents[-1]["points"]["slab"]
