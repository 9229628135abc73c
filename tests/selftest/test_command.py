# SPDX-License-Identifier: MIT
"""``lazyobs selftest`` as its users type it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from lazyobs.selftest import scenario
from lazyobs.selftest.observe import WIDTH
from tests.harness import lazyobs, need_open_checkout
from tests.selftest.ktap import parse_ktap

pytestmark = pytest.mark.slow


def selftest(*arguments: str, user: int | None = None) -> subprocess.CompletedProcess[str]:
    return lazyobs("selftest", *arguments, timeout=300, user=user)


def test_list() -> None:
    answer = selftest("--list")
    assert answer.returncode == 0
    listed = [line.split()[0] for line in answer.stdout.splitlines() if not line.startswith(" ")]
    assert listed == list(scenario.load())
    column = max(map(len, listed)) + 1
    assert all(line[column - 1] == " " != line[column] for line in answer.stdout.splitlines())


def test_list_json() -> None:
    answer = selftest("--list", "-o", "json", "--only", "fork_*")
    documents = [json.loads(line) for line in answer.stdout.splitlines()]
    assert [document["scenario"] for document in documents] == [
        name for name in scenario.load() if name.startswith("fork_")
    ]
    assert len(next(d for d in documents if d["scenario"] == "fork_chain")["steps"]) == 20


@pytest.mark.parametrize(
    "arguments",
    [["--only", "no_such"], ["-o", "csv"], ["--observe"], ["--", "true"], ["--observe", "--", "/no/such/program"]],
)
def test_usage(arguments: list[str]) -> None:
    answer = selftest(*arguments)
    assert answer.returncode in (2, 3 if os.geteuid() else 2)
    assert answer.stderr.startswith("lazyobs: ") and answer.stderr.count("\n") == 1


def test_without_privileges_it_is_skipped_as_kselftest_has_it(root: None) -> None:
    need_open_checkout()
    answer = selftest("--only", "control", user=65534)
    assert answer.returncode == 4
    assert answer.stdout.splitlines()[0] == "KTAP version 1"
    assert answer.stdout.splitlines()[1].startswith("1..0 # SKIP ")


def test_contents_alone_need_no_bpf() -> None:
    answer = selftest("--tier", "procfs", "--only", "fork_and_write,mremap_*")
    assert answer.returncode == 0, answer.stdout
    assert {outcome for outcome, _, _ in parse_ktap(answer.stdout)} == {"pass"}


def test_what_checked_nothing_is_skipped() -> None:
    answer = selftest("--tier", "procfs", "--only", "control,fork_and_write")
    assert answer.returncode == 0, answer.stdout
    assert [(name, outcome) for outcome, name, _ in parse_ktap(answer.stdout)] == [
        ("control", "skip"),
        ("fork_and_write", "pass"),
    ]
    assert "ok 1 control # SKIP nothing can be checked: --tier procfs\n" in answer.stdout
    assert selftest("--tier", "procfs", "--only", "control").returncode == 4


def test_ktap_repeat_and_seed(bpf: None) -> None:
    answer = selftest("--only", "merge_*,brk", "--repeat", "2", "--seed", "7")
    assert answer.returncode == 0, answer.stdout
    found = parse_ktap(answer.stdout)
    names = sorted(name for _, name, _ in found)
    chosen = [name for name in scenario.load() if name.startswith("merge_")] + ["brk"]
    assert names == sorted(f"{name}_{number}" for name in chosen for number in (1, 2))
    again = selftest("--only", "merge_*,brk", "--repeat", "2", "--seed", "7")
    assert [name for _, name, _ in parse_ktap(again.stdout)] == [name for _, name, _ in found]


def test_json(bpf: None) -> None:
    answer = selftest("--only", "first_touch_of_islands", "-o", "json")
    result, summary = [json.loads(line) for line in answer.stdout.splitlines()]
    assert summary["summary"] == {"pass": 1, "fail": 0, "skip": 0}
    seen = {check["what"]: check["found"] for check in result["checks"] if check["step"] == "write"}
    assert seen["first_faults"] == 101
    assert result["pages_checked"] == 404


def test_observe_reports_what_a_command_did(bpf: None) -> None:
    answer = selftest("--observe", "--", "sh", "-c", "echo said; exit 7")
    assert answer.returncode == 7
    assert answer.stdout.startswith("said\n\nCommand: sh -c echo said; exit 7\n")
    assert max(map(len, answer.stdout.splitlines())) <= WIDTH
    ((command, system),) = (line.split()[1:] for line in answer.stdout.splitlines() if line.startswith("  prepares "))
    assert 0 < int(command) <= int(system)


def test_observe_json_counts_a_known_program(bpf: None, islands_program: Path) -> None:
    answer = selftest("--observe", "-o", "json", "--", "sh", "-c", rf"printf 'touch\n' | {islands_program} 1009")
    document = json.loads(answer.stdout.splitlines()[-1])
    assert document["exit_status"] == answer.returncode == 0
    found = {path["name"]: path["events"] for path in document["paths"]}
    # The whole system is counted: others may add.
    assert found["prepares"] + (found["lazy_prepares"] or 0) >= 1009
