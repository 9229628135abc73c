# SPDX-License-Identifier: MIT
"""In a locale without UTF-8 what a person reads is ASCII, whatever the names; what a program reads is not touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from wcwidth import wcswidth

from lazyobs.cli import COMMANDS
from tests.harness import lazyobs
from tests.recording import made
from tests.screen.terminals import Terminal


@pytest.fixture
def recording(tmp_path: Path) -> str:
    """A recording with a process whose name is not ASCII."""
    store = made.store(tmp_path / "r")
    for number in range(3):
        made.append_sample(store, number)
    store.close()
    return str(tmp_path / "r")


def outcome(locale: str, *arguments: str) -> str:
    done = lazyobs(*arguments, env={**os.environ, "LC_ALL": locale})
    assert done.returncode in (0, 1), done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("locale", ["C", "POSIX"])
def test_tables_are_ascii(locale: str, recording: str) -> None:
    for command in (["top", "-b"], ["census"], ["trace"]):
        assert outcome(locale, *command, "--replay", recording).isascii()
        assert outcome(locale, *command, "--replay", "examples/lab").isascii()
    assert outcome(locale, "report", "examples/lab").isascii()
    assert outcome(locale, "doctor", "--tier", "procfs").isascii()


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_ascii(name: str) -> None:
    assert outcome("C", "help", name).isascii()


@pytest.mark.slow
def test_names_keep_their_place(recording: str) -> None:
    """A letter of two columns is two question marks."""
    wide, narrow = (outcome(locale, "census", "--replay", recording) for locale in ("C.UTF-8", "C"))
    assert not wide.isascii()
    assert [wcswidth(line) for line in wide.splitlines()] == [len(line) for line in narrow.splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("output", ["json", "csv"])
def test_data_is_the_same_in_every_locale(output: str, recording: str) -> None:
    found = [outcome(locale, "census", "-o", output, "--replay", recording) for locale in ("C", "C.UTF-8")]
    assert found[0] == found[1]


@pytest.mark.slow
@pytest.mark.parametrize("plain", [[], ["--plain"]])
def test_the_screen_is_ascii(plain: list[str], recording: str) -> None:
    terminal = Terminal("--replay", recording, *plain, LC_ALL="C")
    try:
        terminal.until(b"SAVABLE")
        terminal.type(b"q")
        assert terminal.end() == 0
        assert terminal.shown.isascii()
    finally:
        terminal.close()
