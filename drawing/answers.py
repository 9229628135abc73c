# SPDX-License-Identifier: MIT
"""The answers in the README and the quick start: each block that begins with ``$ COMMAND`` is what it prints of an example.

``python -m drawing answers`` runs the commands again and puts their output in; a test demands that it is the same.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", ROOT / "docs/quick-start.md")
EXAMPLES = ROOT / "examples"
_SECONDS = 120


def _all(lines: list[str]) -> list[str]:
    return lines


def _claims(lines: list[str]) -> list[str]:
    """What stands before the table."""
    return lines[: lines.index("")]


def _few(lines: list[str]) -> list[str]:
    return lines[:6]


def _last_screen(lines: list[str]) -> list[str]:
    begins = [at for at, line in enumerate(lines) if line.startswith("lazyobs ")]
    return lines[begins[-1] :]


@dataclass(frozen=True)
class Answer:
    """``shown`` behind the ``$``, which finds examples by name. ``part``: what of the output the pages have; ``exits``:
    its exit status, 1 for a FAIL."""

    shown: str
    part: Callable[[list[str]], list[str]] = _all
    exits: tuple[int, ...] = (0,)


ANSWERS = (
    Answer("lazyobs summary --replay leak"),
    Answer("lazyobs census -s chains --replay leak", _few),
    Answer("lazyobs report leak", _claims),
    Answer("lazyobs report faulty-7.3", _claims, (0, 1)),
    Answer("lazyobs compare stock-7.3 lazy-7.3", _claims, (0, 1)),
    Answer("lazyobs top -b -r 3 --replay leak", _last_screen),
)


def printed(answer: Answer) -> list[str]:
    """What the pages have of its output today. RuntimeError where the command fails."""
    command = [sys.executable, "-m", *answer.shown.split()]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", "TZ": "UTC"}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=EXAMPLES, timeout=_SECONDS, check=False, env=environment
    )
    if done.returncode not in answer.exits:
        raise RuntimeError(f"{answer.shown}: {done.stderr.strip()}")
    lines = done.stdout.rstrip("\n").split("\n")
    return [line.rstrip() for line in answer.part(lines)]


def blocks(text: str) -> dict[str, list[str]]:
    """{what stands behind the $: the lines below it} of a page."""
    found = re.findall(r"^```\n\$ (.*)\n((?:.*\n)*?)```$", text, re.MULTILINE)
    return {command: lines.rstrip("\n").split("\n") for command, lines in found}


def rewritten(text: str, today: dict[str, list[str]]) -> str:
    """A page with these answers: {what stands behind the $: the lines below it}."""
    for command, lines in today.items():
        begin = f"```\n$ {command}\n"
        before, found, rest = text.partition(begin)
        if found:
            text = "\n".join([before + begin.rstrip("\n"), *lines, "```" + rest.partition("```")[2]])
    return text


def write() -> None:
    """Puts today's answers into the pages."""
    today = {answer.shown: printed(answer) for answer in ANSWERS}
    for page in PAGES:
        page.write_text(rewritten(page.read_text(encoding="utf-8"), today), encoding="utf-8")
