# SPDX-License-Identifier: MIT
"""What the locale says a terminal can show: UTF-8, or ASCII alone.

Python writes UTF-8 in the locale "C", too (PEP 538 and 540), so its own encoding of standard output does not say it.
"""

from __future__ import annotations

import codecs
import os
import re
import sys
import unicodedata

_VARIABLES = (b"LC_ALL", b"LC_CTYPE", b"LANG")  # locale(7): the first that is set and not empty
_ERRORS = "lazyobs_ascii"
_LIKE = {"\N{HORIZONTAL ELLIPSIS}": "."}
_as_it_was: tuple[str, str] | None = None  # encoding and errors of standard output


def is_utf8(environment: dict[bytes, bytes]) -> bool:
    """Whether a locale of these variables has UTF-8. Without any of them the locale is C."""
    name = next((environment[key] for key in _VARIABLES if environment.get(key)), b"C")
    return re.search(rb"\.utf-?8(@|$)", name, re.IGNORECASE) is not None


def first_environment(path: str = "/proc/self/environ") -> dict[bytes, bytes]:
    """The environment this process was started with: Python sets LC_CTYPE to C.UTF-8 in the locale C (PEP 538)."""
    try:
        with open(path, "rb") as file:
            found = file.read()
    except OSError:
        return dict(os.environb)
    return dict(item.split(b"=", 1) for item in found.split(b"\0") if b"=" in item)


def obey() -> None:
    """Where the locale has no UTF-8, standard output and standard error are ASCII from now on."""
    global _as_it_was
    if is_utf8(first_environment()):
        return
    _as_it_was = sys.stdout.encoding, sys.stdout.errors or "strict"
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="ascii", errors=_ERRORS)  # type: ignore[union-attr]


def leave_data_alone() -> None:
    """Standard output is for a program: names stay what they are."""
    if _as_it_was is not None:
        sys.stdout.reconfigure(encoding=_as_it_was[0], errors=_as_it_was[1])  # type: ignore[union-attr]


def in_bytes(text: str) -> bytes:
    """``text`` for the terminal on standard output, which may have been told to take ASCII."""
    return text.encode("utf-8", "replace") if _as_it_was is None else in_ascii(text).encode("ascii")


def in_ascii(text: str) -> str:
    """``text`` with a question mark for each column of the terminal that other letters would take."""
    return text if text.isascii() else text.encode("ascii", _ERRORS).decode("ascii")


def _replace(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    found = "".join(_LIKE.get(letter) or "?" * _width(letter) for letter in error.object[error.start : error.end])
    return found, error.end


codecs.register_error(_ERRORS, _replace)


def _width(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
