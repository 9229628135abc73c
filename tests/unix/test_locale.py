# SPDX-License-Identifier: MIT
"""A locale without UTF-8 gets ASCII, and programs get names as they are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lazyobs.unix import locale
from tests.harness import LAZYOBS, ROOT

NAMES = ("LC_ALL", "LC_CTYPE", "LANG")
ASCII = [{"LC_ALL": "C"}, {"LC_ALL": "POSIX"}, {"LANG": "C"}, {"LC_CTYPE": "de_DE.ISO-8859-1"}, {}]
UTF8 = [{"LC_ALL": "C.UTF-8"}, {"LANG": "de_DE.utf8"}, {"LC_ALL": "", "LANG": "ca_ES.UTF-8@valencia"}]


@pytest.mark.parametrize(
    ("settings", "expected"), [*((one, False) for one in ASCII), *((one, True) for one in UTF8)], ids=str
)
def test_what_the_variables_say(settings: dict[str, str], expected: bool) -> None:
    assert locale.is_utf8({key.encode(): value.encode() for key, value in settings.items()}) == expected


def test_the_first_that_is_set_decides() -> None:
    assert not locale.is_utf8({b"LC_ALL": b"C", b"LANG": b"C.UTF-8"})
    assert locale.is_utf8({b"LC_CTYPE": b"C.UTF-8", b"LANG": b"C"})


def test_letters_keep_their_width() -> None:
    assert locale.in_ascii("a\u00e9\u6f22e\u0301\u2026") == "a???e."


def environment(settings: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key not in NAMES} | settings


def run(settings: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*LAZYOBS, *arguments], capture_output=True, cwd=ROOT, timeout=120, env=environment(settings), check=False
    )


@pytest.mark.parametrize("settings", [{"LC_ALL": "C"}, {"LC_ALL": "POSIX"}, {"LANG": "C"}, {}], ids=str)
def test_messages_are_ascii_where_the_locale_is(settings: dict[str, str], tmp_path: Path) -> None:
    done = run(settings, "report", str(tmp_path / "s\u00f6ak"))
    assert done.stderr.isascii() and b"/s?ak: there is no such directory" in done.stderr


def test_messages_are_utf8_where_the_locale_is(tmp_path: Path) -> None:
    assert "/s\u00f6ak: there is".encode() in run({"LC_ALL": "C.UTF-8"}, "report", str(tmp_path / "s\u00f6ak")).stderr


PROGRAM = """
import sys
from lazyobs.unix import locale
locale.obey()
if sys.argv[1] == "data":
    locale.leave_data_alone()
print("n\\u00e4me", locale.in_bytes("\\u2588"))
"""


@pytest.mark.parametrize(
    ("settings", "what", "printed"),
    [
        ({"LC_ALL": "C"}, "words", b"n?me b'?'\n"),
        ({"LC_ALL": "C"}, "data", "n\u00e4me b'?'\n".encode()),
        ({"LC_ALL": "C.UTF-8"}, "words", "n\u00e4me b'\\xe2\\x96\\x88'\n".encode()),
    ],
)
def test_data_is_left_alone(settings: dict[str, str], what: str, printed: bytes) -> None:
    command = [sys.executable, "-c", PROGRAM, what]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, env=environment(settings), check=True)
    assert done.stdout == printed
