# SPDX-License-Identifier: MIT
"""What a shell is answered, and that a shell takes it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from lazyobs.cli import COMMANDS
from lazyobs.commands import completions
from lazyobs.errors import EXIT_USAGE
from lazyobs.model import PROCESS_COLUMNS
from lazyobs.sources.event_choice import KINDS
from lazyobs.views.columns import VIEWS
from tests.harness import LAZYOBS, ROOT, lazyobs, skip


def candidates(*words: str) -> list[str]:
    """What bash gets for the last word of "lazyobs WORDS": type and value of each."""
    line = ["lazyobs", *words]
    asked = {"_LAZYOBS_COMPLETE": "bash_complete", "COMP_WORDS": "\n".join(line), "COMP_CWORD": str(len(words))}
    done = lazyobs(env={**os.environ, **asked})
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def plain(*names: str) -> list[str]:
    return [f"plain,{name}" for name in names]


def test_commands() -> None:
    assert candidates("") == plain(*COMMANDS)
    assert candidates("re") == plain("record", "report")
    assert candidates("help", "se") == plain("selftest")


def test_options() -> None:
    assert candidates("top", "--it") == plain("--iterations")
    assert candidates("record", "--du") == plain("--duration")


def test_values() -> None:
    assert candidates("top", "--sort", "") == plain(*PROCESS_COLUMNS)
    assert candidates("census", "-s", "vmas_s") == plain("vmas_shared")
    assert candidates("top", "-o", "") == plain("table", "json", "csv")
    assert candidates("selftest", "-o", "") == plain("table", "json")
    assert candidates("top", "--view", "") == plain(*VIEWS)
    assert candidates("top", "-u", "nobo") == plain("nobody")


def test_the_last_of_a_list() -> None:
    assert candidates("trace", "-e", "fork,p") == plain(*(f"fork,{kind}" for kind in KINDS if kind.startswith("p")))


def test_process_ids() -> None:
    own = str(os.getpid())
    assert f"plain,{own}" in candidates("top", "-p", own)
    assert f"plain,1,{own}" in candidates("census", "--pid", f"1,{own}")


def test_directories() -> None:
    assert candidates("report", "exam") == candidates("top", "--replay", "exam") == ["dir,exam"]


def test_cgroups_go_down_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "system.slice" / "a.service").mkdir(parents=True)
    (tmp_path / "system.slice" / "cgroup.procs").touch()
    monkeypatch.setattr(completions, "_CGROUPS", tmp_path)
    found = [completions.cgroups(None, None, typed) for typed in ("", "/s", "/system.slice/", "/none/")]  # type: ignore[arg-type]
    assert found == [["/system.slice"], ["/system.slice"], ["/system.slice/a.service"], []]


def test_a_question_that_no_shell_asks() -> None:
    done = lazyobs(env={**os.environ, "_LAZYOBS_COMPLETE": "tcsh_complete"})
    assert done.returncode == EXIT_USAGE


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_asks_lazyobs(shell: str) -> None:
    done = lazyobs("completion", shell)
    assert done.returncode == 0
    assert f"_LAZYOBS_COMPLETE={shell}_complete" in done.stdout


def test_bash_completes(tmp_path: Path) -> None:
    """With our script and our answers, as at a prompt."""
    bash = shutil.which("bash")
    if bash is None:
        skip("programs", "bash is not installed")
    command = tmp_path / "lazyobs"
    command.write_text(f'#!/bin/sh\ncd {ROOT}; exec {" ".join(LAZYOBS)} "$@"\n')
    command.chmod(0o755)
    program = f"""
    PATH={tmp_path}:$PATH
    eval "$(lazyobs completion bash)"
    COMP_WORDS=(lazyobs trace --min) COMP_CWORD=2
    _lazyobs_completion lazyobs
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run([bash, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["--min-us"]
