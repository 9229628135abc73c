# SPDX-License-Identifier: MIT
"""Small series, as people send them, and a tree that they are for."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

RMAP = "".join(f"line {number}\n" for number in range(1, 60))
TREE = {
    "Makefile": "VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\nEXTRAVERSION =\n",
    "Kconfig": "",
    "scripts/none": "",
    "mm/rmap.c": RMAP,
    "mm/Kconfig": 'menu "Memory"\n\nconfig KSM\n\tbool "KSM"\n\nendmenu\n',
}


def tree(folder: Path, files: Mapping[str, str] = TREE) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def diff(name: str, before: str | None, after: str | None) -> str:
    """As git writes it; None where there is no such file."""
    head = f"diff --git a/{name} b/{name}\n"
    if before is None:
        head += "new file mode 100644\n"
    if after is None:
        head += "deleted file mode 100644\n"
    old, new = (f"a/{name}" if before is not None else "/dev/null", f"b/{name}" if after is not None else "/dev/null")
    lines = difflib.unified_diff((before or "").splitlines(True), (after or "").splitlines(True), old, new)
    return head + "".join(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines)


def mail(subject: str, *diffs: str, text: str = "Because.", number: int = 1) -> str:
    return (
        f"From 84db42ce2bafa8869b5626c7aa50c4fc7f372e0b Mon Sep 17 00:00:00 2001\nFrom: A Person <a@example.org>\n"
        f"Date: Thu, 26 Nov 2026 20:03:42 +0000\nSubject: {subject}\nMessage-ID: <{number}-series@example.org>\n\n"
        f"{text}\n---\n mm/rmap.c | 2 +-\n 1 file changed\n\n{''.join(diffs)}-- \n2.39.5\n\n"
    )


def changed(number: int, text: str = RMAP) -> str:
    """The text with one line of another content."""
    return text.replace(f"line {number}\n", f"changed {number}\n")


def series(count: int) -> Sequence[str]:
    """So many mails, each on top of the one before, and a cover letter in front."""
    mails = [mail(f"[PATCH v2 0/{count}] a series", text="struct anon_vma grows from 88 to 104 bytes.", number=0)]
    before = RMAP
    for number in range(1, count + 1):
        after = before.replace(f"line {number % 50 + 5}\n", f"line {number % 50 + 5}\nadded {number}\n")
        mails.append(
            mail(f"[PATCH v2 {number}/{count}] patch {number}", diff("mm/rmap.c", before, after), number=number)
        )
        before = after
    return mails
