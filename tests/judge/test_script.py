# SPDX-License-Identifier: MIT
"""A program of the user's in the guests: what is refused, what it is part of, and what its status and numbers mean."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from lazyobs.errors import UsageError
from lazyobs.judge import inside, inside_programs, measure, run, script, state
from tests.judge.folders import add_checks, add_measured, boot, complete, folder, workload
from tests.judge.test_verdict import first, said
from tests.judge.trees import running

SCRIPT = b"#!/bin/sh\nexec true\n"


def program(path: Path, content: bytes = SCRIPT, mode: int = 0o755) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    "name, why",
    [
        ("none", "cannot be read (No such file or directory)"),
        ("folder", "is no regular file"),
        ("pipe", "is no regular file"),
        ("link", "is a symbolic link; name the program itself"),
        ("plain", "is not executable; chmod +x "),
        ("large", "has more than 1 MiB"),
        ("words", "begins neither with #! nor as a program does"),
        ("empty", "begins neither with #! nor as a program does"),
    ],
)
def test_what_no_guest_could_run_is_refused_in_one_line(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    program(tmp_path / "plain", mode=0o644)
    program(tmp_path / "large", SCRIPT + b"#" * script.MOST_BYTES)
    program(tmp_path / "words", b"echo hello\n")
    program(tmp_path / "empty", b"")
    (tmp_path / "link").symlink_to(program(tmp_path / "good"))
    with pytest.raises(UsageError) as raised:
        script.read(tmp_path / name)
    assert why in str(raised.value) and "\n" not in str(raised.value) and raised.value.exit_code == 2


def test_one_of_the_greatest_size_is_taken(tmp_path: Path) -> None:
    content = SCRIPT + b"#" * (script.MOST_BYTES - len(SCRIPT))
    found = script.read(program(tmp_path / "good", content))
    name = found.put(tmp_path)
    assert found.about()["bytes"] == 1 << 20 and name == f"script-{found.about()['sha256'][:16]}"
    assert (tmp_path / name).read_bytes() == content and os.access(tmp_path / name, os.X_OK)
    assert found.put(tmp_path) == name and not list(tmp_path.glob(".script*"))


def ran(status: int, tail: str = "", took: int = 23_000_000) -> dict:
    """What a measured boot with the user's program gives."""
    text = f"junk\n{workload()}script begins\ncost fork 7\n{tail}\nscript {took} {status}\n"
    return measure.document(boot(output=text), with_script=True)


def test_its_lines_are_numbers_of_its_own() -> None:
    found = ran(0, "cost my_loop 4711\nshare done_of 3 4\nmemory alone.anon_vma 5")
    values = measure.values(found)
    assert values is not None and found["why"] == ""
    assert values.cost["fork"] > 9000, "the built-in number is not overwritten"
    assert values.script == {measure.WHOLE: 23_000_000.0, "fork": 7.0, "my_loop": 4711.0}
    assert values.script_share == {"done_of": 0.75}
    assert measure.values(ran(3, "cost my_loop 4711")).script == {}, "of one that failed nothing is compared"  # type: ignore[union-attr]


@pytest.mark.parametrize("number", ["9" * 400, "9" * 5000, "1e9", "nan", "-", "٣"])
def test_a_number_that_is_none_is_no_line(number: str) -> None:
    evil = f"cost evil {number}\nshare evil {number} {number}\n"
    text = f"junk\n{workload().replace('done', evil + 'done')}script begins\n{evil}script {number} 0\nscript 7 0\n"
    found = measure.document(boot(output=text), True)
    assert found["why"] == "" and found["script"]["took"] == 7
    assert "evil" not in json.dumps(found) and "Infinity" not in json.dumps(found)


def test_one_that_kills_the_guest_or_says_no_end_is_a_broken_boot() -> None:
    text = f"junk\n{workload()}script begins\n"
    assert measure.document(boot(output=text), True)["why"] == "the workload given did not come to an end"
    died = boot(output=text, status=None, failure="died during the command: Oops: 0000")
    assert measure.document(died, True)["why"] == "died during the command: Oops: 0000"
    assert measure.document(boot(output=f"junk\n{workload()}"))["why"] == "", "without one nothing is asked of it"


def with_script(path: Path, statuses: dict[str, int], took: dict[str, int] | None = None) -> state.Folder:
    found = complete(path)
    for arm in ("base", "new"):
        for number in range(1, 7):
            name = f"{arm}-{number:03}"
            document = found.read(f"boots/{name}.json")
            assert document is not None
            result = ran(statuses.get(arm, 0), "it went wrong", (took or {}).get(arm, 23_000_000) + number * 1000)
            found.add_boot(name, {**document, "script": result["script"]}, "console")
    return found


@pytest.mark.parametrize(
    "statuses, word",
    [
        ({}, "PASS no difference"),
        ({"new": 7}, "FAIL workload given: ended with status 7 in 6 of 6 boots: it went wrong"),
        ({"new": 7, "base": 7}, "INCONCLUSIVE"),
    ],
)
def test_its_status_counts_where_the_base_has_another(tmp_path: Path, statuses: dict[str, int], word: str) -> None:
    assert first(with_script(tmp_path, statuses)).startswith(word)


def test_what_it_takes_is_compared(tmp_path: Path) -> None:
    found = with_script(tmp_path, {}, {"new": 25_000_000})
    assert first(found).startswith("FAIL workload given: all of it: +8.7%, margin +5.0%: worse")


def test_a_failed_check_with_it_has_a_line_to_see_it_again(tmp_path: Path) -> None:
    found = complete(tmp_path)
    add_checks(found, "new", "plain", {"script": "the workload given ended with status 7: no"}, more=("script",))
    assert first(found) == "FAIL script, plain: the workload given ended with status 7: no"
    assert run.again(tmp_path) == 1
    assert "  lazyobs judge --resume DIR --repeat new-plain-script\n" in (tmp_path / state.LETTER).read_text()


def test_the_letter_and_the_document_say_which_it_was(tmp_path: Path) -> None:
    found = folder(tmp_path)
    settings = found.settings()
    about = script.Script("load.sh", SCRIPT).about()
    found.write(state.SETTINGS, {**settings, "run": {**settings["run"], "workload": about}})
    add_measured(found, "base")
    assert said(found)["run"]["workload"] == about
    run.again(tmp_path)
    words = " ".join((tmp_path / state.LETTER).read_text().split())
    assert f"Given: workload load.sh, {len(SCRIPT)} bytes, sha256 {about['sha256']}" in words


def test_what_it_leaves_behind_is_ended() -> None:
    done = inside_programs.run(["sh", "-c", "sleep 9979 & echo said; exit 7"], 20)
    assert (done.status, done.last) == (7, "said")
    done = inside_programs.run(["sh", "-c", "sleep 9979"], 1)
    assert done.status is None
    for _ in range(100):  # until the kernel has done what it was told
        if not (left := running("sleep", "9979")):
            break
        time.sleep(0.1)
    assert left == []


@pytest.mark.parametrize("status, outcome", [(0, inside.PASS), (7, inside.FAIL), (None, inside.FAIL)])
def test_its_status_is_a_check(monkeypatch: pytest.MonkeyPatch, status: int | None, outcome: str) -> None:
    monkeypatch.setenv(inside_programs.SCRIPT, "script-x")
    monkeypatch.setattr(inside_programs, "run", lambda *_of: inside_programs.Ended(status, "last words\n"))
    watched = inside.Inside([])
    monkeypatch.setattr(inside.Inside, "observed", lambda _self, _result, work: work())
    result = inside.Result("script")
    inside_programs.script(watched, result)
    assert result.outcome == outcome and json.dumps(result.numbers)
    if status == 7:
        assert result.why == "the workload given ended with status 7: last words"
