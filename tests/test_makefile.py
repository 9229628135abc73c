# SPDX-License-Identifier: MIT
"""What make does without being asked for anything: it explains."""

from __future__ import annotations

import subprocess

import pytest

from tests.harness import ROOT, need_programs


def _make(*arguments: str) -> str:
    need_programs("make")
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_bare_make_is_help() -> None:
    assert _make("-n") == _make("-n", "help")
    assert "apt" not in _make("-n") and "pip" not in _make("-n")


@pytest.mark.parametrize("words", ["make setup", "make uninstall", "COMMAND=", "make test-quick"])
def test_help_names_what_there_is(words: str) -> None:
    assert words in _make()
